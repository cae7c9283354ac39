"""The multipart/encrypted form (winrm.md 2.4): read to the byte, written with every manner seen."""
import re
import struct

from web import Bad

KINDS = {'spnego': 'application/HTTP-SPNEGO-session-encrypted',
         'krb5': 'application/HTTP-Kerberos-session-encrypted'}
BOUNDARY = 'Encrypted Boundary'


def is_sealed(content_type):
    return (content_type or '').strip().lower().startswith('multipart/')


def read(body, content_type, kind):
    """Token, sealed bytes, Length, charset; Bad(400) for what is not exactly the form."""
    protocol = KINDS[kind]
    wanted = f'multipart/encrypted;protocol="{protocol}";boundary="{BOUNDARY}"'
    if re.sub(r';\s+', ';', content_type) != wanted:
        raise Bad(400, f'Content-Type {content_type!r}, not {wanted!r}')
    head = re.compile(
        (r'--Encrypted Boundary\r\n'
         r'(\t?)Content-Type: ' + re.escape(protocol) + r'\r\n'
         r'(\t?)OriginalContent: type=application/soap\+xml;charset=(UTF-8|UTF-16);Length=([0-9]{1,9})\r\n'
         r'--Encrypted Boundary\r\n'
         r'(\t?)Content-Type: application/octet-stream\r\n').encode())
    m = head.match(body)
    if m is None:
        raise Bad(400, f'not the form of a sealed message: {body[:300]!r}')
    if len({m[1], m[2], m[5]}) != 1:
        raise Bad(400, 'a TAB before some part headers and not before others')
    end = b'--Encrypted Boundary--\r\n'
    if not body.endswith(end):
        raise Bad(400, f'the message ends with {body[-40:]!r}')
    payload = body[m.end():-len(end)]
    if len(payload) < 4:
        raise Bad(400, 'no room for the token\'s length')
    n = struct.unpack('<I', payload[:4])[0]
    if n == 0 or 4 + n > len(payload):
        raise Bad(400, f'token of {n} bytes in {len(payload)}')
    return payload[4:4 + n], payload[4 + n:], int(m[4]), m[3].decode()


def write(token, sealed, length, charset, kind, how):
    """Content-Type and body. how: tab, dashes, crlf, headerCase, wrongLength, noBoundary, spaces."""
    protocol = KINDS[kind]
    tab = '\t' if how.get('tab') else ''
    dash = '-- ' if how.get('dashes') else '--'
    ctype, original = 'Content-Type', 'OriginalContent'
    if how.get('headerCase'):
        ctype, original = 'content-type', 'originalcontent'
    if how.get('wrongLength'):
        length += int(how['wrongLength'])
    space = ' ' if how.get('spaces') else ''
    lead = (f'{dash}{BOUNDARY}\r\n{tab}{ctype}: {protocol}\r\n'
            f'{tab}{original}: type=application/soap+xml;{space}charset={charset};{space}Length={length}\r\n'
            f'{dash}{BOUNDARY}\r\n{tab}{ctype}: application/octet-stream\r\n')
    tail = f'{dash}{BOUNDARY}--\r\n' + ('\r\n' if how.get('crlf') else '')
    head = f'multipart/encrypted;{space}protocol="{protocol}";{space}boundary="{BOUNDARY}"'
    if how.get('noBoundary'):
        head = head.partition('boundary')[0].rstrip('; ')
    return head, lead.encode() + struct.pack('<I', len(token)) + token + sealed + tail.encode()
