"""People counted with and without the pictures of still scenes: bench.unmoved, on a short film."""

from msgspec import structs

from bench.unmoved import compared, table
from operate.simulation.scenario import Phase, load_scenario


def test_nobody_is_lost_and_little_is_analysed():
    """Ten seconds in which nobody comes, then some who do: all of those count, and the quiet seconds cost a few."""
    phases = [Phase(seconds=10), Phase(seconds=20, arrivals_per_minute=20), Phase(seconds=8)]
    row = compared("quiet", structs.replace(load_scenario("sparse"), phases=phases))
    assert row["persons"][0] == row["persons"][1] > 0
    assert row["masked"][0] == row["masked"][1]
    assert 0.3 < row["analysed"] < 0.9
    assert table([row]).row_count == 1
