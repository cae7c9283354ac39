#!/usr/bin/python3
"""hostile.py N KEY STRANGER DONE GOOD SEED -- N messages by whoever means no good, mixed with the good
ones of the file GOOD, as JSON strings, one a line, as they are to lie on the queue; how many of each
refusal are to come of it goes to stderr, as JSON.

KEY: the private key of the signer 'soar'; STRANGER: another. DONE: a file with a request that was
taken before. All hostile ones name the account 'frank'. They are what they are for 45 minutes.
"""
import base64
import collections
import hashlib
import hmac
import json
import random
import sys
import time
import uuid

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

TYPE = 'cordon-request.v1+jwt'


def b64(b):
    return base64.urlsafe_b64encode(b).rstrip(b'=').decode()


def unb64(s):
    return base64.urlsafe_b64decode(s + '=' * (-len(s) % 4))


def stamp(seconds):
    return time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(time.time() + seconds))


def load(path):
    pem = open(path, 'rb').read()
    return serialization.load_pem_private_key(pem[pem.index(b'-----BEGIN'):], None)


n, key, stranger, done = int(sys.argv[1]), load(sys.argv[2]), load(sys.argv[3]), open(sys.argv[4]).read().strip()
good = open(sys.argv[5]).read().split()
rnd = random.Random(int(sys.argv[6]))
curve = ec.generate_private_key(ec.SECP256R1())
public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def request(**more):
    r = {'id': str(uuid.UUID(int=rnd.getrandbits(128), version=4)), 'action': 'disable', 'account': 'frank', 'requester': 'soc@example.com',
         'issued': stamp(-5), 'expires': stamp(3000), 'audience': 'corp.example.com'}
    r.update(more)
    return json.dumps({k: v for k, v in r.items() if v is not None}).encode()


def jws(payload, head=None, by=None, sign=None):
    h = head if isinstance(head, bytes) else json.dumps({'alg': 'EdDSA', 'typ': TYPE, 'kid': 'soar', **(head or {})}).encode()
    text = b64(h) + '.' + b64(payload)
    return text + '.' + b64((sign or (by or key).sign)(text.encode()))


