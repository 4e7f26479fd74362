"""Scenarios: strict, with every mistake told by its path; what follows from the phases."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kernel.settings import SettingsError
from testbed.simulation.scenario import BUILT_IN, LightPeriod, Phase, Scenario, ScenarioPeriod, load_scenario

PHASES = st.lists(
    st.builds(
        Phase,
        seconds=st.integers(1, 100).map(float),
        arrivals_per_minute=st.integers(0, 60).map(float),
        masked=st.floats(0, 1),
    ),
    min_size=1,
    max_size=5,
)


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_scenarios_are_good(name):
    """Each loads; a day is a day."""
    scenario = load_scenario(name)
    assert scenario.problems() == []
    assert 0 < scenario.masked_share() < 1
    assert (scenario.length_s == 86_400) == (name == "day")


def test_density_is_as_the_names_say():
    """More people a minute from sparse to dense, and enough of them for a rate."""
    scenarios = [load_scenario(name) for name in ("sparse", "medium", "dense")]
    rates = [max(phase.arrivals_per_minute for phase in one.phases) for one in scenarios]
    assert rates == sorted(set(rates))
    for one in scenarios:
        assert sum((end - start) * p.arrivals_per_minute / 60 for start, end, p in one.process()) > 40


def test_every_mistake_has_its_path(tmp_path):
    """Unknown keys, wrong kinds and what is out of bounds: one line each, with what would be right."""
    file = tmp_path / "s.yaml"
    file.write_text(
        "phases: [{seconds: 0, arrivals: 3}, {seconds: 9, masked: 2}]\n"
        "people: {towards: a}\ndetector: {recall: [[8, 2]]}\nwho: 1\n"
    )
    with pytest.raises(SettingsError) as error:
        load_scenario(str(file))
    lines = str(error.value).splitlines()
    assert all(line.startswith(f"{file}: ") for line in lines)
    paths = {line.removeprefix(f"{file}: ").split(": ")[0] for line in lines}
    assert paths == {
        "who",
        "phases[0].arrivals",
        "phases[0].seconds",
        "phases[1].masked",
        "people.towards",
        "detector.recall[0][1]",
    }


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("phases: [{seconds: 9, masked: 0.7, incorrect: 0.4}]", "phases[0].incorrect: 0.4 and masked 0.7 are more"),
        ("phases: [{seconds: 50000}, {seconds: 50000}]", "phases: last 100000 s; a scenario is at most a day"),
        ("phases: [{seconds: 9}]\npeople: {towards: 0.7, away: 0.4}", "people.away: 0.4 and towards 0.7 are more"),
        ("phases: [{seconds: 9}]\nview: {nearest_px: 9}", "view.nearest_px: 9 is no larger than farthest_px 16"),
        ("phases: [{seconds: 9}]\ndetector: {recall: [[9, 1], [8, 1]]}", "detector.recall: sizes must rise"),
        (
            "phases: [{seconds: 9}]\nmirror: {nearest_m: 5, farthest_m: 2}",
            "mirror.farthest_m: 2 is no farther than nearest_m 5",
        ),
        ("", "phases: is missing; must be a list of at least 1"),
        ("[]", "must hold sections such as `phases:`, got an empty list"),
    ],
)
def test_what_no_single_field_shows(tmp_path, content, told):
    """Fields that do not fit each other, and what is no scenario at all."""
    file = tmp_path / "s.yaml"
    file.write_text(content)
    with pytest.raises(SettingsError) as error:
        load_scenario(str(file))
    assert str(error.value).startswith(f"{file}: {told}")


def test_no_such_scenario():
    """The built-in ones are named."""
    with pytest.raises(
        SettingsError, match=r"SCENARIO: 'sprase' is no file here; .* sparse, medium, dense, day, market"
    ):
        load_scenario("sprase")


@given(PHASES, st.none() | st.integers(1, 500).map(float))
def test_the_phases_fill_the_time(phases, seconds):
    """One after the other without a gap, again and again where the scenario is longer, cut where it is shorter."""
    scenario = Scenario(phases=phases, seconds=seconds)
    parts = list(scenario.process())
    assert parts[0][0] == 0
    assert parts[-1][1] == scenario.length_s == (seconds or sum(phase.seconds for phase in phases))
    assert all(a[1] == b[0] for a, b in itertools.pairwise(parts))
    assert [phase for _, _, phase in parts] == [phases[i % len(phases)] for i in range(len(parts))]
    share = scenario.masked_share()
    coming = [phase.masked for _, _, phase in parts if phase.arrivals_per_minute]
    assert (share is None) == (not coming)
    assert share is None or min(coming) - 1e-9 <= share <= max(coming) + 1e-9


def test_what_a_picture_shows():
    """A frozen picture shows its beginning, there is none in an outage, and the light is what it is then."""
    scenario = Scenario(
        phases=[Phase(seconds=100)],
        freezes=[ScenarioPeriod(start=10, seconds=5)],
        outages=[ScenarioPeriod(start=20, seconds=5)],
        lights=[LightPeriod(start=30, seconds=5, level=0.5)],
    )
    assert [scenario.shown_s(at) for at in (9.9, 10, 14.9, 15)] == [9.9, 10, 10, 15]
    assert [scenario.is_out(at) for at in (19.9, 20, 24.9, 25)] == [False, True, True, False]
    assert [scenario.light(at) for at in (29.9, 30, 35)] == [1, 0.5, 1]
    off = Scenario(phases=[Phase(seconds=100)], lights=[LightPeriod(start=30, seconds=5, level=0)])
    assert [off.is_dark(at) for at in (29.9, 30, 34.9, 35)] == [False, True, True, False]
