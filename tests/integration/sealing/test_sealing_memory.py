"""What is left of keys in the memory of ingest and of a worker (docs/privacy.md): searched from outside."""

import asyncio
import contextlib
import hmac
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import process_memory
import pytest
import sealing_process
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from frames_tap import with_tap
from nats.aio.client import Client
from patience import until
from site_process import Site

from proto.frames import FrameKeyV1
from proto.permissions import user_of
from proto.subjects import KEYS

IDENTITY = Ed25519PrivateKey.generate()
MANY = 400
"""Private keys handed to each process: more than a test takes."""
DEAD_S = 4.0
"""A key's 2 s, and two in which a busy machine may be late."""

LIMIT_S = 60.0

pytestmark = pytest.mark.alone  # it freezes processes and searches their memory, while keys live 2 s

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="searches /proc")


def clamped(raw):
    """A private key as the algorithm uses it (RFC 7748, 5), so that every copy of it looks the same."""
    return bytes([raw[0] & 248, *raw[1:31], raw[31] & 127 | 64])


class Side:
    """One process, whose X25519 keys we know."""

    def __init__(self, site, name):
        self.private = [clamped(os.urandom(32)) for _ in range(MANY)]
        self.by_public = {
            X25519PrivateKey.from_private_bytes(p).public_key().public_bytes_raw(): p for p in self.private
        }
        user = user_of("ingest" if name == "giver" else "inference", "MORETTA_FRAMES")
        told = {
            "url": site.server.url,
            "user": user,
            "seed": site.identities.seeds[user].reveal(),
            "signing": IDENTITY.private_bytes_raw().hex(),
            "verify": IDENTITY.public_key().public_bytes_raw().hex(),
        }
        command = [sys.executable, str(Path(sealing_process.__file__)), name]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.process.stdin.write(json.dumps(told).encode() + b"\n" + b"".join(self.private))
        self.process.stdin.flush()

    @contextlib.contextmanager
    def frozen(self):
        """Hold the process still, so that what is alive and what is dead is so for the whole search."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield time.monotonic()
        finally:
            self.process.send_signal(signal.SIGCONT)

    def end(self):
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()


class Exchange:
    """All sides, and a tap that knows all that they say, and by the private keys what it means."""

    def __init__(self, site):
        self.sides = {name: Side(site, name) for name in ("giver", "receiver", "keeper")}
        self.heard = []

    async def hear(self, msg):
        self.heard.append((time.monotonic(), msgspec.msgpack.decode(msg.data, type=FrameKeyV1)))

    def secrets(self, message):
        """All secrets of one key message by what they are: whoever has one of them reads that second's frames."""
        ephemeral = self.sides["giver"].by_public[message.ephemeral]
        for public, private in self.sides[message.worker].by_public.items():
            shared = X25519PrivateKey.from_private_bytes(ephemeral).exchange(X25519PublicKey.from_public_bytes(public))
            names = f"cannes/{message.worker}".encode()
            wrapping = HKDF(SHA256(), 32, None, b"moretta frame key v1" + public + message.key + names).derive(shared)
            with contextlib.suppress(InvalidTag):
                key = AESGCM(wrapping).decrypt(bytes(12), message.wrapped, names)
                return {
                    "frame key": key,
                    "its round keys": process_memory.schedule(key),
                    "ephemeral private key": ephemeral,
                    "worker's private key": private,
                    "shared secret": shared,
                    "extracted secret": hmac.digest(bytes(32), shared, "sha256"),
                    "wrapping key": wrapping,
                    "its schedule": process_memory.schedule(wrapping),
                }
        raise AssertionError("a key message that was made for nobody")

    def told(self, name):
        """The key messages that a side sent or was sent, and when."""
        return [(at, message) for at, message in self.heard if name in {"giver", message.worker}]

    async def fresh(self, name):
        """Wait until a key has just come, and return it and the one before: one of them at least is held and lives."""
        just = lambda: self.told(name) and 0.1 < time.monotonic() - self.told(name)[-1][0] < 0.6  # noqa: E731
        await until(just, f"a key of the {name}", LIMIT_S)
        return [message for _, message in self.told(name)[-2:]]

    async def search(self, name):
        """What a side holds, by kind: of keys that are long dead, and of the newest."""
        alive = await self.fresh(name)
        with self.sides[name].frozen() as now:
            dead = [message for at, message in self.told(name) if at < now - DEAD_S]
            assert len(dead) >= 2
            left, held = [await self.found(name, chosen) for chosen in (dead, alive)]
        return left, held

    async def found(self, name, chosen):
        """The kinds of secrets of these messages that are in a side's memory."""
        secrets = {(n, kind): secret for n, m in enumerate(chosen) for kind, secret in self.secrets(m).items()}
        counts = await asyncio.to_thread(process_memory.found, self.sides[name].process.pid, secrets)
        return {kind for _, kind in counts}

    async def ripen(self):
        """Wait until many keys of every side have died."""
        old = DEAD_S + 2.5
        names = ("receiver", "keeper")
        ripe = lambda name: self.told(name) and time.monotonic() - self.told(name)[0][0] > old  # noqa: E731
        await until(lambda: all(map(ripe, names)), "keys of every side have died", LIMIT_S)


@pytest.fixture(name="exchange")
async def _exchange(tmp_path):
    site = Site(tmp_path, extend=with_tap, cold=True)
    site.server.start()
    exchange, tap = Exchange(site), Client()
    try:
        await tap.connect(site.server.url, user="tap", password="tap")
        await tap.subscribe(KEYS.wildcard(), cb=exchange.hear)
        yield exchange
    finally:
        await tap.close()
        for side in exchange.sides.values():
            side.end()
        site.close()


@linux_only
async def test_no_key_is_in_memory_after_its_time(exchange):
    """Neither frame keys, in any form that a cipher keeps, nor any secret from which they follow.

    Living keys are found, and so are those that a process keeps against the rules.
    """
    await exchange.ripen()
    kept, _ = await exchange.search("keeper")
    assert kept == {"frame key", "its round keys", "worker's private key"}
    for name in ("receiver", "giver"):
        left, held = await exchange.search(name)
        assert {"frame key", "its round keys"} <= held, "the search finds what is there"
        assert left == set(), f"in the memory of the {name}"


@linux_only
async def test_a_frozen_worker_keeps_its_keys_until_it_goes_on(exchange):
    """What docs/privacy.md says: nobody can overwrite the memory of a process that stands still.

    As soon as it goes on, they are gone.
    """
    held = await exchange.fresh("receiver")
    with exchange.sides["receiver"].frozen():
        await asyncio.sleep(DEAD_S)
        assert {"frame key", "its round keys"} <= await exchange.found("receiver", held)

    async def gone():
        return not await exchange.found("receiver", held)

    await until(gone, "the keys are gone", every_s=0.1)
