"""Which stream is taken, and why."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from operate.cameras.core.cost import cost_ms
from operate.cameras.core.video_streams import VideoStream, choose, in_words, named

CODECS = ("H.264", "H.265", "MPEG-4", "JPEG", "other")


def stream(token, size=None, fps=None, codec="H.264", refused=None):
    width, height = size or (None, None)
    return VideoStream(
        token=token, name=f"name of {token}", codec=codec, width=width, height=height, fps=fps, refused=refused
    )


MAIN, SECOND, THIRD = stream("m", (1920, 1080), 25), stream("s", (640, 360), 8), stream("t", (320, 180), 8)
SIZES = st.none() | st.tuples(st.integers(16, 8192), st.integers(16, 8192))
STREAMS = st.lists(
    st.builds(
        stream, st.text("abc", min_size=1, max_size=3), SIZES, st.none() | st.floats(0.1, 120),
        st.sampled_from(CODECS), st.sampled_from([None, None, "elsewhere"]),
    ),
    max_size=6, unique_by=lambda one: one.token,
)  # fmt: skip


def chosen(*streams, long_side=640, fps=5.0):
    found = choose(streams, long_side=long_side, fps=fps)
    return found and (found.token, found.reason, found.divisor)


def test_the_cheapest_that_fits():
    """The second stream if it has as many pixels and pictures as are analysed; else the main one."""
    assert chosen(MAIN, SECOND, THIRD) == ("s", "smallest-that-fits", 9)
    assert chosen(MAIN, SECOND, long_side=1280) == ("m", "smallest-that-fits", 1)
    assert chosen(MAIN, SECOND, fps=10.0) == ("m", "smallest-that-fits", 1)
    assert chosen(MAIN, stream("u", (360, 640), 8)) == ("u", "smallest-that-fits", 9)


def test_a_rate_that_is_not_said_may_do():
    """It counts as a usual one."""
    assert chosen(MAIN, stream("u", (640, 360))) == ("u", "smallest-that-fits", None)


def test_none_fits():
    """Then it is the one with the most pixels: faces are as large as they can be."""
    assert chosen(THIRD, SECOND, long_side=1280) == ("s", "none-fits", 1)
    same = stream("h", (640, 360), 8, codec="H.265")
    assert chosen(THIRD, same, SECOND, long_side=1280) == ("s", "none-fits", 1)


def test_without_sizes():
    """H.264 before the others, for it is what ingest reads most."""
    assert chosen(stream("a", codec="JPEG"), stream("b", codec="H.265"), stream("c")) == ("c", "sizes-unknown", None)


def test_what_cannot_be_taken_is_not():
    """A stream that was refused, for its address or its codec."""
    assert chosen() is None
    assert chosen(stream("a", refused="codec"), stream("b", refused="elsewhere")) is None
    assert chosen(MAIN, structs.replace(SECOND, refused="elsewhere")) == ("m", "only-one", None)


def test_of_equal_cost_the_codec_decides():
    """H.265 takes more work than H.264."""
    assert chosen(stream("h", (640, 360), 8, "H.265"), SECOND)[0] == "s"


@given(STREAMS, st.integers(160, 1920), st.floats(0.1, 30))
def test_laws(streams, long_side, fps):
    """One is taken if one can be; it does not depend on their order; none that fits costs less."""
    found = choose(streams, long_side=long_side, fps=fps)
    usable = {one.token: one for one in streams if one.refused is None}
    assert (found is None) == (not usable)
    if found is None:
        return
    assert in_words(found, long_side=long_side, fps=fps)
    assert found.divisor is None or found.divisor >= 1
    taken = usable[found.token]
    if found.reason != "smallest-that-fits":
        return
    assert max(taken.width, taken.height) >= long_side
    for one in usable.values():
        if one.width and max(one.width, one.height) >= long_side and (one.fps is None or one.fps >= fps):
            cost = cost_ms(one.width, one.height, one.fps or 25.0, fps)
            assert cost >= cost_ms(taken.width, taken.height, taken.fps or 25.0, fps)


@given(STREAMS, st.randoms())
def test_the_order_does_not_matter(streams, random):
    """Two streams that cost the same are told apart by their codec only; so the cost taken is the same."""
    other = list(streams)
    random.shuffle(other)
    one, two = choose(streams, long_side=640, fps=5.0), choose(other, long_side=640, fps=5.0)
    assert (one and (one.reason, one.divisor)) == (two and (two.reason, two.divisor))


def test_the_one_that_was_asked_for():
    """By its token, or else its name; not one that is refused."""
    streams = [MAIN, SECOND, structs.replace(THIRD, refused="elsewhere")]
    assert named(streams, "m", fps=5.0).token == "m"
    assert named(streams, "name of s", fps=5.0).divisor == 9
    assert named(streams, "t", fps=5.0) is None
    assert named(streams, "none", fps=5.0) is None


def test_why_in_words():
    """The reason, and what it saves if that is worth saying."""
    best = choose([MAIN, SECOND], long_side=640, fps=5.0)
    why, saved = "the cheapest with at least 640 pixels and 5 pictures a second", "a ninth of the most expensive one"
    assert in_words(best, long_side=640, fps=5.0) == f"{why}; it costs ingest about {saved}"
    alone = choose([MAIN], long_side=640, fps=5.0)
    assert in_words(alone, long_side=640, fps=5.0) == "the only one that can be taken"
