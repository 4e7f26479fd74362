"""What is learnt of static faces survives any crash byte for byte, and so do the windows that rest on it."""

import random
from itertools import pairwise

import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from wall import SECOND, START, Message, Wall, stream

from proto.codec import encode
from proto.public import WindowV1
from proto.sightings import PassageV1, StaticFacesV1, TickV1
from proto.subjects import PASSAGES, STATIC_FACES, WINDOWS
from services.aggregate.core import static_faces
from services.aggregate.core.exchange import Reset
from services.aggregate.core.retention import needed
from services.aggregate.core.site import SiteCore
from services.aggregate.core.static_faces import is_learnt
from services.sites.settings import TrackingSettings

ROWS = {PassageV1: PASSAGES, StaticFacesV1: STATIC_FACES, WindowV1: WINDOWS}
SECONDS = 480


@pytest.fixture(name="quick", autouse=True, scope="module")
def _quick():
    """Learn within minutes, so that a short stream has all that happens in a day."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(static_faces, "LEARN", 150 * SECOND)
        patch.setattr(static_faces, "FORGET", 120 * SECOND)
        yield


def settings(make):
    """Return a site with windows of a minute, of which three make something known."""
    return make.config(window_s=60.0, lateness_s=3.0, tracking=TrackingSettings())


def hanging(rng):
    """Return a portrait that is put up and taken down at some time."""
    first, last = rng.choice([0, 0, 100]), rng.choice([SECONDS, SECONDS, 200, 330])
    face = (rng.uniform(0.1, 0.9), rng.uniform(0.15, 0.4), rng.uniform(0.03, 0.09), "unmasked")
    return lambda at: face if first <= at < last else None


def scene(seed):
    """Return the stream of a wall: portraits come and go, people walk past, pictures are lost now and then."""
    rng = random.Random(seed)
    others = [hanging(rng) for _ in range(4)]
    wall = Wall(seed, SECONDS, 20, [], fps=2, others=others)
    holes = [(start, start + rng.choice([3, 20])) for start in (rng.uniform(0, SECONDS) for _ in range(2))]
    found = list(stream(wall))
    return [
        m
        for m in found
        if isinstance(m.message, TickV1) or not any(a <= (m.time - START) / SECOND < b for a, b in holes)
    ]


def run(core, messages):
    """Return all that is published, in order."""
    return [output for message in messages for output in core.step(message) if type(output) in ROWS]


def data(outputs, kind):
    """Return the bytes of the outputs of a kind."""
    return [encode(ROWS[kind], output) for output in outputs if isinstance(output, kind)]


def test_places_become_known_and_are_forgotten_in_these_streams(make):
    """Else the properties below would say little."""
    counts = []
    for seed in range(4):
        known = [one for one in run(SiteCore(settings(make)), scene(seed)) if isinstance(one, StaticFacesV1)]
        counts.append([sum(is_learnt(cell) for camera in one.cameras for cell in camera.cells) for one in known])
    assert all(max(one) >= 2 for one in counts), counts
    assert any(after < before for one in counts for before, after in pairwise(one)), counts


@examples(60, 10)
@given(st.integers(0, 10**6), st.lists(st.floats(0, 1), min_size=1, max_size=3), st.floats(0, 1))
def test_a_crash_anywhere_changes_no_byte(make, seed, crashes, published):
    """Killed after any output of any message, several times, and restarted with what the stream must keep: the open
    window and a margin. What is learnt, each passage and each window are the same, each once."""
    messages, config = scene(seed), settings(make)
    wanted, stored, place = run(SiteCore(config), messages), [], 0
    core = SiteCore(config)
    for cut in [*sorted(round(share * len(messages)) for share in crashes), len(messages)]:
        stored += run(core, messages[place:cut])
        if cut < len(messages):
            last = [output for output in core.step(messages[cut]) if type(output) in ROWS]
            stored += last[: round(published * len(last))]
            core = SiteCore(config)
            stored += make.restore(core, stored, [config])
            stored += run(core, messages[first_kept(messages, cut, config) : cut])
            place = cut
    for kind in ROWS:
        assert data(stored, kind) == data(wanted, kind)


def first_kept(messages, cut, config):
    """Return the place of the first message that the stream still has: it keeps as long as it must."""
    oldest = messages[min(cut, len(messages) - 1)].time - needed(config)
    return next(place for place, message in enumerate(messages) if message.time >= oldest)


def on_stream(messages, created):
    """Return the messages as another stream has them, from the beginning."""
    return [Message(m.message, number, m.time, created) for number, m in enumerate(messages, 1)]


@examples(30, 5)
@given(st.integers(0, 10**6), st.floats(0.1, 0.9), st.floats(0, 1))
def test_a_lost_stream_is_learnt_from_anew_whoever_was_there(make, seed, lost, crash):
    """All NATS nodes die: who goes on and who starts after that learn the same, from the windows of the new stream."""
    messages, config = scene(seed), settings(make)
    cut = round(lost * len(messages))
    new = on_stream(messages[cut:], messages[cut].time)
    goes_on, one, two = (SiteCore(config) for _ in range(3))
    before = run(goes_on, messages[:cut])
    goes_on.step(Reset())
    wanted = run(goes_on, new)
    kept = [output for output in before if not isinstance(output, StaticFacesV1)]
    make.restore(one, kept, [config])
    stored = run(one, new[: round(crash * len(new))])
    make.restore(two, kept + stored, [config])
    stored += run(two, new)
    assert data(stored, StaticFacesV1) == data(wanted, StaticFacesV1)


def test_two_who_overlap_learn_the_same(make):
    """A second replica that begins anywhere in the stream, while the first goes on, tells nothing else."""
    messages, config = scene(3), settings(make)
    wanted = run(SiteCore(config), messages)
    for share in (0.2, 0.5, 0.8):
        cut = round(share * len(messages))
        known = run(SiteCore(config), messages[:cut])
        other = SiteCore(config)
        make.restore(other, known, [config])
        kept = messages[first_kept(messages, cut, config) :]
        assert data(known + run(other, kept), StaticFacesV1) == data(wanted, StaticFacesV1)


def test_a_crash_at_each_step_of_learning_changes_no_byte(make):
    """Before what is learnt is stored, and between it and the window that closes with it: at every border."""
    messages, config = scene(1), settings(make)
    wanted = run(SiteCore(config), messages)
    steps = [place for place, output in enumerate(wanted) if isinstance(output, StaticFacesV1)]
    assert len(steps) == SECONDS // 60
    for cut in [place + after for place in steps for after in (0, 1, 2)]:
        core = SiteCore(config)
        got = wanted[:cut] + make.restore(core, wanted[:cut], [config])
        got += run(core, messages)
        for kind in ROWS:
            assert data(got, kind) == data(wanted, kind), cut


def test_nothing_before_the_open_window_is_needed(make):
    """What is learnt is stored before the window that closes with it: of a published window no sighting is needed."""
    messages, config = scene(1), settings(make)
    wanted = run(SiteCore(config), messages)
    for cut in [place + 1 for place, output in enumerate(wanted) if isinstance(output, StaticFacesV1 | WindowV1)]:
        done = max((one.end for one in wanted[:cut] if isinstance(one, WindowV1)), default=0)
        core = SiteCore(config)
        make.restore(core, wanted[:cut], [config])
        again = run(core, [message for message in messages if message.time >= done - 12 * SECOND])
        assert data(wanted[:cut] + again, StaticFacesV1) == data(wanted, StaticFacesV1), cut
