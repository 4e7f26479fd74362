"""Statistics of the pixel lifetime: services.ingest.core.lifetime."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from proto.public import Lifetime
from services.ingest.core.lifetime import CAP_MS, Lifetimes

MS = 1_000_000


def test_percentiles_by_nearest_rank():
    """Of 1..100 ms the p50 is 50 ms, the p99 99 ms and the longest 100 ms."""
    lifetimes = Lifetimes()
    for ms in range(100, 0, -1):
        lifetimes.add(ms * MS)
    assert lifetimes.report() == (50.0, 99.0, 100.0, 100, 0, 100, 0)


def test_unconfirmed_pictures_are_in_the_p99():
    """Two of 100 without a reply make the p99 the cap; one of 100 does not; both are counted."""
    one, two = Lifetimes(), Lifetimes()
    for _ in range(98):
        one.add(20 * MS)
        two.add(20 * MS)
    one.add(20 * MS)
    one.add_unconfirmed()
    two.add_unconfirmed()
    two.add_unconfirmed()
    assert one.report() == (20.0, 20.0, CAP_MS, 100, 1, 100, 1)
    assert two.report() == (20.0, CAP_MS, CAP_MS, 100, 2, 100, 2)


def test_nothing_measured_is_all_zero():
    """Without a picture the report is zeros, and frames says so."""
    assert Lifetimes().report() == (0.0, 0.0, 0.0, 0, 0, 0, 0)


def test_covers_the_last_report_but_one():
    """A picture is in the next two reports and not in the third."""
    lifetimes = Lifetimes()
    lifetimes.add(80 * MS)
    assert lifetimes.report().frames == 1
    lifetimes.add(10 * MS)
    assert lifetimes.report()[:5] == (10.0, 80.0, 80.0, 2, 0)
    assert lifetimes.report()[:5] == (10.0, 10.0, 10.0, 1, 0)
    assert lifetimes.report().frames == 0


def test_each_picture_is_counted_once_and_none_is_lost_with_a_report():
    """Late is what lived longer than 100 ms, or was not confirmed; a report that nobody was told leaves its counts."""
    lifetimes = Lifetimes()
    for ms in (20, 100, 101):
        lifetimes.add(ms * MS)
    lifetimes.add_unconfirmed()
    lost = lifetimes.report()
    assert (lost.pictures, lost.late) == (4, 2)
    told = lifetimes.report()
    lifetimes.add_unconfirmed()  # while it is on its way
    lifetimes.told(told.pictures, told.late)
    assert (told.pictures, told.late) == (4, 2)
    assert lifetimes.report()[5:] == (1, 1)


@given(st.lists(st.one_of(st.none(), st.integers(0, 10**12)), max_size=200))
def test_report_fits_the_contract(values):
    """Whatever was measured, the report is valid in proto.public.Lifetime and ordered: p50 <= p99 <= max <= cap."""
    lifetimes = Lifetimes()
    for value in values:
        if value is None:
            lifetimes.add_unconfirmed()
        else:
            lifetimes.add(value)
    report = lifetimes.report()
    data = msgspec.json.encode(Lifetime(*report))
    assert msgspec.json.decode(data, type=Lifetime) == Lifetime(*report)
    assert 0 <= report.p50_ms <= report.p99_ms <= report.max_ms <= CAP_MS
    assert (report.frames, report.unconfirmed) == (len(values), values.count(None))


def test_memory_is_bounded():
    """A caller that never reports does not fill the memory; the newest pictures are kept."""
    lifetimes = Lifetimes()
    for _ in range(25_000):
        lifetimes.add(MS)
    for _ in range(20_000):
        lifetimes.add(2 * MS)
    assert lifetimes.report() == (2.0, 2.0, 2.0, 20_000, 0, 45_000, 0)
