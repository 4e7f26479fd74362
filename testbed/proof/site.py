"""The proof's site: the settings of its box, and the known film.

There is one lab site with two cameras, and a rule that fires and sends a mail and an SMS. The film shows people without
masks in a hall. Added noise makes every row of every picture unique.
"""

from __future__ import annotations  # PyAV's Packet is generic for type checkers only

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.packet import Packet
from av.video.stream import VideoStream
from PIL import Image

from proto.types import WHOLE_SITE
from services.sites.profiles import TRIAL
from testbed.simulation.crowd_plan import Plan
from testbed.simulation.film import encode, pictures
from testbed.simulation.scenario import CameraView, Phase, Scenario, Walking
from testbed.simulation.walkers import walker

SITE = "proof"
NETWORK, FILE = "network", "film"
"""The two cameras: one sends over the network, the other is a file played in a loop."""
LONG_SIDE = 480
_ADDRESS, _NUMBER = "field-staff@market.example", "+33612345678"


@dataclass(frozen=True)
class Surroundings:
    """The cameras and gateways of the box."""

    camera: str
    film: Path
    smtp_port: int
    sms: str


def settings(around: Surroundings) -> dict[str, Any]:
    """Return the settings file's content. Logs are as detailed as possible, so that the search covers more."""
    options = {"long_side": LONG_SIDE}
    cameras = [
        {"id": NETWORK, "url": around.camera, **options},
        {"id": FILE, "url": str(around.film), "loop": True, **options},
    ]
    thresholds = {"fire_below": 0.8, "clear_above": 0.9, "for_windows": 1, "min_persons": 1}
    site = {
        "id": SITE,
        "profile": TRIAL,
        "window_s": 4.0,
        "lateness_s": 1.0,
        "cameras": cameras,
        "rules": [{"id": "few-masks", "zone": WHOLE_SITE, **thresholds}],
    }
    provider = {"url": around.sms, "json": {"to": "$to", "text": "$text"}}
    notify = {
        "smtp": {
            "host": "127.0.0.1",
            "port": around.smtp_port,
            "security": "none",
            "sender": "moretta@market.example",
        },
        "sms": {"provider": provider, "allow_http": True},
        "receivers": [{"id": "staff", "email": [_ADDRESS], "sms": [_NUMBER], "sites": [SITE], "max_per_hour": 100}],
        "routes": [{"receiver": "staff", "group_wait_s": 0, "group_interval_s": 1}],
        "salt": secrets.token_hex(16),
    }
    return {"sites": [site], "notify": notify, "log": {"level": "debug"}, "aggregate": {"tick_s": 0.5}}


FPS = 12
SECONDS = 8
_NOISE = 9
"""In steps of brightness, up and down; the model still finds the faces."""
_REPEATS = 12
"""How often the camera's stream shows the film before it ends by itself."""
PEOPLE = 4
"""Number of people in one showing of the film."""
_FIRST_S, _EVERY_S = -3.0, 2.2
"""When the first of them sets out, to be in the first picture, and how long until the next one does."""
_WAY, _VIEW = Walking(towards=0, away=0, stopping=0, speed=0.45), CameraView(farthest_px=60, nearest_px=75)


def make_film(path: Path, seed: int) -> Path:
    """Write an H.264 film of a few people near the camera. The same seed gives the same people and noise."""
    return encode(path, _noisy(seed), FPS)


def _noisy(seed: int) -> Iterator[Image.Image]:
    source = np.random.default_rng(seed)
    people = tuple(walker(source, _FIRST_S + index * _EVERY_S, "unmasked", _WAY, _VIEW) for index in range(PEOPLE))
    scenario = Scenario(phases=[Phase(seconds=SECONDS)], seed=seed, fps=FPS, view=_VIEW)
    for picture in pictures(Plan(scenario, people)):
        whole = np.asarray(picture).astype(np.int16)
        noise = source.integers(-_NOISE, _NOISE + 1, whole.shape[:2], dtype=np.int16)
        yield Image.fromarray(np.clip(whole + noise[:, :, None], 0, 255).astype(np.uint8))


def make_stream(film: Path, into: Path) -> Path:
    """Write the film many times over as MPEG-TS, with its packets unchanged, as a camera sends it over HTTP."""
    with av.open(str(into), "w", format="mpegts") as output:
        stream = None
        for turn in range(_REPEATS):
            with av.open(str(film)) as source:
                shown = source.streams.video[0]
                stream = stream or output.add_stream_from_template(shown)
                for packet in source.demux(shown):
                    if packet.size:
                        _shift(packet, turn)
                        packet.stream = stream
                        output.mux(packet)
    return into


def _shift(packet: Packet[VideoStream], turn: int) -> None:
    later = int(turn * SECONDS / packet.time_base)
    packet.pts = (packet.pts or 0) + later
    packet.dts = (packet.dts or 0) + later


def rate(stream: Path) -> float:
    """Return the bytes of the stream that a camera sends in a second."""
    return stream.stat().st_size / (_REPEATS * SECONDS)
