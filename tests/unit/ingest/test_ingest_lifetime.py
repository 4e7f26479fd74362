"""Counts of the pixel lifetime: services.ingest.core.lifetime."""

from services.ingest.core.lifetime import Lifetimes

MS = 1_000_000


def test_late_is_what_lived_longer_than_promised_or_was_not_confirmed():
    """100 ms is in time, a nanosecond more is not; a picture without a reply has no time, and is late."""
    lifetimes = Lifetimes()
    assert (lifetimes.pictures, lifetimes.late, lifetimes.unconfirmed) == (0, 0, 0)
    for lived in (20 * MS, 100 * MS, 100 * MS + 1):
        lifetimes.add(lived)
    assert (lifetimes.pictures, lifetimes.late, lifetimes.unconfirmed) == (3, 1, 0)
    lifetimes.add_unconfirmed()
    assert (lifetimes.pictures, lifetimes.late, lifetimes.unconfirmed) == (4, 2, 1)
