"""How a large message comes off the socket: straight into the memory in which it stays.

nats-py 2.16 copies a frame of 345 kB six times on its way in. With `MALLOC_PERTURB_` set (docs/privacy.md), each
copy is filled twice more, when its memory is taken and when it is given back (docs/capacity.md, "The bus").
"""

import asyncio
import contextlib
from typing import Any, cast

from nats.aio.transport import TcpTransport
from nats.protocol.parser import AWAITING_CONTROL_LINE, AWAITING_MSG_PAYLOAD, CRLF_SIZE, Parser

LARGE = 32_768
"""The bytes from which on a message is large."""
_SCRATCH = 16_384
"""At most so many bytes of a large message are copied once more: they came together with its first line."""


class _Intake(asyncio.BufferedProtocol):
    """Receives into its scratch memory, or into memory that waits to be filled. `behind` hears of all else."""

    def __init__(self, transport: asyncio.Transport, behind: asyncio.StreamReaderProtocol, first: bytes) -> None:
        self._transport, self._behind, self._first = transport, behind, first
        self._scratch = memoryview(bytearray(_SCRATCH))
        self._end = 0
        self._wanted: memoryview | None = None
        self._paused = False
        self._waiter: asyncio.Future[None] | None = None
        self.ended = transport.is_closing()

    @property
    def holds(self) -> bool:
        """Whether something came that nobody has read yet."""
        return bool(self._first or self._end)

    def get_buffer(self, _sizehint: int) -> memoryview:
        """Return where the next bytes go."""
        return self._scratch[self._end :] if self._wanted is None else self._wanted

    def buffer_updated(self, nbytes: int) -> None:
        """Note that so many bytes came."""
        if self._wanted is None:
            self._end += nbytes
            if self._end == _SCRATCH:
                self._transport.pause_reading()
                self._paused = True
        else:
            self._wanted = self._wanted[nbytes:] or None
            if self._wanted is not None:
                return
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _resume(self) -> None:
        if self._paused and not self.ended:
            self._paused = False
            self._transport.resume_reading()

    async def read(self) -> bytes:
        """Return what came, as soon as something did; empty at the end."""
        if self._first:
            found, self._first = self._first, b""
            return found
        while not self._end and not self.ended:
            await self._wait()
        found, self._end = bytes(self._scratch[: self._end]), 0
        self._resume()
        return found

    async def fill(self, into: memoryview) -> None:
        """Return once this memory is filled; EOFError if the connection ends before."""
        have = min(self._end, len(into))
        into[:have] = self._scratch[:have]
        self._scratch[: self._end - have] = bytes(self._scratch[have : self._end])
        self._end -= have
        self._wanted = into[have:] or None
        self._resume()
        try:
            while self._wanted is not None:
                if self.ended:
                    raise EOFError
                await self._wait()
        finally:
            self._wanted = None

    def eof_received(self) -> bool | None:
        """Pass it on. Over TLS no end can stay open alone (asyncio warns of a protocol that asks for it)."""
        self.ended = True
        self._wake()
        is_kept = self._behind.eof_received()
        return None if self._transport.get_extra_info("ssl_object") is not None else is_kept

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass it on."""
        self.ended = True
        self._wake()
        self._behind.connection_lost(exc)

    def pause_writing(self) -> None:
        """Pass it on: nats-py waits in `drain` for it."""
        self._behind.pause_writing()

    def resume_writing(self) -> None:
        """Pass it on."""
        self._behind.resume_writing()


class Wire(TcpTransport):
    """nats-py's connection. Once connected it reads by an `_Intake`."""

    _intake: _Intake | None = None

    async def connect(self, *args: Any, **named: Any) -> None:
        """Connect; the reader of an earlier connection is forgotten."""
        self._intake = None
        await super().connect(*args, **named)

    async def read(self, buffer_size: int) -> bytes:  # noqa: ARG002 - nats-py says how much it wants
        """Return what came, however much; empty at the end."""
        if self._intake is None:
            self._intake = self._taken_over()
        return await self._intake.read()

    def _taken_over(self) -> _Intake:
        """Take the place of the stream reader, which has read the server's first lines by then."""
        writer, reader = self._io_writer, self._io_reader
        assert writer is not None
        assert reader is not None
        transport = cast("asyncio.Transport", writer.transport)
        first = bytes(reader._buffer)  # type: ignore[attr-defined]  # noqa: SLF001 - what it read ahead
        intake = _Intake(transport, transport.get_protocol(), first)  # type: ignore[arg-type]
        intake.ended = intake.ended or reader._eof  # type: ignore[attr-defined]  # noqa: SLF001
        transport.set_protocol(intake)
        transport.resume_reading()  # the stream reader stops while it holds much
        return intake

    async def fill(self, into: memoryview) -> None:
        """See `_Intake.fill`."""
        assert self._intake is not None
        await self._intake.fill(into)

    def at_eof(self) -> bool:
        """Whether the connection has ended."""
        if self._intake is None:
            return bool(super().at_eof())  # type: ignore[no-untyped-call]
        return self._intake.ended and not self._intake.holds


class LargeParser(Parser):
    """nats-py's parser; the rest of a large message is filled into its memory."""

    def reset(self) -> None:
        """Begin anew, on a new connection."""
        super().reset()
        self._skip = 0

    async def parse(self, data: bytes = b"") -> None:
        """Take in what came, and hand on each message that is whole. `data` of a large one is a `bytearray`."""
        skip, self._skip = self._skip, max(0, self._skip - len(data))
        await super().parse(data[skip:])
        transport = self.nc._transport  # noqa: SLF001 - see client.py
        if not isinstance(transport, Wire):  # NATS over WebSocket
            return
        if self.state == AWAITING_MSG_PAYLOAD and LARGE <= self.needed <= self.nc.max_payload:
            with contextlib.suppress(EOFError):  # the next look at the connection tells nats-py
                await self._large(transport)

    async def _large(self, wire: Wire) -> None:
        headers = await self._filled(wire, self.header_needed)
        payload = await self._filled(wire, self.needed - self.header_needed)
        # A line's end follows, of which a part may be here already.
        self._skip = CRLF_SIZE - len(self.buf)
        self.buf.clear()
        self.header_needed, self.state = 0, AWAITING_CONTROL_LINE
        about = self.msg_arg["sid"], self.msg_arg["subject"], self.msg_arg["reply"]
        await self.nc._process_msg(*about, payload, bytes(headers))  # noqa: SLF001

    async def _filled(self, wire: Wire, size: int) -> bytearray:
        """Return the next bytes, of which the first may be here already."""
        whole = bytearray(size)
        have = min(size, len(self.buf))
        whole[:have] = self.buf[:have]
        del self.buf[:have]
        if have < size:
            await wire.fill(memoryview(whole)[have:])
        return whole
