#!/usr/bin/python3
"""box.py ENV COMMAND... -- somebody else at the queue: whoever puts messages there without cordon,
and the person who looks at what was put aside. ENV: DIR/env of a running azurite.

  make QUEUE...           made, or there already
  put QUEUE [MOST]        JSON strings, one a line on stdin, each stored as it is; MOST: no more while
                          so many lie there (the emulator gets slow with thousands)
  take QUEUE [SECONDS]    up to 32 that are not hidden, as JSON lines; gone for good, or hidden so long
  drain QUEUE             the same for good, until there are none
  count QUEUE             hidden ones too
"""
import base64
import hashlib
import hmac
import http.client
import json
import shlex
import ssl
import sys
import time
import xml.etree.ElementTree as xml
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from threading import local
from urllib.parse import quote, urlsplit
from xml.sax.saxutils import escape

AT_ONCE = 4
CHUNK = 100


class Box:
    def __init__(self, env):
        e = dict(w.split('=', 1) for w in shlex.split(open(env).read()))
        self.url, self.account = urlsplit(e['AZURITE_URL']), e['AZURITE_ACCOUNT']
        self.key = base64.b64decode(open(e['AZURITE_KEY']).read())
        self.tls = ssl.create_default_context(cafile=e['AZURITE_CA']) if self.url.scheme == 'https' else None
        self.mine = local()

    def ask(self, method, path, query=(), body=b''):
        head = {'x-ms-date': time.strftime('%a, %d %b %Y %H:%M:%S GMT', time.gmtime()), 'x-ms-version': '2021-12-02'}
        kind = 'application/xml' if body else ''
        where = self.url.path + path
        text = '\n'.join([method, '', '', str(len(body) or ''), '', kind] + [''] * 6 + [f'{k}:{head[k]}' for k in sorted(head)]
                         + [f'/{self.account}{where}'] + [f'{k}:{v}' for k, v in sorted(query)])
        sign = base64.b64encode(hmac.new(self.key, text.encode(), hashlib.sha256).digest()).decode()
        head['Authorization'] = f'SharedKey {self.account}:{sign}'
        head['Content-Length'] = str(len(body))
        if body:
            head['Content-Type'] = kind
        if time.monotonic() - getattr(self.mine, 'used', 0) > 2:  # it hangs up on whoever is silent for 5 s
            at = (self.url.hostname, self.url.port)
            self.mine.line = (http.client.HTTPSConnection(*at, context=self.tls, timeout=120) if self.tls
                              else http.client.HTTPConnection(*at, timeout=120))
        self.mine.line.request(method, where + '?' * bool(query) + '&'.join(f'{k}={quote(v, safe="")}' for k, v in query), body, head)
        a = self.mine.line.getresponse()
        out = a.status, a.headers, a.read()
        self.mine.used = time.monotonic()
        return out

    def put(self, queue, text):
        body = f'<QueueMessage><MessageText>{escape(text, {chr(13): "&#13;"})}</MessageText></QueueMessage>'.encode()
        status, head, _ = self.ask('POST', f'/{queue}/messages', [('messagettl', '-1')], body)
        if status != 201:
            sys.exit(f'put: {status} {head.get("x-ms-error-code")}')

    def take(self, queue, hide=None):
        status, head, body = self.ask('GET', f'/{queue}/messages', [('numofmessages', '32'), ('visibilitytimeout', hide or '60')])
        if status != 200:
            sys.exit(f'take: {status} {head.get("x-ms-error-code")}')
        n = 0
        for m in xml.fromstring(body.lstrip(b'\xef\xbb\xbf')):
            f = {x.tag: x.text or '' for x in m}
            if hide is None:
                self.ask('DELETE', f'/{queue}/messages/{f["MessageId"]}', [('popreceipt', f['PopReceipt'])])
            print(json.dumps({'deliveries': int(f['DequeueCount']), **read(f['MessageText'])}))
            n += 1
        return n

    def count(self, queue):
        return int(self.ask('GET', f'/{queue}', [('comp', 'metadata')])[1]['x-ms-approximate-messages-count'])


def read(text):
    """What is stored; and what cordon's envelope says, where there is one."""
    out = {'stored': text}
    for plain in (text, None):
        try:
            j = json.loads(plain if plain is not None else base64.b64decode(text, validate=True))
            if isinstance(j, dict) and j.get('v') == 1:
                out.update({k: j[k] for k in ('request', 'claim', 'reason') if k in j})
        except ValueError:
            pass
    return out


def main():
    b, what, rest = Box(sys.argv[1]), sys.argv[2], sys.argv[3:]
    if what == 'make':
        for q in rest:
            if b.ask('PUT', '/' + q)[0] not in (201, 204):
                sys.exit('make: ' + q)
    elif what == 'put':
        with ThreadPoolExecutor(AT_ONCE) as pool:
            while lines := list(islice(sys.stdin, CHUNK)):
                while len(rest) > 1 and b.count(rest[0]) >= int(rest[1]):
                    time.sleep(0.2)
                list(pool.map(lambda line: b.put(rest[0], json.loads(line)), lines))
    elif what == 'take':
        b.take(*rest)
    elif what == 'drain':
        while b.take(rest[0]):
            pass
    elif what == 'count':
        print(b.count(rest[0]))


main()
