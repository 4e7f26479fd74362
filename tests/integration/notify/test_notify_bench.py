"""How soon people are told: bench.notify, on a real server with the real service."""

from bench.notify import BURST, row, told_s


async def test_it_measures():
    """Two bursts: every alert is told of, and it took some time."""
    took = await told_s(2)
    assert len(took) == 2 * BURST
    assert all(seconds > 0 for seconds in took)
    assert max(took) < 30


def test_the_table_says_what_is_missed():
    """One slow mail of a thousand is none of the 99th percentile's business, two of a hundred are."""
    quick = [0.1] * 999
    assert row([[*quick, 9.0]] * 3).met
    assert not row([[0.1] * 98 + [9.0, 9.0]] * 3).met
    assert "the slowest took 9.00 s" in row([[*quick, 9.0]]).note
