"""The WHOIS server of the MMDB article, as its contract says: asyncio, one query a connection, a write per line.

    article.py DATABASE

It listens on a port of 127.0.0.1 that the kernel picks and prints it.
"""

import asyncio
import ipaddress
import sys

import maxminddb

CRLF = b"\r\n"


class Server:
    def __init__(self, path):
        self.database = maxminddb.open_database(path)

    async def answer(self, reader, writer):
        address = (await reader.readuntil(CRLF))[:-2].decode()
        record, bits = self.database.get_with_prefix_len(address)
        network = ipaddress.ip_network(f"{address}/{bits}", strict=False)
        writer.write(f"route: {network}".encode() + CRLF)
        if record:
            for key, value in record.items():
                writer.write(f"{key}: {value}".encode() + CRLF)
            writer.write(b"dbstatus: ok - data found" + CRLF)
        else:
            writer.write(b"dbstatus: warning - no data available" + CRLF)
        await writer.drain()
        writer.close()
        await writer.wait_closed()


async def main():
    server = await asyncio.start_server(Server(sys.argv[1]).answer, "127.0.0.1", 0, backlog=1024)
    host, port = server.sockets[0].getsockname()
    print(f"{host}:{port}", flush=True)
    await server.serve_forever()


asyncio.run(main())
