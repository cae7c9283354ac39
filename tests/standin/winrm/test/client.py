"""A WinRM client for the self-test: python3-gssapi and a socket, written from the specifications and
not from cordon's code. What it does wrong is what a test tells it to."""
import base64
import re
import socket
import ssl
import struct
import uuid

import gssapi
import gssapi.raw as gss

SPNEGO, KRB5 = (gssapi.OID.from_int_seq(o) for o in ('1.3.6.1.5.5.2', '1.2.840.113554.1.2.2'))
FLAGS = sum(int(f) for f in (gssapi.RequirementFlag.mutual_authentication, gssapi.RequirementFlag.confidentiality,
                             gssapi.RequirementFlag.integrity, gssapi.RequirementFlag.replay_detection,
                             gssapi.RequirementFlag.out_of_sequence_detection))
PROTOCOL = {'Negotiate': 'HTTP-SPNEGO-session-encrypted', 'Kerberos': 'HTTP-Kerberos-session-encrypted'}


class Client:
    def __init__(self, host, port, tls_ca=None, cert=None):
        self.host, self.port, self.ctx = host, port, None
        self.sock = socket.create_connection((host, port), timeout=30)
        if tls_ca:
            c = ssl.create_default_context(cafile=tls_ca)
            if cert:
                c.load_cert_chain(cert)
            self.sock = c.wrap_socket(self.sock, server_hostname=host)
        self.file = self.sock.makefile('rb')
        self.tls = bool(tls_ca)
        self.url = f'http{"s" if tls_ca else ""}://{host}:{port}/wsman'

    def close(self):
        self.file.close()
        self.sock.close()

    def post(self, body, *headers, raw=None):
        """Status, headers (list of pairs, names in lower case), body. raw: sent as it is."""
        head = ''.join(f'{h}\r\n' for h in ('POST /wsman HTTP/1.1', f'Host: {self.host}:{self.port}', *headers,
                                            f'Content-Length: {len(body)}'))
        self.sock.sendall(raw if raw is not None else head.encode() + b'\r\n' + body)
        status = self.file.readline()
        if not status:
            raise ConnectionError('closed without an answer')
        lines = []
        while (line := self.file.readline()) != b'\r\n':
            if not line.endswith(b'\r\n'):
                raise ConnectionError('cut amid the headers')
            n, _, v = line.decode().partition(':')
            lines.append((n.lower(), v.strip()))
        length = int(dict(lines).get('content-length', 0))
        data = self.file.read(length)
        if len(data) != length:
            raise ConnectionError('cut amid the answer')
        return int(status.split()[1]), lines, data

    def login(self, scheme='Negotiate', flags=FLAGS, binding=None, service='HTTP', mech=None):
        self.scheme = scheme
        name = gssapi.Name(f'{service}/{self.host}', gssapi.NameType.kerberos_principal)
        cb = gss.ChannelBindings(application_data=binding) if binding else None
        self.ctx = gssapi.SecurityContext(name=name, mech=mech or (SPNEGO if scheme == 'Negotiate' else KRB5),
                                          flags=flags, usage='initiate', channel_bindings=cb)
        token, status = self.ctx.step(), 0
        while token:
            status, headers, _ = self.post(b'', f'Authorization: {scheme} {base64.b64encode(token).decode()}')
            got = [v[len(scheme) + 1:] for n, v in headers if n == 'www-authenticate' and v.startswith(scheme + ' ')]
            if not got:
                break
            token = self.ctx.step(base64.b64decode(got[0]))
        return status

    def seal(self, xml, tab='', wrap=False, charset='UTF-8', length=None, boundary='Encrypted Boundary'):
        """Content-Type and body of the sealed form."""
        plain = xml.encode('utf-16-le' if charset == 'UTF-16' else 'utf-8')
        if wrap:
            made = gss.wrap(self.ctx, plain, confidential=True).message
            token, data = made[:60], made[60:]
        else:
            iov = gss.IOV(gss.IOVBufferType.header, plain, gss.IOVBufferType.padding, std_layout=False)
            gss.wrap_iov(self.ctx, iov, confidential=True)
            token, data = iov[0].value, iov[1].value + (iov[2].value or b'')
        protocol = 'application/' + PROTOCOL[self.scheme]
        head = (f'--{boundary}\r\n{tab}Content-Type: {protocol}\r\n{tab}OriginalContent: type=application/soap+xml;'
                f'charset={charset};Length={len(plain) if length is None else length}\r\n--{boundary}\r\n'
                f'{tab}Content-Type: application/octet-stream\r\n')
        body = head.encode() + struct.pack('<I', len(token)) + token + data + f'--{boundary}--\r\n'.encode()
        return f'Content-Type: multipart/encrypted;protocol="{protocol}";boundary="{boundary}"', body

    def unseal(self, body):
        m = re.search(rb'Length=(\d+)\r\n.*?application/octet-stream\r\n', body, re.S)
        payload = body[m.end():body.rindex(b'--', 0, body.rindex(b'Encrypted Boundary--') + 1)]
        n = struct.unpack('<I', payload[:4])[0]
        iov = gss.IOV((gss.IOVBufferType.header, False, payload[4:4 + n]), payload[4 + n:], std_layout=False)
        assert gss.unwrap_iov(self.ctx, iov).encrypted
        assert len(iov[1].value) == int(m[1]), 'Length'
        return iov[1].value, re.search(rb'charset=(UTF-16|UTF-8)', body)[1].decode()

    def call(self, xml, **how):
        """Status and text of the answer: sealed over HTTP, as it is inside TLS."""
        if self.tls:
            status, headers, data = self.post(xml.encode(), 'Content-Type: application/soap+xml;charset=UTF-8')
            return status, data.decode()
        kind, body = self.seal(xml, **how)
        status, headers, data = self.post(body, kind)
        ctype = dict(headers).get('content-type', '')
        if not ctype.startswith('multipart/encrypted'):
            return status, data.decode('latin-1')
        plain, charset = self.unseal(data)
        return status, plain.decode('utf-16' if plain[:2] == b'\xff\xfe' else 'utf-16-le' if charset == 'UTF-16' else 'utf-8')


