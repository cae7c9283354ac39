#!/usr/bin/env python3
"""Token services that answer to order, for test_token.c.

    token_server.py CERT_AND_KEY.pem FOLDER_OF_ARC

listens on two loopback ports of the kernel's choice, with TLS and without, prints both on one line,
then one line of JSON for each request, before it is answered. Ends when its standard input does.

The first part of the path names a story of STORIES; for a metadata service the story is in the
resource. The n-th request of a story gets its n-th answer, later ones the last.
"""
import base64
import http.server
import json
import ssl
import sys
import threading
import time
from email.utils import formatdate
from urllib.parse import parse_qs, unquote, urlsplit

lock = threading.Lock()
seen = {}


def jwt(**claims):
    def part(d):
        return base64.urlsafe_b64encode(json.dumps(d).encode()).rstrip(b'=').decode()
    return part({'alg': 'none'}) + '.' + part(claims) + '.c2ln'


def ok(token=None, expires_in=3600, delay=0, headers=None, **more):
    """{n} in the token is the number of the request."""
    return {'status': 200, 'delay': delay, 'headers': headers or {},
            'body': {'token_type': 'Bearer', 'expires_in': expires_in,
                     'access_token': token or '{story}-{n}', **more}}


def no(*numbers, status=401, error='invalid_client', headers=None, delay=0, **more):
    return {'status': status, 'headers': headers or {}, 'delay': delay,
            'body': {'error': error, 'error_codes': list(numbers), 'trace_id': 'trace-1',
                     'error_description': 'AADSTS%d: outside text' % (numbers or (0,))[0], **more}}


def raw(status, body='', headers=None):
    return {'status': status, 'headers': headers or {}, 'body': body}


def date(seconds):
    return {'Date': formatdate(time.time() + seconds, usegmt=True)}


def managed(**more):
    return ok(expires_in='3600', expires_on=str(int(time.time()) + 3600), refresh_token='', **more)


def ask(path):
    return raw(401, '', {'WWW-Authenticate': 'Basic realm=' + path})


STORIES = {
    'plain': lambda: [ok()],
    'slow': lambda: [ok(delay=0.3)],
    'roles': lambda: [ok(jwt(roles=['User.Read.All'], wids=['fe930be7-5e62-47db-91af-98c3a49a38b1'],
                             oid='11111111-2222-3333-4444-555555555555'))],
    'expired': lambda: [no(7000222)],
    'once': lambda: [no(7000222), ok()],
    'rs256': lambda: [no(700027), ok()],
    'nokey': lambda: [no(700027)],
    'clock': lambda: [no(700024, headers=date(7200)), ok(headers=date(7200))],
    'clocks': lambda: [no(500133, headers=date(7200))],
    'weak': lambda: [raw(503), no(90033, status=400), raw(500, '<html>'), ok()],
    'down': lambda: [raw(503)],
    'wait': lambda: [raw(429, '', {'Retry-After': '100'}), ok()],
    'html': lambda: [raw(200, '<html>please sign in</html>')],
    'moved': lambda: [raw(302, '', {'Location': 'https://evil.example/'})],
    'short': lambda: [ok(expires_in=1)],
    'long': lambda: [ok(expires_in=86400, refresh_in=1), no(7000222), ok()],
    'meanwhile': lambda: [ok(expires_in=86400, refresh_in=1), ok(delay=0.5), ok()],
    'inside': lambda: [ok()],
    'okta-clock': lambda: [raw(401, {'error': 'invalid_client'}, date(-600)), ok(headers=date(-600))],
    'okta-key': lambda: [raw(401, {'error': 'invalid_client'}, date(0))],
    'imds': lambda: [managed()],
    'imds-weak': lambda: [raw(404), raw(429), raw(500), managed()],
    'imds-gone': lambda: [raw(410)] * 5 + [managed()],
    'imds-never': lambda: [raw(410)],
    'imds-none': lambda: [raw(400, {'error': 'invalid_request',
                                    'error_description': 'Identity not found'})],
    'imds-other': lambda: [managed(client_id='00000000-0000-0000-0000-00000000000f')],
    'arc': lambda: [ask('{arc}/good.key'), managed()],
    'arc-twice': lambda: [ask('{arc}/good.key'), raw(503), ask('{arc}/good.key'), managed()],
    'arc-evil': lambda: [ask('/etc/shadow'), managed()],
    'arc-link': lambda: [ask('{arc}/link.key'), managed()],
    'arc-bearer': lambda: [raw(401, '', {'WWW-Authenticate': 'Bearer'}), managed()],
    'arc-silent': lambda: [raw(401), managed()],
    'arc-open': lambda: [managed()],
    'arc-refuses': lambda: [ask('{arc}/good.key'), ask('{arc}/good.key')],
}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def story(self):
        parts = urlsplit(self.path)
        query = parse_qs(parts.query)
        if 'resource' in query:
            return unquote(query['resource'][0]).rpartition('/')[2]
        return parts.path.split('/')[1]

    def answer(self):
        form = self.rfile.read(int(self.headers.get('Content-Length') or 0)).decode()
        name = self.story()
        with lock:
            n = seen[name] = seen.get(name, 0) + 1
            print(json.dumps({'story': name, 'method': self.command, 'path': self.path, 'body': form,
                              'headers': {k.lower(): v for k, v in self.headers.items()}}), flush=True)
        answers = STORIES[name]()
        a = answers[min(n, len(answers)) - 1]
        time.sleep(a.get('delay', 0))
        body = a['body']
        if isinstance(body, dict):
            body = {k: v.replace('{n}', str(n)).replace('{story}', name) if k == 'access_token' else v
                    for k, v in body.items()}
            body = json.dumps(body)
        try:
            self.write_out(a, body)
        except OSError:  # given up in the meantime, as is its right
            self.close_connection = True

    def write_out(self, a, body):
        self.send_response_only(a['status'])
        headers = {**date(0), 'Content-Type': 'application/json', **a['headers']}
        for k, v in headers.items():
            self.send_header(k, v.replace('{arc}', arc))
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    do_GET = do_POST = answer

    def log_message(self, *args):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True


pem, arc = sys.argv[1:]
plain = Server(('127.0.0.1', 0), Handler)
tls = Server(('127.0.0.1', 0), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(pem)
tls.socket = context.wrap_socket(tls.socket, server_side=True, do_handshake_on_connect=False)
for server in (plain, tls):
    threading.Thread(target=server.serve_forever, daemon=True).start()
print(tls.server_address[1], plain.server_address[1], flush=True)
sys.stdin.read()
