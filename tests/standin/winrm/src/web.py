"""HTTP/1.1 by hand, since here a login belongs to a connection and framing is what is tested."""
import socket
import time

HEAD_MAX = 64 * 1024
REASONS = {200: 'OK', 400: 'Bad Request', 401: 'Unauthorized', 403: 'Forbidden', 404: 'Not Found',
           405: 'Method Not Allowed', 411: 'Length Required', 413: 'Request Entity Too Large',
           415: 'Unsupported Media Type', 500: 'Internal Server Error', 503: 'Service Unavailable'}


class Gone(Exception):
    """The peer has closed, or the connection is to be closed without a word."""


class Bad(Exception):
    """A request that is refused below SOAP: status and why."""

    def __init__(self, status, why, close=True):
        super().__init__(why)
        self.status, self.why, self.close = status, why, close


class Request:
    def __init__(self, method, target, headers):
        self.method, self.target, self.headers = method, target, headers
        self.body = b''

    def all(self, name):
        return [v for n, v in self.headers if n == name]

    def get(self, name):
        values = self.all(name)
        if len(values) > 1:
            raise Bad(400, f'{len(values)} headers {name}')
        return values[0] if values else None


class Wire:
    """One connection: whole requests in, whole answers out."""

    def __init__(self, sock):
        self.sock, self.left = sock, b''

    def _more(self, until):
        self.sock.settimeout(max(0.001, until - time.monotonic()))
        try:
            got = self.sock.recv(65536)
        except OSError as e:
            raise Gone(str(e)) from e
        if not got:
            raise Gone('closed by the peer')
        self.left += got

    def read(self, idle_s, whole_s, body_max):
        """The next request; its first byte within idle_s, all of it whole_s later."""
        until = time.monotonic() + idle_s
        while not self.left:
            self._more(until)
        until = time.monotonic() + whole_s
        while b'\r\n\r\n' not in self.left:
            if len(self.left) > HEAD_MAX:
                raise Bad(400, 'headers without an end')
            self._more(until)
        head, self.left = self.left.split(b'\r\n\r\n', 1)
        r = self._head(head)
        n = r.get('content-length')
        if r.get('transfer-encoding') is not None or n is None:
            raise Bad(411, 'no Content-Length')
        if not n.isascii() or not n.isdigit():
            raise Bad(400, f'Content-Length: {n}')
        if int(n) > body_max:
            raise Bad(413, f'{n} bytes, {body_max} at most')
        if r.get('expect') is not None:
            raise Bad(400, 'Expect: a client that sends all at once is expected')
        while len(self.left) < int(n):
            self._more(until)
        r.body, self.left = self.left[:int(n)], self.left[int(n):]
        return r

    @staticmethod
    def _head(head):
        lines = head.decode('latin-1').split('\r\n')
        words = lines[0].split(' ')
        if '\n' in head.decode('latin-1').replace('\r\n', '') or len(words) != 3:
            raise Bad(400, f'request line: {lines[0][:80]!r}')
        if words[2] != 'HTTP/1.1':
            raise Bad(400, f'version {words[2]}')
        headers = []
        for line in lines[1:]:
            name, colon, value = line.partition(':')
            if not colon or not name or name != name.strip():
                raise Bad(400, f'header: {line[:80]!r}')
            headers.append((name.lower(), value.strip()))
        r = Request(words[0], words[1], headers)
        if r.get('host') is None:
            raise Bad(400, 'no Host')
        return r

    def write(self, status, headers, body, how=None):
        """how: cut ("headers", "body"), segments (bytes each)."""
        how = how or {}
        lines = [f'HTTP/1.1 {status} {REASONS.get(status, "")}']
        lines += [f'{n}: {v}' for n, v in headers]
        lines += ['Server: Microsoft-HTTPAPI/2.0', f'Content-Length: {len(body)}']
        head = '\r\n'.join(lines).encode('latin-1') + b'\r\n\r\n'
        self.sock.settimeout(30)
        try:
            if how.get('cut') == 'headers':
                self.sock.sendall(head[:len(head) // 2])
                raise Gone('cut amid the headers, as ordered')
            if how.get('cut') == 'body':
                self.sock.sendall(head + body[:len(body) // 2])
                raise Gone('cut amid the body, as ordered')
            n = int(how.get('segments') or 0)
            if n <= 0:
                self.sock.sendall(head + body)
                return
            data = head + body
            for i in range(0, len(data), n):
                self.sock.sendall(data[i:i + n])
                time.sleep(0.0005)
        except OSError as e:
            raise Gone(str(e)) from e

    def close(self):
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()
