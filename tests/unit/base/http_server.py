#!/usr/bin/env python3
"""A web server that misbehaves to order, for test_http.c.

    http_server.py DIR

makes certificates in DIR (which is ours to write to), listens on loopback ports of the kernel's
choice, prints one line, and ends when its standard input does:

    good=N wronghost=N stranger=N old=N plain=N proxy=N mutual=N

good       TLS, its certificate is for localhost and 127.0.0.1, by DIR/ca.pem
wronghost  the same authority, but for other.example
stranger   for localhost, by an authority that nobody knows
old        TLS 1.1 and nothing newer
plain      no TLS
mutual     as good, for who shows a certificate by DIR/ca.pem (DIR/client.pem: one, with its key)
proxy      CONNECT, for cordon:pass%word: it keeps the lines it was sent for /seen?name=proxy

A request for /ACTION?name=NAME&times=N is counted under NAME; the action is taken the first N times
(without `times`: always), and after that the answer is as for /ok, which echoes the request.
"""
import base64
import gzip
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
import warnings
from email.utils import formatdate
from urllib.parse import parse_qs, urlsplit

warnings.simplefilter("ignore", DeprecationWarning)  # TLS 1.1 is what `old` is for
counts = {}
lines = {}
lock = threading.Lock()
connections = 0


def run(*args):
    subprocess.run(args, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)


def make_certificates(folder):
    def at(name):
        return os.path.join(folder, name)

    for ca in ("ca", "strange-ca"):
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-days", "2", "-subj", "/CN=" + ca, "-keyout", at(ca + ".key"), "-out",
            at(ca + ".pem"), "-addext", "basicConstraints=critical,CA:TRUE", "-addext",
            "keyUsage=critical,keyCertSign,cRLSign")
    for name, ca, names in (("good", "ca", "DNS:localhost,IP:127.0.0.1"),
                            ("wronghost", "ca", "DNS:other.example"),
                            ("stranger", "strange-ca", "DNS:localhost,IP:127.0.0.1")):
        run("openssl", "req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=" + name, "-keyout",
            at(name + ".key"), "-out", at(name + ".csr"))
        with open(at(name + ".ext"), "w", encoding="ascii") as f:
            f.write("subjectAltName=" + names + "\n")
        run("openssl", "x509", "-req", "-in", at(name + ".csr"), "-CA", at(ca + ".pem"), "-CAkey",
            at(ca + ".key"), "-CAcreateserial", "-days", "2", "-extfile", at(name + ".ext"), "-out",
            at(name + ".pem"))
    with open(at("client.pem"), "w", encoding="ascii") as f:
        for part in ("good.pem", "good.key"):
            with open(at(part), encoding="ascii") as g:
                f.write(g.read())


def context(folder, name, old=False):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if old:
        c.minimum_version = ssl.TLSVersion.TLSv1
        c.maximum_version = ssl.TLSVersion.TLSv1_1
        c.set_ciphers("ALL:@SECLEVEL=0")
    c.load_cert_chain(os.path.join(folder, name + ".pem"), os.path.join(folder, name + ".key"))
    return c


class Request:
    """One request, read whole. None of its bytes is left in the connection."""

    def __init__(self, f):
        first = f.readline(65536)
        if not first:
            raise EOFError
        self.method, self.target, _ = first.decode("ascii").split(" ", 2)
        self.headers = []
        while True:
            line = f.readline(200000)
            if line in (b"\r\n", b""):
                break
            name, value = line.decode("latin-1").rstrip("\r\n").split(":", 1)
            self.headers.append((name, value.strip()))
        self.body = f.read(int(self.get("content-length") or 0))
        url = urlsplit(self.target)
        self.action = url.path.strip("/")
        self.query = {k: v[0] for k, v in parse_qs(url.query).items()}

    def get(self, name):
        for k, v in self.headers:
            if k.lower() == name:
                return v
        return None