NAMESPACES = ' '.join(f'xmlns:{p}="{u}"' for p, u in (
    ('s', 'http://www.w3.org/2003/05/soap-envelope'), ('a', 'http://schemas.xmlsoap.org/ws/2004/08/addressing'),
    ('n', 'http://schemas.xmlsoap.org/ws/2004/09/enumeration'), ('e', 'http://schemas.xmlsoap.org/ws/2004/08/eventing'),
    ('w', 'http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd'), ('p', 'http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd')))
IDENTIFY = ('<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:i="http://schemas.dmtf.org/wbem/wsman/identity/1/'
            'wsmanidentity.xsd"><s:Header/><s:Body><i:Identify/></s:Body></s:Envelope>')
EVENTLOG = 'http://schemas.microsoft.com/wbem/wsman/1/windows/EventLog'
E, N = 'http://schemas.xmlsoap.org/ws/2004/08/eventing', 'http://schemas.xmlsoap.org/ws/2004/09/enumeration'
QUERY = ("<QueryList><Query Id='0'><Select Path='Security'>*[System[Provider[@Name='Microsoft-Windows-Security-Auditing'] and "
         "(EventID=4722 or EventID=4723 or EventID=4724 or EventID=4725 or EventID=4726 or EventID=4738 or EventID=4740 or "
         "EventID=4767 or EventID=4781)]]</Select></Query></QueryList>")


def envelope(url, action, body, header='', resource=EVENTLOG, timeout=5.0, message_id=None, size=512000, leave_out=()):
    parts = {'To': f'<a:To>{url}</a:To>', 'ResourceURI': f'<w:ResourceURI s:mustUnderstand="true">{resource}</w:ResourceURI>',
             'ReplyTo': '<a:ReplyTo><a:Address s:mustUnderstand="true">http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous'
                        '</a:Address></a:ReplyTo>',
             'Action': f'<a:Action s:mustUnderstand="true">{action}</a:Action>',
             'MaxEnvelopeSize': f'<w:MaxEnvelopeSize s:mustUnderstand="true">{size}</w:MaxEnvelopeSize>',
             'MessageID': f'<a:MessageID>{message_id or "uuid:" + str(uuid.uuid4()).upper()}</a:MessageID>',
             'Locale': '<w:Locale xml:lang="en-US" s:mustUnderstand="false"/>',
             'OperationTimeout': f'<w:OperationTimeout>PT{timeout:.3f}S</w:OperationTimeout>'}
    inner = ''.join(v for k, v in parts.items() if k not in leave_out)
    return f'<s:Envelope {NAMESPACES}><s:Header>{inner}{header}</s:Header><s:Body>{body}</s:Body></s:Envelope>'
