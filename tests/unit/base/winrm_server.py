#!/usr/bin/env python3
"""A WinRM that misbehaves to order, for test_winrm.c; its Kerberos is the test's own make-believe.

    winrm_server.py DIR

makes certificates in DIR, listens on loopback ports of the kernel's choice, prints one line
"plain=N tls=N mutual=N wronghost=N", and ends when its standard input does.

A client that asks for /ACTION/NAME/TIMES gets ACTION the first TIMES times that it applies, after
that what is right. GET /seen/NAME says what was counted under NAME. What the make-believe is:
tokens C1, C2 ... of the client are answered by S1, S2 ...; a sealed message is its bytes XOR 0x5a
(the answer: 0xa5) behind a token of "SEAL" ("LAES") and the number of the message in this context.
"""
import base64
import os
import re
import socket
import ssl
import subprocess
import sys
import threading

counts = {}
lock = threading.Lock()
BOUNDARY = b"--Encrypted Boundary"
PROTOCOL = {"Negotiate": b"application/HTTP-SPNEGO-session-encrypted",
            "Kerberos": b"application/HTTP-Kerberos-session-encrypted"}


def run(*args):
    subprocess.run(args, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)


def make_certificates(folder):
    def at(name):
        return os.path.join(folder, name)

    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
        "-days", "2", "-subj", "/CN=ca", "-keyout", at("ca.key"), "-out", at("ca.pem"), "-addext",
        "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign")
    for name, names in (("good", "DNS:localhost"), ("wronghost", "DNS:other.example")):
        run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-subj", "/CN=" + name, "-keyout", at(name + ".key"), "-out", at(name + ".csr"))
        with open(at(name + ".ext"), "w", encoding="ascii") as f:
            f.write("subjectAltName=" + names + "\n")
        run("openssl", "x509", "-req", "-in", at(name + ".csr"), "-CA", at("ca.pem"), "-CAkey",
            at("ca.key"), "-CAcreateserial", "-days", "2", "-extfile", at(name + ".ext"), "-out",
            at(name + ".pem"))
    with open(at("client.pem"), "w", encoding="ascii") as f:
        for part in ("good.pem", "good.key"):
            with open(at(part), encoding="ascii") as g:
                f.write(g.read())
    os.chmod(at("client.pem"), 0o600)


def context(folder, name, mutual=False):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    c.load_cert_chain(os.path.join(folder, name + ".pem"), os.path.join(folder, name + ".key"))
    if mutual:
        c.verify_mode = ssl.CERT_REQUIRED
        c.load_verify_locations(os.path.join(folder, "ca.pem"))
    return c


def count(name, what):
    with lock:
        n = counts.setdefault(name, {})
        n[what] = n.get(what, 0) + 1
        return n[what]


class Request:
    def __init__(self, f):
        first = f.readline(65536)
        if not first:
            raise EOFError
        self.method, self.target, _ = first.decode("ascii").split(" ", 2)
        self.headers = {}
        while True:
            line = f.readline(200000)
            if line in (b"\r\n", b""):
                break
            name, value = line.decode("latin-1").rstrip("\r\n").split(":", 1)
            self.headers[name.lower()] = value.strip()
        if self.method == "POST" and "content-length" not in self.headers:
            raise ValueError("no length")
        if "transfer-encoding" in self.headers or "expect" in self.headers:
            raise ValueError("not for WinRM")
        self.body = f.read(int(self.headers.get("content-length") or 0))


def envelope(request, fault=False, relates=None):
    said = re.search(rb"MessageID>([^<]*)<", request)
    relates = relates or (said.group(1).decode() if said else "")
    body = ('<s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value '
            'xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd">w:AccessDenied</s:Value>'
            '</s:Subcode></s:Code><s:Reason><s:Text xml:lang="en-US">no</s:Text></s:Reason>'
            '<s:Detail><f:WSManFault xmlns:f="http://schemas.microsoft.com/wbem/wsman/1/wsmanfault"'
            ' Code="5" Machine="m"/></s:Detail></s:Fault>') if fault else "<r:Done xmlns:r='urn:r'/>"
    return ('<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://'
            'schemas.xmlsoap.org/ws/2004/08/addressing"><s:Header><a:Action>urn:done</a:Action>'
            '<a:RelatesTo>%s</a:RelatesTo></s:Header><s:Body>%s</s:Body></s:Envelope>'
            % (relates, body)).encode()


