"""One side of the exchange of frame keys, as a process whose memory can be searched.

`python sealing_process.py giver|receiver|keeper`; a keeper is a receiver that keeps what it should not. On standard
input come one line of JSON with server, user and keys, and then X25519 private keys, 32 bytes each, in place of
random ones. So whoever started it knows them, and no test code leaves a copy.
"""

import asyncio
import contextlib
import json
import os
import sys

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from proto.frames import FrameV1
from services.bus import Bus, NatsSettings
from services.bus.nkey import Seed
from services.frames.sealing import wrap
from services.frames.sealing.seal import TAG_BYTES, SealError, open_into, reply_key, seal_into, wipe
from services.inference import keys as receiving
from services.ingest.camera.keys import KeyGiver
from services.kernel.clock import boottime_ns

SIDE = 64
PIXELS = SIDE * SIDE * 3 // 2


class FromInput:
    """Stands for X25519PrivateKey: takes the next key from standard input, and leaves nothing of it behind."""

    @staticmethod
    def generate():
        raw = bytearray(32)
        assert os.readv(0, [raw]) == 32
        private = X25519PrivateKey.from_private_bytes(raw)
        wipe(raw)
        return private


def frame_of(key, sequence):
    return FrameV1(
        site="cannes",
        camera="gate",
        lease=1,
        sequence=sequence,
        at=1,
        age=0,
        budget=1,
        period=1,
        width=SIDE,
        height=SIDE,
        key=key.id,
        key_age=0,
        nonce=key.nonce(),
        sealed=memoryview(bytearray(PIXELS + TAG_BYTES)),
    )


async def giver(bus, identity, trusted):
    """Hand keys out, and seal with each."""
    keys = KeyGiver(bus, "cannes", identity, trusted)
    await keys.listen()
    keys.begin()
    running = asyncio.create_task(keys.run())
    while not running.done():
        key = keys.current()
        frame = frame_of(key, key.sealed)
        seal_into(key.cipher, frame, memoryview(bytearray(PIXELS)))
        reply_key(key.secret, frame)
        await asyncio.sleep(0.05)


async def receiver(bus, identity, trusted, *, keeps=False):
    """Receive keys, and try each on a frame, in vain."""
    held, kept = receiving.KeyReceiver(bus, "keeper" if keeps else "receiver", ["cannes"], identity, trusted), {}
    await held.listen()
    running = asyncio.create_task(held.run())
    while not running.done():
        for name in list(held.keys._sites.get("cannes", {})):
            if (key := held.keys.get("cannes", name, boottime_ns())) is not None:
                frame = frame_of(key, 0)
                reply_key(key.secret, frame)
                with contextlib.suppress(SealError):
                    open_into(key.cipher, frame, memoryview(bytearray(PIXELS)))
                if keeps:
                    kept.setdefault(name, (bytes(key.secret), key.cipher, list(held._private)))
                del key  # else it would outlive its time on this frame of the stack
        await asyncio.sleep(0.05)


async def main(side):
    line = bytearray()
    while not line.endswith(b"\n"):
        line += os.read(0, 1)
    told = json.loads(line)
    settings = NatsSettings(url=told["url"], frames_user=told["user"], frames_seed=Seed(told["seed"]))
    bus = await Bus.connect(settings, told["user"], "MORETTA_FRAMES")
    identity = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(told["signing"]))
    trusted = (Ed25519PublicKey.from_public_bytes(bytes.fromhex(told["verify"])),)
    receiving.X25519PrivateKey = wrap.X25519PrivateKey = FromInput
    if side == "giver":
        await giver(bus, identity, trusted)
    else:
        await receiver(bus, identity, trusted, keeps=side == "keeper")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
