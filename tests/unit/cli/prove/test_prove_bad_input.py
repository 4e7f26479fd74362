"""Nothing that a leaking system could say makes the search fail: it must go on, whatever it finds."""

from hypothesis import example, given
from hypothesis import strategies as st

from testbed.proof import disk
from testbed.proof.capture import destination, parsed
from testbed.proof.core.images import BLOCK, entropy, images
from testbed.proof.core.needles import Needles, forms
from testbed.proof.core.verdicts import LifetimeCounts, SearchedPlace, lifetime_of

TEXTS = st.text(st.sampled_from("\\xu0123456789abcdefnt\"'%=,[] \n/+-_"), max_size=200).map(str.encode)
NEEDLE = bytes(range(32))


@given(st.one_of(st.binary(max_size=300), TEXTS))
@example(b"\\")
@example(b"%zz%4")
@example(b"\\x\\u00\\777\\400")
@example(b"=" * 80)
@example(b"999, " * 40)
def test_any_bytes_have_forms_and_the_first_is_themselves(data):
    """Half an escape is no reason to stop."""
    found = list(forms(data))
    assert found[0] == data
    assert all(isinstance(form, bytes) for form in found)


@given(TEXTS, TEXTS, st.sampled_from([bytes.hex, repr]))
def test_a_needle_is_found_beside_any_text(before, after, write):
    """What stands around it takes no part in it, as long as it is told apart from it."""
    text = before + b' "' + write(NEEDLE).encode() + b'" ' + after
    assert any(Needles([NEEDLE]).within(form) for form in forms(text))


@given(st.binary(max_size=3 * BLOCK))
def test_any_bytes_have_an_entropy_and_perhaps_images(data):
    """Between 0 and 8 bits a byte; images lie within the bytes."""
    assert 0 <= entropy(data) <= 8.000001
    assert all(0 <= one.at < len(data) for one in images(data))


@given(st.sampled_from([0x0800, 0x86DD, 0x0806, 0]), st.binary(max_size=120))
def test_any_packet_is_taken_apart_or_searched_whole(protocol, packet):
    """A payload is always the packet's own end, so nothing of it goes unsearched but headers."""
    ports, payload = parsed(protocol, memoryview(packet))
    assert packet.endswith(bytes(payload))
    assert ports is not None or bytes(payload) == packet
    assert destination(protocol, memoryview(packet)) is None or len(packet) >= 20


LINES = st.lists(st.text(st.sampled_from('7 openat(AT_FDCWD,"/x")<.>= 3-1O_WR|CREAT+killed\n'), max_size=80))


@given(LINES)
@example(["", "7", "7 ", "7 <... openat resumed>) = 3</x>", "7 openat( <unfinished ...>", "7 +++ killed by"])
def test_any_trace_can_be_read(lines):
    """A trace whose program was killed ends in the middle of a line."""
    seen = disk.read(lines)
    assert seen.calls >= 0
    assert all(isinstance(path, str) for path in seen.written)


def test_a_page_without_the_metric_has_no_lifetimes():
    """Such as that of an ingest that has just started."""
    assert lifetime_of("") == LifetimeCounts()
    assert lifetime_of('# TYPE other counter\nother_total{a="b"} 3\n') == LifetimeCounts()


@given(st.lists(st.floats(0, 200), min_size=1, max_size=50), st.floats(0.01, 1))
def test_the_upper_bound_is_never_below_what_was_measured(times, share):
    """Whatever share of the pictures is asked for: the promise is judged by an upper bound."""
    bounds = (5.0, 50.0, 100.0)
    found = LifetimeCounts({bound: float(sum(t <= bound for t in times)) for bound in bounds}, float(len(times)))
    upper = found.upper(share)
    within = sum(t <= (upper if upper is not None else float("inf")) for t in times)
    assert within >= share * len(times) - 1e-6
    assert (found + found).upper(share) == upper
    assert (found + found - found).buckets == found.buckets


@given(st.lists(st.sampled_from(["hit", "miss", "see", "search", "leave out"]), max_size=8))
def test_no_order_of_events_makes_a_leak_or_a_blind_search_good(events):
    """Only a search that has seen its canary, found nothing and missed nothing is; or one that a user does without."""
    place = SearchedPlace("logs", "log lines")
    for event in events:
        if event == "hit":
            place.hit("somewhere")
        elif event == "miss":
            place.miss("a part")
        elif event == "see":
            place.canary = True
        elif event == "leave out":
            place.left_out = True
        else:
            place.searched(10)
    if place.is_good:
        assert "hit" not in events
        assert "leave out" in events or ({"see", "search"} <= set(events) and "miss" not in events)