class Connection:
    def __init__(self, s, tls):
        self.s, self.tls = s, tls
        self.scheme = None  # set by the login
        self.up = False
        self.number = 0

    def send(self, status, headers=(), body=b"", length=None):
        head = ["HTTP/1.1 %d Whatever" % status, "Date: Sun, 06 Nov 1994 08:49:37 GMT",
                "Content-Length: %d" % (len(body) if length is None else length)] + list(headers)
        self.s.sendall(("\r\n".join(head) + "\r\n\r\n").encode("latin-1") + body)

    def refuse(self, *more):
        self.send(401, ["WWW-Authenticate: Negotiate", "WWW-Authenticate: Kerberos",
                        'WWW-Authenticate: Basic realm="a, b"'] + list(more))

    def unseal(self, r):
        """The plain text. Framing is checked byte by byte, as strictly as it can be."""
        protocol = PROTOCOL[self.scheme]
        if r.headers.get("content-type") != ('multipart/encrypted;protocol="%s";boundary='
                                             '"Encrypted Boundary"' % protocol.decode()):
            raise ValueError("type")
        m = re.fullmatch(
            BOUNDARY + b"\r\nContent-Type: " + re.escape(protocol) + b"\r\nOriginalContent: "
            b"type=application/soap\\+xml;charset=UTF-8;Length=(\\d+)\r\n" + BOUNDARY +
            b"\r\nContent-Type: application/octet-stream\r\n(.*)" + BOUNDARY + b"--\r\n", r.body,
            re.DOTALL)
        if m is None:
            raise ValueError("frame")
        load = m.group(2)
        n = int.from_bytes(load[:4], "little")
        self.number += 1
        if load[4:4 + n] != b"SEAL%d" % self.number:
            raise ValueError("sequence")
        plain = bytes(b ^ 0x5a for b in load[4 + n:])
        if len(plain) != int(m.group(1)):
            raise ValueError("length")
        return plain

    def seal(self, plain, number=None, length=None):
        protocol = PROTOCOL[self.scheme]
        token = b"LAES%d" % (number or self.number)
        return (BOUNDARY + b"\r\nContent-Type: " + protocol + b"\r\nOriginalContent: "
                b"type=application/soap+xml;charset=UTF-8;Length=%d\r\n" % (length or len(plain)) +
                BOUNDARY + b"\r\nContent-Type: application/octet-stream\r\n" +
                len(token).to_bytes(4, "little") + token + bytes(b ^ 0xa5 for b in plain) +
                BOUNDARY + b"--\r\n")

    def answer(self, plain, status=200, **how):
        if self.tls:
            self.send(status, ["Content-Type: application/soap+xml;charset=UTF-8"], plain)
        else:
            self.send(status, ['Content-Type: multipart/encrypted;protocol="%s";boundary='
                               '"Encrypted Boundary"' % PROTOCOL[self.scheme].decode()],
                      self.seal(plain, **how))

    def hang(self):
        self.s.settimeout(60)
        try:
            self.s.recv(1)
        except OSError:
            pass

    def login(self, r, action, name):
        """True: the connection may go on."""
        self.scheme, token = r.headers["authorization"].split(" ", 1)
        leg = base64.b64decode(token).decode()
        count(name, "legs")
        if action == "login_status404":
            self.send(404, [], b"<html>")
        elif action == "login_status503":
            self.send(503)
        elif action == "login_no":
            self.refuse()
        elif action == "login_bare":
            self.send(200)
        elif action == "login_junk":
            self.send(401, ["WWW-Authenticate: %s ???" % self.scheme])
        elif action == "login_nobase64":
            self.send(401, ["WWW-Authenticate: %s abc" % self.scheme])
        elif action == "login_liar":
            self.send(200, ["WWW-Authenticate: %s %s" % (self.scheme,
                                                         base64.b64encode(b"LIE").decode())])
        elif action == "login_hang":
            self.hang()
            return False
        elif action == "login_cut":
            return False
        else:
            # C1 is answered by S1 ...; the client says "last" where it needs no more
            more = not leg.endswith("!")
            back = "%s %s" % (self.scheme, base64.b64encode(b"S" + leg[1:2].encode()).decode())
            if more or action == "login_endless":
                self.send(401, ["WWW-Authenticate: " + back] +
                          (["Connection: close"] if action == "login_close" else []))
            else:
                self.up = True
                count(name, "logins")
                self.send(200, ["WWW-Authenticate: " + back,
                                "Set-Cookie: MS-WSMAN=cookie%d; path=/wsman" %
                                counts[name]["logins"], "Set-Cookie: other=1"] +
                          (["Connection: close"] if action == "close_idle" else []))
            if action == "login_close":
                return False
        return not (self.up and action == "close_idle")

    def serve(self, r):
        """True: the connection may go on."""
        parts = r.target.strip("/").split("/")
        if parts[0] == "seen":
            n = counts.get(parts[1], {})
            self.send(200, [], " ".join("%s=%d" % i for i in sorted(n.items())).encode())
            return True
        action, name, times = parts[0], parts[1], int(parts[2])
        phase = "login" if action.startswith("login") or action == "close_idle" else "request"
        login = "authorization" in r.headers and "mutual" not in r.headers["authorization"]

        if "gzip" in r.headers.get("accept-encoding", ""):
            raise ValueError("packing")
        if not r.body and not login:
            count(name, "probes")
            self.refuse()
            return True
        if (phase == "login") == login and count(name, "times") > times:
            action = "ok"
        if login:
            return self.login(r, action, name)
        if r.headers.get("wsmanidentify") == "unauthenticated":
            count(name, "anonymous")
            self.send(200, ["Content-Type: application/soap+xml;charset=UTF-8"],
                      envelope(r.body))
            return True
        if "mutual" in r.headers.get("authorization", ""):
            count(name, "mutual")
            self.up = True
        if not self.up:
            count(name, "strangers")
            self.refuse()
            return True
        plain = r.body if self.tls else self.unseal(r)
        if r.headers.get("cookie") == "MS-WSMAN=cookie%d" % counts[name].get("logins", 0):
            count(name, "cookies")
        ids = re.search(rb"MessageID>([^<]*)<", plain)
        if ids is not None and count(name, ids.group(1).decode()) > 1:
            count(name, "repeated")
        count(name, "requests")
        return self.request(plain, action)

    def request(self, plain, action):
        soap = ["Content-Type: application/soap+xml;charset=UTF-8"]
        if action.startswith("status"):
            if action == "status401":
                self.refuse()
            else:
                self.send(int(action[6:]), [], b"<html>")
        elif action == "bare200":
            self.send(200, soap, envelope(plain))
        elif action == "bare500":
            self.send(500, soap, envelope(plain, fault=True))
        elif action == "fault":
            self.answer(envelope(plain, fault=True), 500)
        elif action == "html":
            self.send(200, ["Content-Type: text/html"], b"<html>hello</html>")
        elif action == "junk":
            self.answer(b"<not><soap/></not>")
        elif action == "another":
            self.answer(envelope(plain, relates="uuid:00000000-0000-0000-0000-000000000000"))
        elif action == "cut":
            return False
        elif action == "cut_body":
            self.send(200, soap, b"half", length=1000)
            return False
        elif action == "hang":
            self.hang()
            return False
        elif action == "huge":
            self.answer(b"x" * (3 << 20))
        elif action == "replay":
            self.answer(envelope(plain), number=77)
        elif action == "length":
            self.answer(envelope(plain), length=7)
        elif action == "frame":
            self.send(200, ["Content-Type: multipart/encrypted"], b"--nothing")
        elif action == "credssp":
            self.send(200, ["Content-Type: multipart/x-multi-encrypted"], b"--nothing")
        else:
            self.answer(envelope(plain))
            return action != "close_after"
        return True


def serve(s, ctx):
    try:
        if ctx is not None:
            s = ctx.wrap_socket(s, server_side=True)
        f = s.makefile("rb")
        c = Connection(s, ctx is not None)
        while c.serve(r := Request(f)):
            pass
        s.shutdown(socket.SHUT_RDWR)
        count(r.target.split("/")[2], "closed")
    except (EOFError, OSError, ValueError, KeyError, IndexError) as e:
        if isinstance(e, ValueError):
            count("errors", str(e).replace(" ", "_"))
    finally:
        try:
            s.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        s.close()


def listen(ctx):
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)

    def accept():
        while True:
            s, _ = listener.accept()
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=serve, args=(s, ctx), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return listener.getsockname()[1]


def main():
    folder = sys.argv[1]
    make_certificates(folder)
    print("plain=%d tls=%d mutual=%d wronghost=%d" % (
        listen(None), listen(context(folder, "good")), listen(context(folder, "good", True)),
        listen(context(folder, "wronghost"))), flush=True)
    sys.stdin.read()


main()