def es256(text):
    r, s = decode_dss_signature(curve.sign(text, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, 'big') + s.to_bytes(32, 'big')


def flipped(s, lo, hi):
    i = rnd.randrange(lo, hi)
    return s[:i] + ('A' if s[i] != 'A' else 'B') + s[i + 1:]


def altered():
    j = jws(request())
    one, two = j.index('.'), j.rindex('.')
    return flipped(j, one + 1, two - 1)


def truncated():
    j = jws(request())
    return j[:rnd.randrange(1, j.index('.'))] if rnd.random() < .3 else j[:rnd.randrange(j.index('.') + 1, j.rindex('.'))]


def envelope(s, **more):
    return json.dumps({'v': 1, 'request': s, **more})


def coded(s):
    return base64.b64encode(s if isinstance(s, bytes) else s.encode()).decode()


DEEP = b'[' * 3000 + b']' * 3000
KINDS = {  # name: (its refusal, how to make one)
    'unknown kid': ('unknown-key', lambda: jws(request(), {'kid': 'nobody'})),
    'a stranger by thumbprint': ('unknown-key', lambda: jws(request(), {'kid': b64(rnd.randbytes(32))}, stranger)),
    'wrong key': ('bad-signature', lambda: jws(request(), by=stranger)),
    'no kid, wrong key': ('bad-signature', lambda: jws(request(), json.dumps({'alg': 'EdDSA', 'typ': TYPE}).encode(), stranger)),
    'alg none': ('malformed', lambda: b64(json.dumps({'alg': 'none', 'typ': TYPE, 'kid': 'soar'}).encode()) + '.' + b64(request()) + '.'),
    'alg none, signed': ('wrong-algorithm', lambda: jws(request(), {'alg': 'none'})),
    'HS256 by the public key': ('wrong-algorithm', lambda: jws(request(), {'alg': 'HS256'}, sign=lambda t: hmac.new(public, t, hashlib.sha256).digest())),
    'ES256 by another': ('wrong-algorithm', lambda: jws(request(), {'alg': 'ES256'}, sign=es256)),
    'said to be EdDSA, is ES256': ('bad-signature', lambda: jws(request(), sign=es256)),
    'typ of an answer': ('wrong-type', lambda: jws(request(), {'typ': 'cordon-result.v1+jwt'})),
    'typ JWT': ('wrong-type', lambda: jws(request(), {'typ': 'JWT'})),
    'replayed': ('seen-before', lambda: rnd.choice(good)),
    'replayed, done long ago': ('seen-before', lambda: done),
    'its id, another account': ('same-id-other-body', lambda: jws(request(id=json.loads(unb64(done.split('.')[1]))['id']))),
    'altered': ('bad-signature', altered),
    'truncated': ('malformed', truncated),
    'no signature': ('malformed', lambda: jws(request()).rsplit('.', 1)[0]),
    'signature of another': ('bad-signature', lambda: jws(request()).rsplit('.', 1)[0] + '.' + done.rsplit('.', 1)[1]),
    'oversized': ('too-big', lambda: jws(request(reason='x' * 36000))),
    'oversized, and no signature': ('malformed', lambda: 'x' * 60000),
    'fills a message': ('too-big', lambda: 'e30.' + 'A' * (65536 - 8) + '.AAA'),
    'deep': ('malformed', lambda: jws(b'{"id":' + DEEP + b'}')),
    'deep, unsigned': ('malformed', lambda: '{"v":1,"request":' + DEEP.decode() + '}'),
    'wrong audience': ('wrong-audience', lambda: jws(request(audience='other.example.com'))),
    'expired': ('expired', lambda: jws(request(issued=stamp(-900), expires=stamp(-300)))),
    'future': ('from-the-future', lambda: jws(request(issued=stamp(3000), expires=stamp(3300)))),
    'too old': ('too-old', lambda: jws(request(issued=stamp(-2 * 3600), expires=stamp(3000)))),
    'too long': ('lifetime-too-long', lambda: jws(request(expires=stamp(86400)))),
    'a member twice': ('malformed', lambda: jws(request().replace(b'"action"', b'"account": "u00001", "action"', 1))),
    'a header twice': ('malformed', lambda: jws(request(), b'{"alg":"EdDSA","typ":"' + TYPE.encode() + b'","kid":"nobody","kid":"soar"}')),
    'crit': ('malformed', lambda: jws(request(), {'crit': ['exp'], 'exp': 1})),
    'a member too many': ('malformed', lambda: jws(request(force=True))),
    'no id': ('malformed', lambda: jws(request(id=None))),
    'an action that it may not ask for': ('not-allowed', lambda: jws(request(action='revoke'))),
    'binary': ('malformed', lambda: coded(b'\x00\xff' + rnd.randbytes(rnd.randrange(1, 3000)))),
    'noise': ('malformed', lambda: ''.join(rnd.choice('abc{}[]":,\\ .é漢&<>') for _ in range(rnd.randrange(2, 2000))) + '!'),
    'empty': ('malformed', lambda: rnd.choice(['', ' ', '\n\n'])),
    'not UTF-8': ('malformed', lambda: coded(b'{"v":1,"request":"\xff\xfe\xc0\xaf"}')),
    'not UTF-8, signed': ('malformed', lambda: jws(request(account='frank@').replace(b'frank@', b'frank\xff'))),
    'an envelope in an envelope': ('malformed', lambda: envelope(envelope(jws(request())))),
    'a claim on a forged one': ('bad-signature', lambda: envelope(jws(request(), by=stranger), claim='two')),
    'a claim that is none': ('malformed', lambda: envelope(jws(request()), claim='../../etc')),
}

lines, expected, names = [(s, None) for s in good], collections.Counter(), list(KINDS)
for i in range(n):
    outcome, make = KINDS[names[i % len(names)]]
    s = make()
    if outcome != 'malformed' and len(s) < 30000:
        s = rnd.choice([lambda x: x, coded, lambda x: x if x.startswith('{') else envelope(x), lambda x: x if x.startswith('{') else coded(envelope(x))])(s)
    lines.append((s, outcome))
    expected[outcome] += 1
rnd.shuffle(lines)
for s, _ in lines:
    print(json.dumps(s))
print(json.dumps(expected), file=sys.stderr)
