"""Listeners and connections: HTTP, TLS, login, the sealed form; what is inside goes to service.py.

A thread a connection. A login belongs to its connection, and so does its security context.
"""
import itertools
import socket
import ssl
import threading
import time
import traceback

import login
import seal
import soap
from web import Bad, Gone, Wire

MUTUAL = 'http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual'
numbers = itertools.count(1)


class Connection:
    def __init__(self, server, sock, peer, tls):
        self.server, self.dc, self.tls = server, server.dc, tls
        self.n = next(numbers)
        self.peer = f'{peer[0]}:{peer[1]}'
        self.wire = Wire(sock)
        self.login = None       # Login, once it is complete
        self.half = None        # a Login that needs another leg
        self.cert_user = None

    @property
    def user(self):
        return self.login.user if self.login else self.cert_user

    # --- one connection ---

    def run(self):
        with self.dc.lock:
            self.dc.conns[self.n] = self
            self.dc.lock.notify_all()
        try:
            if self.tls:
                self.wire.sock.settimeout(15)
                self.wire.sock = self.server.tls_context.wrap_socket(self.wire.sock, server_side=True)
            while self.one():
                pass
        except (Gone, OSError):
            pass
        except Exception:
            with self.dc.lock:
                self.dc.violation('the stand-in is broken: ' + traceback.format_exc())
        finally:
            with self.dc.lock:
                self.dc.conns.pop(self.n, None)
                self.dc.lock.notify_all()
            self.wire.close()

    def one(self):
        """One request; false: that was the last."""
        s = self.dc.settings
        self.about = {'conn': self.n, 'tls': self.tls, 'user': self.user}
        try:
            r = self.wire.read(s['idle_ms'] / 1000, 120, s['max_envelope_kb'] * 1024)
            self.about['headers'] = {n: v for n, v in r.headers if n != 'authorization'}
            return self.serve(r) and (r.get('connection') or '').lower() != 'close'
        except Bad as e:
            with self.dc.lock:
                self.dc.violation(e.why, status=e.status, **self.about)
            self.refuse(e.status, close=e.close)
            return not e.close

    def serve(self, r):
        if r.method != 'POST':
            raise Bad(405, f'method {r.method}')
        if r.target.partition('?')[0] != '/wsman':
            raise Bad(404, f'{r.target} is not /wsman')
        auth = r.get('authorization')
        extra = []
        if auth is not None:
            extra = self.authenticate(auth)
            if extra is None:
                return True                 # answered: another leg, or refused
            if not r.body:
                self.wire.write(200, extra, b'')
                return True
            if not self.tls:
                raise Bad(400, 'a body beside the token, over HTTP')
        elif r.get('wsmanidentify') is not None:
            return self.anonymous(r)
        elif self.user is None:
            self.unknown(r)
            return True
        if self.login is not None and self.login.ctx.lifetime is not None and self.login.ctx.lifetime <= 0:
            self.login = None
            self.refuse(401)
            return True
        text, charset, sealed = self.open(r)
        return self.answer(text, charset, sealed, extra)

    def unknown(self, r):
        """No login on this connection."""
        if seal.is_sealed(r.get('content-type')):
            self.note('a sealed message on a connection without a login')
        elif r.body and not self.tls and not self.dc.settings['allow_unencrypted']:
            self.note('SOAP in clear, and without a login')
        with self.dc.lock:
            self.dc.request(op='Unauthenticated', bytes=len(r.body), status=401, **self.about)
        self.refuse(401)

    def note(self, why):
        with self.dc.lock:
            self.dc.violation(why, **self.about)

    def refuse(self, status, close=False):
        headers = []
        if status == 401:
            headers = [('WWW-Authenticate', s) for s in self.dc.settings['schemes']]
        if close:
            headers.append(('Connection', 'close'))
        self.wire.write(status, headers, b'')

    # --- login ---

    def authenticate(self, value):
        """Headers for the answer once the login is complete; None: answered here."""
        s = self.dc.settings
        if value == MUTUAL:
            return self.certificate()
        scheme, token = login.token_of(value)
        with self.dc.lock:
            do = self.dc.fault_for('Login', conn=self.n)
            note = self.dc.request(op='Login', scheme=scheme, status=401, **self.about)
        if self.misbehave_before(do, note):
            return None
        if scheme not in s['schemes'] or scheme not in ('Negotiate', 'Kerberos'):
            raise Bad(401, f'scheme {scheme} is not offered', close=False)
        if self.half is None or self.half.scheme != scheme:
            binding = None
            if self.tls and s['cbt'] != 'None':
                binding = login.end_point(self.server.certificate)
            self.half = login.Login(self.server.keytab, scheme, token, binding)
        self.login, mine = None, self.half
        try:
            out = mine.step(token)
            if mine.done:
                mine.finish(self.tls, s['cbt'])
        except Bad:
            self.half = None
            raise
        if do.get('token') == 'garbage':
            out = b'\xa1\x07\x30\x05\xa0\x03\x0a\x01\x02'      # SPNEGO: reject
        headers = [('WWW-Authenticate', f'{scheme} {login.base64.b64encode(out).decode()}')] if out else []
        if do.get('token') == 'none':
            headers = []
        if not mine.done:
            self.wire.write(401, headers, b'')
            return None
        self.half, self.login = None, mine
        note.update(status=200, user=mine.user, kind=mine.kind, bound=mine.bound, flags=mine.flags)
        self.about['user'] = mine.user
        if s['persistent_auth']:
            headers.append(('Persistent-Auth', 'true'))
        return headers

    def certificate(self):
        users = self.dc.settings['certificate_users']
        cert = self.wire.sock.getpeercert() if self.tls else None
        names = [v for part in (cert or {}).get('subject', ()) for k, v in part if k == 'commonName']
        user = users.get(names[0]) if names else None
        with self.dc.lock:
            self.dc.request(op='Login', scheme='certificate', status=200 if user else 401, **self.about)
        if user is None:
            raise Bad(401, f'client certificate {names or "none"}: no such mapping', close=False)
        self.cert_user = self.about['user'] = user
        return []

    # --- messages ---

    def open(self, r):
        """Text of a request, its charset, and whether it came sealed."""
        ctype = r.get('content-type') or ''
        if seal.is_sealed(ctype):
            if self.tls or self.login is None:
                raise Bad(400, 'sealed message inside TLS, or without Kerberos')
            token, data, length, charset = seal.read(r.body, ctype, self.login.kind if self.login.scheme == 'Negotiate' else 'krb5')
            plain = self.login.unseal(token, data)
            if len(plain) != length:
                raise Bad(400, f'Length={length}, and {len(plain)} bytes inside')
            return self.decode(plain, charset), charset, True
        if not self.tls and not self.dc.settings['allow_unencrypted']:
            raise Bad(500, 'SOAP in clear over HTTP')
        m = soap.re.match(r'application/soap\+xml\s*;\s*charset="?(UTF-8|UTF-16)"?\Z', ctype, soap.re.I)
        if m is None:
            raise Bad(415, f'Content-Type {ctype!r}')
        return self.decode(r.body, m[1].upper()), m[1].upper(), False

    @staticmethod
    def decode(data, charset):
        try:
            if charset == 'UTF-16' and data[:2] not in (b'\xff\xfe', b'\xfe\xff'):
                return data.decode('utf-16-le')
            return data.decode('utf-16' if charset == 'UTF-16' else 'utf-8-sig')
        except UnicodeDecodeError as e:
            raise Bad(400, f'no {charset}: {e}') from e

    def answer(self, text, charset, sealed, extra):
        service, dc = self.server.service, self.dc
        writer = soap.Writer(dc.settings['manner'].get('prefixes'))
        env, op, fault = None, 'Unreadable', None
        with dc.lock:
            try:
                env = soap.Envelope(text)
                op = service.name_of(env)
            except soap.Fault as f:
                fault = f
            do = dc.fault_for(op, self.user, text, self.n)
            note = dc.request(op=op, sealed=sealed, charset=charset, body=text, status=0, fault=None, faulted=bool(do), **self.about)
        how = {**dc.settings['manner'], **do}
        if how.get('prefixes'):
            writer = soap.Writer(how['prefixes'])
        if (not do.get('after') and self.misbehave_before(do, note)):
            return True
        if do.get('fault') is not None and not do.get('after'):
            fault = self.ordered_fault(do['fault'])
        relates_to = how.get('relatesTo') or (env.message_id if env else None)
        status = 200
        try:
            if fault is not None:
                raise fault
            xml = service.handle(env, op, self, writer, how)
            if do.get('after'):
                if self.misbehave_before(do, note):
                    return True
                if do.get('fault') is not None:
                    raise self.ordered_fault(do['fault'])
        except soap.Fault as f:
            status = 500
            note['fault'] = f.code
            if not f.honest:
                with dc.lock:
                    dc.violation(f'{op}: {f}', fault=f.code, **self.about)
            xml = soap.fault_answer(writer, f, relates_to, dc.host)
        note['status'] = status
        if how.get('relatesTo') and env and env.message_id:
            xml = xml.replace(env.message_id, how['relatesTo'])
        if how.get('delayAfter'):
            time.sleep(how['delayAfter'] / 1000)
        note['sending'] = time.time()
        self.send(status, xml, charset, sealed, extra, how)
        with dc.lock:
            note['answered'] = True
            dc.lock.notify_all()
        if how.get('logout'):
            self.login = self.cert_user = None
        return not how.get('close')

    @staticmethod
    def ordered_fault(f):
        f = f if isinstance(f, dict) else {'code': f}
        return soap.Fault(f.get('code', 0), f.get('reason'), f.get('subcode'), f.get('outer'), honest=True)

    def misbehave_before(self, do, note):
        """What ends the request without an answer of ours; true: it is answered."""
        if do.get('delay'):
            time.sleep(do['delay'] / 1000)
        if do.get('hang'):
            note['hangs'] = True
            self.wire.sock.settimeout(600)
            try:
                while self.wire.sock.recv(4096):
                    pass
            except OSError:
                pass
            raise Gone('hung until the peer closed')
        if do.get('cut') == 'before':
            raise Gone('closed without an answer, as ordered')
        if do.get('status'):
            note['status'] = do['status']
            headers = [(k, str(v)) for k, v in do.get('headers', {}).items()]
            if do['status'] == 401:
                headers += [('WWW-Authenticate', s) for s in self.dc.settings['schemes']]
                if do.get('logout', True):
                    self.login = self.half = self.cert_user = None
            self.wire.write(do['status'], headers, b'', do)
            return True
        return False

    def send(self, status, xml, charset, sealed, extra, how):
        for old, new in how.get('replace') or ():
            xml = xml.replace(old, new)
        charset = how.get('charset') or charset
        plain = xml.encode('utf-16-le' if charset == 'UTF-16' else 'utf-8')
        if how.get('bom'):
            plain = '\ufeff'.encode('utf-16-le' if charset == 'UTF-16' else 'utf-8') + plain
        ctype, body = f'application/soap+xml;charset={charset}', plain
        if sealed and not how.get('plain'):
            if how.get('gap'):
                self.login.seal(b'never sent')
            token, data = self.login.seal(plain)
            if how.get('corrupt'):
                data = data[:-1] + bytes([data[-1] ^ 1])
            ctype, body = seal.write(token, data, len(plain), charset,
                                     self.login.kind if self.login.scheme == 'Negotiate' else 'krb5', how)
        headers = [*extra, ('Content-Type', how.get('rawType') or ctype)]
        headers += [(k, str(v)) for k, v in (how.get('headers') or {}).items()]
        if how.get('close'):
            headers.append(('Connection', 'close'))
        self.wire.write(status, headers, body, how)

    def anonymous(self, r):
        """Identify without a login: in clear even over HTTP."""
        text = self.decode(r.body, 'UTF-16' if 'utf-16' in (r.get('content-type') or '').lower() else 'UTF-8')
        with self.dc.lock:
            do = self.dc.fault_for('Identify', conn=self.n)
            note = self.dc.request(op='Identify', anonymous=True, body=text, status=200, **self.about)
        if self.misbehave_before(do, note):
            return True
        try:
            if not soap.Envelope(text).identify:
                raise Bad(401, 'WSMANIDENTIFY, and no Identify', close=False)
        except soap.Fault as f:
            raise Bad(500, str(f), close=False) from f
        how = {**self.dc.settings['manner'], **do}
        xml = self.server.service.identify(soap.Writer(how.get('prefixes')), logged_in=False)
        self.send(200, xml, 'UTF-8', False, [], how)
        return not how.get('close')


class Server:
    def __init__(self, dc, service, keytab, certificate=None, tls_context=None):
        self.dc, self.service, self.keytab = dc, service, keytab
        self.certificate, self.tls_context = certificate, tls_context

    def listen(self, addr, port, tls):
        """The port that it listens on."""
        sock = socket.create_server((addr, port), backlog=64)
        threading.Thread(target=self.accept, args=(sock, tls), daemon=True).start()
        return sock.getsockname()[1]

    def accept(self, listener, tls):
        while True:
            sock, peer = listener.accept()
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=Connection(self, sock, peer, tls).run, daemon=True).start()


def tls_context(cert, key, client_ca):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    c.minimum_version = ssl.TLSVersion.TLSv1_2
    c.load_cert_chain(cert, key)
    c.load_verify_locations(client_ca)
    c.verify_mode = ssl.CERT_OPTIONAL
    return c