def answer(status, headers, body, length=True):
    head = ["HTTP/1.1 %d Whatever" % status]
    if length:
        head.append("Content-Length: %d" % len(body))
    head += headers
    return ("\r\n".join(head) + "\r\n\r\n").encode("latin-1") + body


def echo(r, connection, count):
    return answer(200, ["Content-Type: application/json"], json.dumps({
        "n": count, "connection": connection, "method": r.method, "target": r.target,
        "headers": [k + ": " + v for k, v in r.headers], "body": r.body.decode("latin-1"),
    }).encode())


def serve_one(s, r, connection, nth):
    """True: the connection may go on."""
    name = r.query.get("name", r.target)
    with lock:
        counts.setdefault(name, 0)
        if r.action != "seen":
            counts[name] += 1
        count = counts[name]
        lines.setdefault(name, []).append(r.method + " " + r.target)
    if r.action == "seen":
        s.sendall(answer(200, [], json.dumps({"n": count, "lines": lines.get(name, [])}).encode()))
        return True
    if r.action == "ok" or count > int(r.query.get("times", "1000000")):
        s.sendall(echo(r, connection, count))
        return True

    if r.action.startswith("status/"):
        headers = ["request-id: server-%d" % count]
        now = int(time.time())
        if "after" in r.query:
            headers.append("Retry-After: " + r.query["after"])
        if "later" in r.query:  # an HTTP date, against a clock of our own that is days behind
            past = now - 7 * 86400
            headers.append("Date: " + formatdate(past, usegmt=True))
            headers.append("Retry-After: " + formatdate(past + int(r.query["later"]), usegmt=True))
        if "reset" in r.query:
            past = now - 7 * 86400
            headers.append("Date: " + formatdate(past, usegmt=True))
            headers.append("X-Rate-Limit-Reset: %d" % (past + int(r.query["reset"])))
        body = b"<html>not you</html>" if "html" in r.query else b"{\"error\":{}}"
        s.sendall(answer(int(r.action[7:]), headers, body))
        return True
    if r.action == "redirect":
        s.sendall(answer(302, ["Location: /ok?name=redirected"], b""))
        return True
    if r.action == "empty":
        s.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        return True
    if r.action == "expect":
        s.sendall(answer(204, ["X-Late: %s" % (r.get("expect") or "nothing")], b"", False))
        return True
    if r.action == "interim":
        s.sendall(b"HTTP/1.1 103 Early Hints\r\nX-Early: 1\r\n\r\n" +
                  answer(200, ["X-Late: 1", "X-Late:  2 "], b"late"))
        return True
    if r.action == "trailers":
        s.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Head: 1\r\n\r\n"
                  b"3\r\nabc\r\n0\r\nX-Head: 2\r\nX-Trailer: 1\r\n\r\n")
        return True
    if r.action == "cookie":
        s.sendall(answer(200, ["Set-Cookie: a=b"], b""))
        return True
    if r.action == "gzip":
        s.sendall(answer(200, ["Content-Encoding: gzip"], gzip.compress(b"packed")))
        return True
    if r.action == "cut":
        return False
    if r.action == "cut_head":
        s.sendall(b"HTTP/1.1 200 OK\r\nContent-Le")
        return False
    if r.action == "cut_head2":  # all the lines, but for the empty one
        s.sendall(b"HTTP/1.1 204 No Content\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n")
        return False
    if r.action == "cut_chunk":
        s.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n{\"half\":\r\n")
        return False
    if r.action == "until_close":
        s.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall of it")
        try:
            s.unwrap()
        except OSError:
            pass
        return False
    if r.action == "cut_body":
        s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"half\":")
        return False
    if r.action == "cut_second":  # the second request of a connection is read, and then it is gone
        if nth == 1:
            s.sendall(echo(r, connection, count))
            return True
        return False
    if r.action == "close_after":  # says nothing of it, and is gone
        s.sendall(echo(r, connection, count))
        return False
    if r.action in ("hang", "hang_body"):
        if r.action == "hang_body":
            s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"half\":")
        s.settimeout(60)
        try:
            s.recv(1)
        except OSError:
            pass
        return False
    if r.action == "huge":
        s.sendall(answer(200, [], b"x" * (1 << 20)))
        return True
    if r.action == "huge_chunked":
        s.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(64):
            s.sendall(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")
        s.sendall(b"0\r\n\r\n")
        return True
    if r.action == "bomb":
        s.sendall(answer(200, ["Content-Encoding: gzip"], gzip.compress(b"\0" * (32 << 20))))
        return True
    if r.action == "many_headers":
        s.sendall(answer(200, ["X-%d: y" % i for i in range(250)], b"x"))
        return True
    if r.action == "big_headers":
        s.sendall(answer(200, ["X-%d: %s" % (i, "y" * 8000) for i in range(9)], b"x"))
        return True
    if r.action == "junk":
        s.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
        return False
    s.sendall(answer(404, [], b""))
    return True


def serve(s, ctx, connection):
    try:
        if ctx is not None:
            s = ctx.wrap_socket(s, server_side=True)
        f = s.makefile("rb")
        nth = 0
        while True:
            r = Request(f)
            nth += 1
            if not serve_one(s, r, connection, nth):
                break
    except (EOFError, OSError, ValueError):
        pass
    finally:
        try:
            s.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        s.close()


def pump(a, b):
    try:
        while True:
            data = a.recv(65536)
            if not data:
                break
            b.sendall(data)
    except OSError:
        pass
    for s in (a, b):
        try:
            s.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def serve_proxy(s, _ctx, _connection):
    f = s.makefile("rb", buffering=0)
    head = b""
    while not head.endswith(b"\r\n\r\n") and len(head) < 65536:
        c = f.read(1)
        if not c:
            return
        head += c
    text = head.decode("latin-1")
    with lock:
        lines.setdefault("proxy", []).extend(text.split("\r\n"))
        counts["proxy"] = counts.get("proxy", 0) + 1
    want = "Proxy-Authorization: Basic " + base64.b64encode(b"cordon:pass%word").decode()
    if want not in text:
        s.sendall(b"HTTP/1.1 407 Who are you\r\nProxy-Authenticate: Basic realm=x\r\n"
                  b"Content-Length: 0\r\n\r\n")
        s.close()
        return
    host, port = text.split(" ")[1].rsplit(":", 1)
    try:
        out = socket.create_connection(("127.0.0.1", int(port)))
    except OSError:
        s.sendall(b"HTTP/1.1 502 No\r\nContent-Length: 0\r\n\r\n")
        s.close()
        return
    s.sendall(b"HTTP/1.1 200 Connected\r\nX-Proxy: " + host.encode() + b"\r\n\r\n")
    threading.Thread(target=pump, args=(out, s), daemon=True).start()
    pump(s, out)


def listen(how, ctx):
    global connections
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)

    def accept():
        global connections
        while True:
            s, _ = listener.accept()
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with lock:
                connections += 1
                n = connections
            threading.Thread(target=how, args=(s, ctx, n), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return listener.getsockname()[1]


def main():
    folder = sys.argv[1]
    make_certificates(folder)
    good = context(folder, "good")
    mutual = context(folder, "good")
    mutual.verify_mode = ssl.CERT_REQUIRED
    mutual.load_verify_locations(os.path.join(folder, "ca.pem"))
    print("good=%d wronghost=%d stranger=%d old=%d plain=%d proxy=%d mutual=%d" % (
        listen(serve, good), listen(serve, context(folder, "wronghost")),
        listen(serve, context(folder, "stranger")), listen(serve, context(folder, "good", True)),
        listen(serve, None), listen(serve_proxy, None), listen(serve, mutual)), flush=True)
    sys.stdin.read()


main()
