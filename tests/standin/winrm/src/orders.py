"""Orders: JSON objects of one member over a Unix socket, DIR/orders; see README.md."""
import json
import os
import socketserver
import threading
import time

from dc import Order, known


class Orders:
    def __init__(self, dc, settle, **parts):
        self.dc, self.settle = dc, settle
        self.parts = parts
        self.verbs = {'get': self.get, 'set': dc.set, 'fault': self.fault, 'clear': self.clear, 'reset': self.reset,
                      'drop': self.drop, 'logout': self.logout, 'wait': self.wait}
        for p in parts.values():
            self.verbs.update(p.orders())

    def obey(self, order):
        if not isinstance(order, dict) or len(order) != 1:
            raise Order('an order is an object with one member')
        verb, what = next(iter(order.items()))
        known([verb], self.verbs, 'order')
        self.settle()
        with self.dc.lock:
            answer = self.verbs[verb](what)
            self.dc.lock.notify_all()
        return answer

    def views(self):
        v = {'requests': lambda: self.dc.requests, 'violations': lambda: self.dc.violations,
             'faults': lambda: self.dc.faults, 'settings': lambda: self.dc.settings,
             'connections': lambda: [{'conn': c.n, 'peer': c.peer, 'tls': c.tls, 'user': c.user} for c in self.dc.conns.values()]}
        for p in self.parts.values():
            v.update(p.views())
        return v

    def get(self, what):
        views = self.views()
        known([what], views, 'get')
        return views[what]()

    def fault(self, faults):
        for f in faults if isinstance(faults, list) else [faults]:
            self.dc.add_fault(f)

    def clear(self, what):
        known([what], ('requests', 'violations', 'faults'), 'clear')
        getattr(self.dc, what).clear()

    def reset(self, _):
        """As at the start; the log and its numbers stay."""
        self.dc.reset()
        for p in self.parts.values():
            p.reset()

    def drop(self, what):
        """{"drop": "connections"}: all are closed now."""
        known([what], ('connections',), 'drop')
        for c in self.dc.conns.values():
            try:
                c.wire.sock.shutdown(2)
            except OSError:
                pass

    def logout(self, _):
        """No connection is logged in any more: 401 to the next request."""
        for c in self.dc.conns.values():
            c.login = c.half = c.cert_user = None

    def wait(self, what):
        """{"op", "n", "ms", "answered"}: until so many requests of that kind have come."""
        known(what, {'op', 'n', 'ms', 'answered', 'view'}, 'wait')
        until = time.monotonic() + what.get('ms', 10000) / 1000
        while True:
            if 'view' in what:
                n = len(self.get(what['view']))
            else:
                n = sum(1 for r in self.dc.requests if r['op'] == what['op'] and (not what.get('answered') or r.get('answered')))
            if n >= what.get('n', 1):
                return n
            if time.monotonic() >= until:
                raise Order(f'waited in vain: {n} of {what.get("n", 1)}')
            self.dc.lock.wait(max(0.01, until - time.monotonic()))

    def listen(self, path):
        orders = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                try:
                    answer = {'answer': orders.obey(json.loads(self.rfile.read()))}
                except (Order, ValueError, KeyError, TypeError) as e:
                    answer = {'error': f'{type(e).__name__}: {e}'}
                self.wfile.write(json.dumps(answer).encode() + b'\n')

        class Listener(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
            daemon_threads = True
            request_queue_size = 64

        if os.path.exists(path):
            os.unlink(path)
        old = os.umask(0o077)
        listener = Listener(path, Handler)
        os.umask(old)
        threading.Thread(target=listener.serve_forever, daemon=True).start()
