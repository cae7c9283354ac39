#!/usr/bin/python3
"""delayproxy.py MS LISTEN:PORT TO:PORT -- a line that is MS milliseconds longer each way.

Every chunk is held for MS and then passed on, in order; bandwidth and order stay as they are. For
kernels without netem. Kerberos knows a DC by its name, not its address: let the client's hosts file
lead the name here.
"""
import asyncio
import sys

delay = float(sys.argv[1]) / 1000
listen, to = (a.rsplit(':', 1) for a in sys.argv[2:4])


class Half(asyncio.Protocol):
    """One end; what it receives goes to the other end, later."""

    def __init__(self, client=None):
        self.loop, self.out, self.early, self.client = asyncio.get_running_loop(), None, [], client

    def connection_made(self, transport):
        self.transport = transport
        if self.client:                 # the far end stands: join the two
            self.out, self.client.out = self.client.transport, transport
            for job in self.client.early:
                job()
        else:
            self.task = self.loop.create_task(
                self.loop.create_connection(lambda: Half(self), *to))
            self.task.add_done_callback(lambda t: t.exception() and self.transport.abort())

    def later(self, job):
        if self.out:
            job()
        else:
            self.early.append(job)

    def data_received(self, data):
        # call_later fires in the order of time, and the time only grows: no chunk overtakes another
        self.loop.call_later(delay, self.later, lambda: self.out.write(data))

    def connection_lost(self, exc):
        self.loop.call_later(delay, self.later, lambda: self.out.close())


async def main():
    server = await asyncio.get_running_loop().create_server(Half, *listen)
    await server.serve_forever()


asyncio.run(main())
