"""The cost of one 640x360 frame on the bus: sealed, sent, received, opened, answered; nothing else.

`python -m bench.bus_cost ask|serve URL FRAMES` runs one of the two sides; each is a separate process.
"""

import asyncio
import contextlib
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import psutil
import uvloop
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from operate.box.programs import MALLOC, SERVER, nats_server
from proto.frames import FrameReplyV1, FrameV1
from proto.subjects import FRAMES
from services.bus import Bus, NatsSettings, NoWorkers, Request
from services.frames.sealing.seal import TAG_BYTES, i420_bytes, open_into, seal_into, wipe
from services.kernel.log import LogSettings, configure

WIDTH, HEIGHT = 640, 360
_RATE = 60.0
_WARM_UP = 60
_KEY = AESGCM(bytes(32))


async def serve(url: str) -> None:
    """Open each frame, overwrite it and reply, forever."""
    bus = await Bus.connect(NatsSettings(url=url), "inference")
    pixels = memoryview(bytearray(i420_bytes(WIDTH, HEIGHT)))

    async def handle(frame: FrameV1, request: Request) -> None:
        open_into(_KEY, frame, pixels)
        wipe(pixels)
        await request.reply(FrameReplyV1(outcome="done", worker="bench"))

    await bus.serve(FRAMES, handle, pending=32)
    await asyncio.Event().wait()


async def ask(url: str, frames: int) -> None:
    """Seal and send frames at the rate of twelve cameras; print a line when warm, and one at the end."""
    bus = await Bus.connect(NatsSettings(url=url), "ingest")
    pixels = memoryview(bytearray(os.urandom(i420_bytes(WIDTH, HEIGHT))))
    sealed = memoryview(bytearray(len(pixels) + TAG_BYTES))
    for number in range(_WARM_UP + frames):
        if number == _WARM_UP:
            print(flush=True)
            await asyncio.to_thread(sys.stdin.readline)
        await _answered(bus, _sealed(number, pixels, sealed))
        await asyncio.sleep(1 / _RATE)
    print(flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    await bus.close()


async def _answered(bus: Bus, frame: FrameV1) -> None:
    while True:
        with contextlib.suppress(NoWorkers):  # only at the start
            await bus.request(FRAMES, frame, timeout=5.0)
            return
        await asyncio.sleep(0.05)


def _sealed(number: int, pixels: memoryview, sealed: memoryview) -> FrameV1:
    frame = frame_of(number, number.to_bytes(12, "big"), sealed)
    seal_into(_KEY, frame, pixels)
    return frame


def frame_of(number: int, nonce: bytes, sealed: memoryview, key: bytes = bytes(8)) -> FrameV1:
    """Return a frame of the bench's camera, still to be sealed."""
    return FrameV1(
        site="bench",
        camera="c0",
        lease=0,
        sequence=number,
        at=time.time_ns(),
        age=0,
        budget=100_000_000,
        period=200_000_000,
        width=WIDTH,
        height=HEIGHT,
        key=key,
        key_age=0,
        nonce=nonce,
        sealed=sealed,
    )


async def cost_ms(frames: int) -> float:
    """Return the processor time per frame of publisher, server and subscriber together."""
    with tempfile.TemporaryDirectory(prefix="moretta-bench-") as name:
        ports, config = Path(name), Path(name) / "nats.conf"
        config.write_text(json.dumps({"listen": "127.0.0.1:-1", "max_payload": 8 << 20, "ports_file_dir": name}))
        programs = [await start_program(nats_server(), "-c", str(config), more=SERVER)]
        try:
            url = await server_url(ports)
            programs.append(
                await start_program(sys.executable, "-P", "-m", "bench.bus_cost", "serve", url, more=MALLOC)
            )
            asker = await start_program(
                sys.executable, "-P", "-m", "bench.bus_cost", "ask", url, str(frames), more=MALLOC
            )
            programs.append(asker)
            return 1e3 * await _spent(asker, [psutil.Process(p.pid) for p in programs]) / frames
        finally:
            for program in programs:
                with contextlib.suppress(ProcessLookupError):
                    program.kill()
                await program.wait()


async def start_program(
    *command: str, more: dict[str, str], errors: int = asyncio.subprocess.DEVNULL
) -> asyncio.subprocess.Process:
    """Start a program with pipes for input and output, and `more` environment variables; `errors` are dropped."""
    pipe, environment = asyncio.subprocess.PIPE, {**os.environ, **more}
    return await asyncio.create_subprocess_exec(*command, env=environment, stdin=pipe, stdout=pipe, stderr=errors)


async def server_url(folder: Path) -> str:
    """Return the address that a nats-server writes into its `ports_file_dir`; TimeoutError after 20 s."""
    async with asyncio.timeout(20):
        while True:
            for file in folder.glob("*.ports"):
                with contextlib.suppress(json.JSONDecodeError):  # the server is writing it
                    urls: list[str] = json.loads(file.read_text())["nats"]
                    return urls[0]
            await asyncio.sleep(0.05)


async def _spent(asker: asyncio.subprocess.Process, programs: list[psutil.Process]) -> float:
    """Return the processor time between the asker's two lines; the first comes when all is warm."""
    assert asker.stdout is not None
    assert asker.stdin is not None
    at = []
    async with asyncio.timeout(120):
        for _ in range(2):
            if not await asker.stdout.readline():
                raise RuntimeError("the bus could not be measured: the asking side ended")
            times = [program.cpu_times() for program in programs]
            at.append(sum(t.user + t.system for t in times))
            asker.stdin.write(b"\n")
    return float(at[1] - at[0])


if __name__ == "__main__":
    configure("bench", LogSettings(level="error"))
    side, address, *rest = sys.argv[1:]
    uvloop.run(serve(address) if side == "serve" else ask(address, int(rest[0])))
