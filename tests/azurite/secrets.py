#!/usr/bin/python3
"""secrets.py -- what Azure's portal and Entra ID would hand out, for tests; on stdout.

  secrets.py sas KEYFILE ACCOUNT QUEUE RIGHTS [SECONDS]   a service SAS for one queue
  secrets.py all KEYFILE ACCOUNT RIGHTS                   an account SAS, for all of its queues
  secrets.py jwt [AUDIENCE]                               a token: Azurite looks at its claims only
"""
import base64
import hashlib
import hmac
import json
import sys
import time
from urllib.parse import urlencode


def stamp(seconds):
    return time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(time.time() + seconds))


def sas(keyfile, account, queue, rights, seconds='3600'):
    key = base64.b64decode(open(keyfile).read())
    q = {'sv': '2021-12-02', 'st': stamp(-3600 * 2), 'se': stamp(int(seconds)), 'sp': rights}
    text = '\n'.join([q['sp'], q['st'], q['se'], f'/queue/{account}/{queue}', '', '', '', q['sv']])
    q['sig'] = base64.b64encode(hmac.new(key, text.encode(), hashlib.sha256).digest()).decode()
    return urlencode(q)


def all_queues(keyfile, account, rights):
    key = base64.b64decode(open(keyfile).read())
    q = {'sv': '2021-12-02', 'ss': 'q', 'srt': 'co', 'st': stamp(-3600), 'se': stamp(3600), 'sp': rights}
    text = '\n'.join([account, q['sp'], q['ss'], q['srt'], q['st'], q['se'], '', '', q['sv'], '', ''])
    q['sig'] = base64.b64encode(hmac.new(key, text.encode(), hashlib.sha256).digest()).decode()
    return urlencode(q)


def part(b):
    return base64.urlsafe_b64encode(b).rstrip(b'=').decode()


def jwt(audience='https://storage.azure.com'):
    now = int(time.time())
    claims = {'iat': now - 60, 'nbf': now - 60, 'exp': now + 3600, 'aud': audience,
              'iss': 'https://sts.windows.net/11111111-2222-3333-4444-555555555555/'}
    return 'Bearer ' + '.'.join(part(json.dumps(p).encode()) for p in ({'typ': 'JWT', 'alg': 'RS256'}, claims)) + '.' + part(b'no signature')


print({'sas': sas, 'all': all_queues, 'jwt': jwt}[sys.argv[1]](*sys.argv[2:]), end='')
