"""The known film, and the needles of it: each row names its picture, and nothing that is no secret is one."""

import io
import zlib
from collections import Counter, defaultdict

import av
import numpy as np
import pytest

from services.ingest.core.picture import i420_size
from services.ingest.sources.decoder import Decoder
from services.ingest.sources.source import open_source
from services.sites.settings import CameraSettings
from testbed.proof.core.images import images
from testbed.proof.core.needles import SIZE, cut
from testbed.proof.secret import COMMON, FilmNeedles, Label
from testbed.proof.site import FPS, LONG_SIDE, SECONDS, make_film, make_stream, rate

pytestmark = pytest.mark.xdist_group("known-film")  # which is made once
PICTURES = 24


@pytest.fixture(name="film", scope="module")
def _film(tmp_path_factory):
    return make_film(tmp_path_factory.mktemp("film") / "film.mp4", seed=11)


@pytest.fixture(name="secret", scope="module")
def _secret(film):
    secret = FilmNeedles()
    secret.take(film, LONG_SIDE, PICTURES)
    return secret


def test_a_seed_is_a_film(film, tmp_path):
    """The same bytes for the same seed; hardly anything in common with another one's."""
    assert make_film(tmp_path / "again.mp4", seed=11).read_bytes() == film.read_bytes()
    other = FilmNeedles()
    other.take(make_film(tmp_path / "other.mp4", seed=12), LONG_SIDE, 2)
    mine = FilmNeedles()
    mine.take(film, LONG_SIDE, 2)
    assert len(other.needles.keys() & mine.needles.keys()) < 0.01 * len(mine.needles)
    with av.open(str(film)) as container:
        assert container.streams.video[0].frames == FPS * SECONDS


def test_every_picture_has_needles_of_its_own(secret):
    """As decoded, as scaled, and as numbers; a picture's rows of brightness are no other's."""
    assert secret.pictures == PICTURES
    counted: dict[str, Counter] = defaultdict(Counter)
    for label in secret.needles.values():
        counted[label.kind][label.number] += 1
    for kind, least in (("decoded", 300), ("scaled", 200), ("floats", 50)):
        assert all(counted[kind][number] >= least for number in range(PICTURES)), (kind, counted[kind])
    assert len(counted["packet"].keys() - {COMMON}) >= PICTURES
    assert {len(needle) for needle in secret.needles} == {SIZE}


def test_what_the_services_have_in_memory_is_found(film, secret):
    """A picture as decoder and scaler yield it, whole, is found with its own number, and so is a packet."""
    search = secret.search()
    buffer = memoryview(bytearray(i420_size(LONG_SIDE, LONG_SIDE)))
    with open_source(CameraSettings(id="a", url=str(film))) as source:
        decoder = Decoder(source.stream, LONG_SIDE)
        for number, packet in enumerate(source.packets()):
            if number == 5:
                break
            frame = decoder.decode(packet)[0]
            decoder.convert(frame, buffer)
        decoder.discard()
    assert _of(search.found(buffer), "scaled") == 4
    assert _of(search.found(bytes(packet)), "packet") == 6
    luma = bytes(buffer[: LONG_SIDE * 200])
    assert _of(search.found(np.frombuffer(luma, np.uint8).astype(np.float32).tobytes()), "floats") == 4


def test_a_smaller_copy_is_found_once_compressed_and_not_as_bare_pixels(film, secret):
    """As docs/privacy.md says: no piece of a row is left; an image's format is known, other compression looks like
    noise from 8 kB on, and bare pixels look like nothing.
    """
    with av.open(str(film)) as container:
        small = next(container.decode(video=0)).to_image().resize((480, 270))
    copies = {kind: io.BytesIO() for kind in ("PNG", "GIF", "WebP", "BMP", "JPEG", "TIFF", "AVIF")}
    for kind, file in copies.items():
        small.save(file, kind)
    written = {kind: file.getvalue() for kind, file in copies.items()}
    bare = small.convert("L").tobytes()
    written |= {"zlib": zlib.compress(bare), "bare": bare}
    search = secret.search()
    assert not any(list(search.found(data)) for data in written.values())
    first = {kind: next((one.kind for one in images(data)), None) for kind, data in written.items()}
    assert first == {kind: kind for kind in copies} | {"zlib": "noise", "bare": None}


def _of(found, kind: str) -> int:
    """The one picture or packet of this kind that most of the needles found are of."""
    numbers = Counter(label.number for _, label in found if label.kind == kind and label.number != COMMON)
    (number, times), *others = numbers.most_common(2)
    assert times > 9 * (others[0][1] if others else 0)
    return number


def test_a_stream_has_the_same_pictures_in_other_packets(film, secret, tmp_path):
    """So only its packets are added; it lasts for long, and its rate is that of the film."""
    stream = make_stream(film, tmp_path / "stream.ts")
    both = FilmNeedles(dict(secret.needles), secret.pictures, secret.packets)
    both.take(stream, LONG_SIDE, PICTURES, packets_alone=True)
    new = [label for needle, label in both.needles.items() if needle not in secret.needles]
    assert {label.kind for label in new} == {"packet"}
    assert both.pictures == PICTURES
    assert both.packets == secret.packets + PICTURES
    assert 0.9 < rate(stream) * SECONDS / film.stat().st_size < 1.2
    with av.open(str(stream)) as container:
        shown = container.streams.video[0]
        times = [packet.pts * packet.time_base for packet in container.demux(shown) if packet.size]
    assert times == sorted(times)
    assert float(times[-1] - times[0]) == pytest.approx(12 * SECONDS, abs=0.2)


def test_what_is_shared_names_no_picture_and_what_an_encoder_says_is_no_secret(secret):
    """x264 writes its settings as text into the first packet; a row that two pictures share is labelled as common."""
    assert not any(b"x264" in needle and needle.isascii() for needle in secret.needles)
    shared = FilmNeedles()
    row = bytes(range(SIZE))
    for number in (1, 1, 2):
        shared._row(row, Label("decoded", number))
    assert shared.needles == {row: Label("decoded", COMMON)}


def test_a_canary_is_known_by_its_place(secret):
    """All of its pieces."""
    planted = FilmNeedles(dict(secret.needles))
    row = bytes(np.random.default_rng(1).integers(0, 256, 320, dtype=np.uint8))
    planted.plant("logs", row)
    assert all(planted.needles[part] == Label("canary", 0, "logs") for part in cut(row))
    assert planted.needles[row[:SIZE]].is_canary
