"""How soon people are told: bench.notify, on a real server with the real service."""

from bench.notify import BURST, Told, row, told


async def test_it_measures():
    """Two bursts: every alert is told of, and it took some time."""
    took = await told(2)
    assert len(took.seconds) == 2 * BURST
    assert all(seconds > 0 for seconds in took.seconds)
    assert max(took.seconds) < 30
    assert took.cpu_ms > 0


def test_the_table_says_what_is_missed():
    """One slow mail of a thousand is none of the 99th percentile's business, two of a hundred are."""
    quick = [0.1] * 999
    assert row([Told([*quick, 9.0], 2.0)] * 3).met
    assert not row([Told([0.1] * 98 + [9.0, 9.0], 2.0)] * 3).met
    note = row([Told([*quick, 9.0], 2.0), Told(quick, 4.0)]).note
    assert ("the slowest took 9.00 s" in note, "3.0 ms of notify's processor time an alert" in note) == (True, True)
