"""On the bus a picture is noise (docs/privacy.md): the proof, on the real box, with a listener who has every right."""

import asyncio
import json
import math
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import clips
import numpy as np
import pytest
import yaml
from nats.aio.client import Client
from patience import until

from operate.box import box as boxing
from operate.box.box import Box
from proto.codec import decode
from proto.subjects import CAMERAS, FRAMES, KEYS, SIGHTINGS, WORKERS
from services.ingest.core.picture import i420_size
from services.ingest.sources.decoder import Decoder
from services.ingest.sources.source import open_source
from services.sites.settings import CameraSettings
from testbed.proof.core.needles import SIZE, Needles, cut

WIDTH, HEIGHT, LONG_SIDE = 640, 360, 320
PICTURES = 25
TEXTURE = np.random.default_rng(7).integers(0, 256, (HEIGHT // 4, 2 * WIDTH // 4, 3), dtype=np.uint8)


def textured(width, height, index):
    """A picture of random blocks that wander: hardly any 32 bytes of it are like any others."""
    whole = TEXTURE.repeat(4, 0).repeat(4, 1)
    return np.ascontiguousarray(whole[:height, index * 8 : index * 8 + width])


@pytest.fixture(name="clip", scope="module")
def _clip(tmp_path_factory):
    """A clip, outside the box's folder."""
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    return clips.make_clip(path, width=WIDTH, height=HEIGHT, pictures=PICTURES, picture=textured)


@dataclass
class Secret:
    """All that must not be heard: the pictures as decoder and scaler yield them, and the encoded packets."""

    pictures: list[bytes] = field(default_factory=list)
    planes: list[bytes] = field(default_factory=list)
    packets: list[bytes] = field(default_factory=list)

    def needles(self):
        return Needles(needle for data in (*self.pictures, *self.planes, *self.packets) for needle in cut(data))


@pytest.fixture(name="secret", scope="module")
def _secret(clip):
    """The clip through the product's own source, decoder and scaler, with the settings that the box has."""
    secret = Secret()
    settings = CameraSettings(id="gate", url=str(clip), long_side=LONG_SIDE)
    with open_source(settings) as source:
        decoder = Decoder(source.stream, LONG_SIDE)
        for packet in [*source.packets(), None]:
            if packet is not None:
                secret.packets.append(bytes(packet))
            for frame in decoder.decode(packet):
                secret.planes += [_tight(plane) for plane in frame.planes]
                buffer = bytearray(i420_size(LONG_SIDE, LONG_SIDE))
                width, height = decoder.convert(frame, memoryview(buffer))
                secret.pictures.append(bytes(buffer[: i420_size(width, height)]))
        decoder.discard()
    assert len(secret.pictures) == PICTURES
    return secret


def _tight(plane):
    rows = np.frombuffer(plane, np.uint8)[: plane.height * plane.line_size].reshape(plane.height, plane.line_size)
    return rows[:, : plane.width].tobytes()


def with_taps(nats_config):
    """The box's configuration, and in each account one more user who may hear and say everything."""

    def extended(*args, **more):
        whole = json.loads(nats_config(*args, **more))
        for account in ("MORETTA", "MORETTA_FRAMES"):
            rights = {"publish": ">", "subscribe": ">"}
            user = {"user": f"tap-{account}", "password": "tap", "permissions": rights}
            whole["accounts"][account]["users"].append(user)
        return json.dumps(whole)

    return extended


class Tap:
    """A listener in one account who keeps every payload that passes, with its headers."""

    def __init__(self, account):
        self.account, self.client = account, Client()
        self.heard: list[tuple[str, bytes, str]] = []

    async def __aenter__(self):
        await self.client.connect(self.url, user=f"tap-{self.account}", password="tap", allow_reconnect=False)
        await self.client.subscribe(">", cb=self._hear, pending_msgs_limit=-1, pending_bytes_limit=-1)
        return self

    def at(self, url):
        self.url = url
        return self

    async def __aexit__(self, *_):
        await self.client.close()

    async def _hear(self, msg):
        self.heard.append((msg.subject, bytes(msg.data), repr(msg.headers)))

    def of(self, row):
        """What was heard of one row of the table."""
        return [data for subject, data, _ in self.heard if row.parse(subject) is not None]


def leaks(taps, needles):
    """Account and subject of every message with a needle in its payload, subject or headers."""
    return {
        (tap.account, subject)
        for tap in taps
        for subject, data, headers in tap.heard
        if needles.within(data) or needles.within(f"{subject} {headers}".encode())
    }


def files_with(folder: Path, needles):
    """The files below a folder that hold a needle."""
    return {path.name for path in folder.rglob("*") if path.is_file() and needles.within(path.read_bytes())}


def _unescaped(lines):
    """What the services said, with bytes that were logged as text turned back into bytes."""
    return (
        "\n".join(lines).encode("latin-1", "replace").decode("unicode-escape", "replace").encode("latin-1", "replace")
    )


def entropy(data):
    """Bits per byte (Shannon 1948)."""
    counts, total = Counter(data).values(), len(data)
    return -sum(n / total * math.log2(n / total) for n in counts)


def settings_of(clip):
    cameras = [{"id": "gate", "url": str(clip), "fps": 5.0, "long_side": LONG_SIDE, "loop": True}]
    return {"sites": [{"id": "cannes", "profile": "lab", "window_s": 2.0, "lateness_s": 0.5, "cameras": cameras}]}


async def test_a_subscriber_with_every_right_sees_no_picture(tmp_path, clip, secret, monkeypatch):
    """Frames pass and are noise: no row of any picture, scaled or not, and no part of a packet is in anything heard.

    Nor is one in what the services said or in what the box has on disk. The search finds what is planted.
    """
    monkeypatch.setattr(boxing, "nats_config", with_taps(boxing.nats_config))
    folder, file, said = tmp_path / "box", tmp_path / "settings.yaml", []
    file.write_text(yaml.safe_dump(settings_of(clip)))
    taps = main, frames = Tap("MORETTA"), Tap("MORETTA_FRAMES")
    async with (
        Box(folder, file, on_line=lambda _, line: said.append(line)) as box,
        main.at(box.url),
        frames.at(box.url),
    ):
        await until(lambda: len(frames.of(FRAMES)) >= 15, "fifteen frames", 60)
        await until(lambda: len(main.of(SIGHTINGS)) >= 10, "ten analysed pictures", 60)
        await until(lambda: len(main.of(CAMERAS)) >= 3, "reports of the camera", 30)
        for tap in taps:
            await tap.client.publish("planted.leak", b"head" + secret.pictures[3][1_000:1_320] + b"tail")
        await until(lambda: all("planted.leak" in [s for s, *_ in tap.heard] for tap in taps), "what was planted")
        needles = await asyncio.to_thread(secret.needles)
        (folder / "planted.bin").write_bytes(secret.packets[0][:200])

    sealed = [bytes(decode(FRAMES, data).sealed) for data in frames.of(FRAMES)]
    assert len(sealed) >= 15
    assert frames.of(KEYS)
    assert frames.of(WORKERS)
    assert {len(data) for data in sealed} == {i420_size(LONG_SIDE, 180) + 16}
    assert min(entropy(data) for data in sealed) > 7.99
    assert max(entropy(picture) for picture in secret.pictures) < 7.9
    assert len(needles) > 50_000
    assert leaks(taps, needles) == {("MORETTA", "planted.leak"), ("MORETTA_FRAMES", "planted.leak")}
    assert needles.within(_unescaped(said)) == []
    assert max(map(len, said)) < 1_000, "no log line has room for a picture in any other form"
    assert files_with(folder, needles) == {"planted.bin"}
    assert list((folder / "jetstream").rglob("*")), "there is a store to search"


async def test_a_still_scene_shows_nothing(tmp_path, monkeypatch):
    """A camera that always sees the same: no two frames on the bus share 32 bytes, so nobody sees that it is still."""
    monkeypatch.setattr(boxing, "nats_config", with_taps(boxing.nats_config))
    still = clips.make_clip(
        tmp_path / "still.mp4", width=WIDTH, height=HEIGHT, pictures=25, picture=lambda w, h, _: textured(w, h, 0)
    )
    folder, file = tmp_path / "box", tmp_path / "settings.yaml"
    file.write_text(yaml.safe_dump(settings_of(still)))
    frames = Tap("MORETTA_FRAMES")
    async with Box(folder, file, on_line=lambda *_: None) as box, frames.at(box.url):
        await until(lambda: len(frames.of(FRAMES)) >= 6, "six frames", 60)
    payloads = {decode(FRAMES, data).sequence: bytes(decode(FRAMES, data).sealed) for data in frames.of(FRAMES)}
    assert len(payloads) >= 3
    for sequence, sealed in payloads.items():
        others = [data for number, data in payloads.items() if number != sequence]
        needles = Needles(cut(sealed))
        assert not any(needles.within(other) for other in others)


def test_the_clip_has_enough_to_be_recognised(secret):
    """Nearly every part of every picture and packet is a needle."""
    for data in (*secret.pictures, *secret.planes, *secret.packets):
        if len(data) >= 1_000:
            assert len(cut(data)) > 0.8 * (len(data) // SIZE)
    assert sum(len(packet) >= 1_000 for packet in secret.packets) > PICTURES / 2
