"""The try-out's door, over real connections."""

import asyncio

from testbed.servers.server import TcpServer
from testbed.tryout.door import Backend, Door


async def test_the_door_leads_to_both_and_says_who_is_away():
    asked: list[bytes] = []

    async def page(reader, writer):
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\npage")
        await writer.drain()
        writer.write_eof()
        await reader.read()

    async def echo(reader, writer):
        while part := await reader.read(100):
            writer.write(part)

    async with TcpServer(page) as there, TcpServer(echo) as numbers:
        door = Door(Backend("127.0.0.1", there.port), Backend("127.0.0.1", numbers.port))
        async with TcpServer(door.connected) as server:
            assert (await said(server.port, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")).endswith(b"page")
            assert b"Connection: close" in asked[0]
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            for part in (b"GET /nats HTTP/1.1\r\n\r\n", b"\x81\x05hello", b"\x88\x00"):
                writer.write(part)
                assert await asyncio.wait_for(reader.readexactly(len(part)), 20) == part
            writer.close()
    async with TcpServer(door.connected) as server:
        answer = await said(server.port, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 502 ")
        assert b"kubectl get pods" in answer


async def said(port, request):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await asyncio.wait_for(reader.read(), 20)
    writer.close()
    return answer
