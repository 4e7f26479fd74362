"""The cost of sealing one 640x360 frame: the cipher alone, each side's whole work, and a plain copy to compare with.

All are measured in turn, so that other work on the machine affects all of them alike.
"""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import fmean, median

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from bench.bus_cost import HEIGHT, WIDTH, frame_of
from bench.verdicts import Row, at_most
from proto.frames import FrameV1
from proto.subjects import FRAMES
from services.frames.sealing.keys import OpeningKeys, SealingKeys
from services.frames.sealing.seal import TAG_BYTES, check_form, i420_bytes, open_into, proof_of, reply_key, seal_into
from services.frames.sealing.wrap import announce, is_genuine, unwrap_key, wrap_key
from services.kernel.clock import boottime_ns

LIMIT_MS = 0.3
_WARM_UP = 20


@dataclass(frozen=True)
class Cost:
    """The duration of one piece of work, by the wall clock."""

    p50_ms: float
    mean_ms: float


class Sides:
    """Ingest and inference without a bus: each method does one frame's work of one side."""

    def __init__(self) -> None:
        size = i420_bytes(WIDTH, HEIGHT)
        self._pixels, self._out, self._copy = memoryview(bytearray(os.urandom(size))), bytearray(size), bytearray(size)
        self._sealed = memoryview(bytearray(size + TAG_BYTES))
        self._ingest, self._inference = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
        self._sealing, self._opening = SealingKeys(boottime_ns()), OpeningKeys()
        self._key = self._sealing.current(boottime_ns())
        self._frame: FrameV1 = frame_of(0, self._key.nonce(), self._sealed)

    def copy(self) -> None:
        """Copy a frame's bytes."""
        memoryview(self._copy)[:] = self._pixels

    def ingest(self) -> None:
        """Take the key, make the frame, seal it, and check the proof of its answer."""
        self._key = self._sealing.current(boottime_ns())
        assert self._key.cipher is not None
        self._frame = frame_of(1, self._key.nonce(), self._sealed, self._key.id)
        seal_into(self._key.cipher, self._frame, self._pixels)
        proof_of(reply_key(self._key.secret, self._frame), "done")

    def exchange(self) -> None:
        """Announce, check, wrap, check, unwrap: the cost of a worker and a second, on both sides together."""
        private, now = X25519PrivateKey.generate(), boottime_ns()
        said = announce(self._inference, "bench", "w", private.public_key().public_bytes_raw(), now)
        assert is_genuine([self._inference.public_key()], said)
        message = wrap_key(self._ingest, self._key, said)
        assert is_genuine([self._ingest.public_key()], message)
        self._opening.add(message.site, message.key, unwrap_key(private, message), now)

    def inference(self) -> None:
        """Find the key, check the frame, open it, prove the answer."""
        key = self._opening.get(self._frame.site, self._frame.key, boottime_ns())
        assert key is not None
        assert key.cipher is not None
        check_form(self._frame, FRAMES.of(self._frame))
        prover = reply_key(key.secret, self._frame)
        open_into(key.cipher, self._frame, memoryview(self._out))
        proof_of(prover, "done")

    def seal(self) -> None:
        """Encrypt alone."""
        assert self._key.cipher is not None
        seal_into(self._key.cipher, self._frame, self._pixels)

    def open(self) -> None:
        """Decrypt alone."""
        assert self._key.cipher is not None
        open_into(self._key.cipher, self._frame, memoryview(self._out))


def measure(frames: int) -> dict[str, Cost]:
    """Return what each piece of work costs, by the names of the methods of `Sides`."""
    sides = Sides()
    works = [sides.copy, sides.ingest, sides.exchange, sides.inference, sides.seal, sides.open]
    times: dict[str, list[float]] = {work.__name__: [] for work in works}
    for number in range(_WARM_UP + frames):
        for work in works:
            took = _ms(work)
            if number >= _WARM_UP:
                times[work.__name__].append(took)
    return {name: Cost(median(found), fmean(found)) for name, found in times.items()}


def _ms(work: Callable[[], None]) -> float:
    began = time.perf_counter_ns()
    work()
    return (time.perf_counter_ns() - began) / 1e6


def rows(rounds: list[dict[str, Cost]]) -> list[Row]:
    """Return a row for each side: the mean of its whole work; the cipher alone, and both medians, are in the note."""
    last = rounds[-1]
    more = f"handing a worker its key of a second, both sides: {last['exchange'].mean_ms:.3f} ms"
    sides = {"ingest": ("sealing", "seal", ""), "inference": ("opening", "open", f"; {more}")}
    return [
        at_most(
            f"{verb} a {WIDTH}x{HEIGHT} frame, key, header and proof included, mean ({side})",
            LIMIT_MS,
            [costs[side].mean_ms for costs in rounds],
            " ms",
            _note(last, side, cipher) + tail,
        )
        for side, (verb, cipher, tail) in sides.items()
    ]


def _note(costs: Mapping[str, Cost], side: str, cipher: str) -> str:
    alone, copy = costs[cipher], costs["copy"]
    return (
        f"p50 {costs[side].p50_ms:.3f} ms; the cipher alone: mean {alone.mean_ms:.3f}, p50 {alone.p50_ms:.3f} ms, "
        f"{alone.p50_ms / copy.p50_ms:.1f} times a copy ({copy.p50_ms:.3f} ms)"
    )
