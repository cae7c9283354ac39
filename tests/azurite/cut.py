#!/usr/bin/python3
"""cut.py DIR TO:PORT -- a line to a server that loses answers: where DIR/cut is, the next one (the
file goes with it). Writes its own port to DIR/port."""
import asyncio
import os
import sys

folder, to = sys.argv[1], sys.argv[2].rsplit(':', 1)


async def pump(reader, writer, answers):
    try:
        while data := await reader.read(65536):
            if answers and os.path.exists(folder + '/cut'):
                os.remove(folder + '/cut')
                break
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    writer.close()


async def join(reader, writer):
    try:
        far = await asyncio.open_connection(*to)
    except OSError:
        writer.close()
        return
    await asyncio.gather(pump(reader, far[1], False), pump(far[0], writer, True))


async def main():
    server = await asyncio.start_server(join, '127.0.0.1', 0)
    with open(folder + '/port.tmp', 'w') as f:
        f.write(str(server.sockets[0].getsockname()[1]))
    os.rename(folder + '/port.tmp', folder + '/port')
    await server.serve_forever()


asyncio.run(main())
