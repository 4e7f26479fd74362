"""What sealing costs: bench.sealing_cost, without minding how much it is."""

from bench.sealing_cost import Cost, measure, rows


def test_both_sides_do_their_work():
    """Each piece of work is measured, and the table has a row for each side with its median and its share."""
    costs = measure(3)
    assert set(costs) == {"copy", "ingest", "exchange", "inference", "seal", "open"}
    assert all(cost.mean_ms > 0 for cost in costs.values())
    sealing, opening = rows([costs])
    assert ("(ingest)" in sealing.name, "(inference)" in opening.name) == (True, True)
    assert [sealing.runs, opening.runs] == [[costs["ingest"].mean_ms], [costs["inference"].mean_ms]]


def test_the_mean_of_the_median_round_counts():
    """A round in which the machine did something else decides nothing; the cipher is told as so many copies."""
    names = ("copy", "exchange", "seal", "open", "ingest", "inference")
    rounds = [dict.fromkeys(names, Cost(0.1, mean)) for mean in (0.2, 9.0, 0.31)]
    for row in rows(rounds):
        assert (row.target, row.measured, row.verdict) == ("<= 0.3 ms", "0.31 ms", "missed")
        assert "p50 0.100 ms; the cipher alone: mean 0.310, p50 0.100 ms, 1.0 times a copy (0.100 ms)" in row.note
