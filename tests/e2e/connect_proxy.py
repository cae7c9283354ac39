#!/usr/bin/python3
"""connect_proxy.py PORTFILE LOG [LOGIN] -- a forward proxy on loopback that knows CONNECT alone.

LOGIN is user:password, or "silent": it takes connections and says nothing. LOG has a line for each
request: the answer's number and the target; never what the client said of itself.
"""
import base64
import os
import socket
import sys
import threading


def relay(a, b):
    try:
        while data := a.recv(65536):
            b.sendall(data)
    except OSError:
        pass
    for s in (a, b):
        try:
            s.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def serve(client, log, login):
    head = b""
    while b"\r\n\r\n" not in head and len(head) < 65536:
        data = client.recv(4096)
        if not data:
            return
        head += data
    lines = head.decode("latin-1").split("\r\n")
    method, target, _ = (lines[0] + "  ").split(" ", 2)
    said = [x.split(":", 1)[1].strip() for x in lines if x.lower().startswith("proxy-authorization:")]
    wanted = "Basic " + base64.b64encode(login.encode()).decode() if login else None
    number = 405 if method != "CONNECT" else 407 if wanted and said != [wanted] else 200
    log.write(f"{number} {target}\n")
    log.flush()
    if number == 200:
        host, port = target.rsplit(":", 1)
        server = socket.create_connection((host.strip("[]"), int(port)))
        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        threading.Thread(target=relay, args=(server, client), daemon=True).start()
        relay(client, server)
        return
    more = 'Proxy-Authenticate: Basic realm="proxy"\r\n' if number == 407 else ""
    client.sendall(f"HTTP/1.1 {number} No\r\n{more}Content-Length: 0\r\nConnection: close\r\n\r\n".encode())
    client.close()


def main():
    portfile, log = sys.argv[1], open(sys.argv[2], "a", encoding="ascii")
    login = sys.argv[3] if len(sys.argv) > 3 else ""
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    with open(portfile + ".new", "w", encoding="ascii") as f:
        f.write(str(listener.getsockname()[1]))
    os.rename(portfile + ".new", portfile)
    held = []
    while True:
        client, _ = listener.accept()
        if login == "silent":
            held.append(client)
        else:
            threading.Thread(target=serve, args=(client, log, login), daemon=True).start()


main()
