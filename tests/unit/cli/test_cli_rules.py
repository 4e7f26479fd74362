"""`moretta rules test`: the short form of windows, what is wrong with a file, and what differs from what it expects."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operate.rules.file import read_cases, seconds
from operate.rules.output import run, show, summary
from operate.rules.series import WindowPeople, entries, window
from services.aggregate.core.config import SiteConfig
from services.aggregate.core.rules.rulebook import RuleBook
from services.kernel.settings import SettingsError
from services.sites.settings import RuleSettings, SiteSettings

EXAMPLE = Path(__file__).parents[3] / "docs" / "rules-test.yaml"
RULE = "{id: low, zone: hall, fire_below: 0.7, clear_above: 0.75, for_windows: 2}"
SITE, FORVILLE = {"rules": "", "settings": "site.yaml"}, {"site": "forville"}
UNEXPECTED = "low is firing at 40m, which nothing expects: add {at: 40m, rule: low, alert: firing} if that is right"


def written(tmp_path, **changes):
    """Return a file with one test; each change replaces a key's text."""
    keys = {
        "name": "a test",
        "rules": f"[{RULE}]",
        "series": "[{zone: hall, values: '100 50 x2'}]",
        "expect": "[{at: 40m, state: firing, alert: firing}]",
        **changes,
    }
    file = tmp_path / "rules-test.yaml"
    file.write_text("tests:\n- {" + ", ".join(f"{key}: {value}" for key, value in keys.items() if value) + "}\n")
    return file


def test_the_example_in_the_docs_is_good():
    """Its three tests run, and nothing differs; the site's own rules are the settings file's."""
    outcomes = [run(case) for case in read_cases(EXAMPLE)]
    assert [o.differences for o in outcomes] == [[], [], []]
    assert [o.case.rules[0].id for o in outcomes] == ["low", "low", "entrance"]
    states = [line.state for line in outcomes[0].lines["low"].values()]
    assert states == ["normal", "pending", "firing", "firing", "recovering", "firing", "recovering", "normal"]


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({}, []),
        ({"expect": "[{at: 40m, state: pending, alert: firing}]"},
         [("expect[0].state", "pending expected of low at 40m, got firing")]),
        ({"expect": "[{at: 20m, reason: cleared}, {at: 40m, alert: firing}]"},
         [("expect[0].reason", "cleared expected of low at 20m, got breached")]),
        ({"expect": "[{at: 40m, state: firing, alert: none}]"},
         [("expect[0].alert", "none expected of low at 40m, got firing")]),
        ({"expect": "[{at: 40m, state: firing}]"},
         [("expect", UNEXPECTED)]),
        ({"series": "[{zone: hall, values: 100 50}]",
          "expect": "[{at: 20m, rule: low, reason: no-change, state: normal}]"},
         [("expect[0].state", "normal expected of low at 20m, got pending"),
          ("expect[0].reason", "no-change expected of low at 20m, got breached")]),
    ],
)  # fmt: skip
def test_what_differs(tmp_path, changes, wanted):
    """Each difference with its place, what was expected and what came; an alert that nobody expects is one."""
    [case] = read_cases(written(tmp_path, **changes))
    assert run(case).differences == [(f"tests[0].{path}", why) for path, why in wanted]


@pytest.mark.parametrize(
    ("changes", "path", "why"),
    [
        ({"name": ""}, "name", "is missing; must be a text with at least 1 characters"),
        ({"rules": ""}, "rules", "is missing; give rules here, or settings and site"),
        ({"rules": "[{id: low, zone: hall, fire_below: 7}]"}, "rules[0].fire_below", "must be a number"),
        ({"rules": f"[{RULE[:-1]}, min_persons: 5}}]"}, "rules[0].min_persons", "5 is too few under the profile"),
        ({"profile": "stats-only"}, "rules", "alert rules are not allowed under the profile stats-only"),
        ({"step": "7m"}, "step", "420 s does not divide an hour"),
        ({"step": "0m"}, "step", "must be longer than 0 s"),
        ({"step": "20"}, "step", "must be a length of time such as 20m, 1h20m or 90s, got 20"),
        ({"start": "2026-11-25T08:10:00Z"}, "start", "is no border of windows of 1200 s"),
        ({"start": "9999-12-31T23:40:00Z"}, "start", "must be in the years 1970 to 9000, got 9999"),
        ({"start": "0001-01-01T00:00:00Z"}, "start", "must be in the years 1970 to 9000, got 1"),
        ({"start": "2026-11-25"}, "start", "must be a time with its zone, such as 2026-11-25T08:00:00+01:00"),
        ({"start": "2026-11-25T08:00:00"}, "start", "must be a time with its zone, such as 2026-11-25T08:00:00+01:00"),
        ({"site": "forville"}, "site", "needs settings"),
        ({"series": "[]", "expect": ""}, "series", "must be a list of at least 1, got an empty list"),
        ({"series": "[{zone: hal, values: 100 50 x2}]", "expect": ""}, "series[0].zone", "no rule is about the"),
        ({"series": "[{zone: hall, values: '100 50, 60'}]", "expect": ""}, "series[0].values", "'60' is no window"),
        ({"series": "[{zone: hall, values: [100 50, 7]}]", "expect": ""}, "series[0].values[1]", "must be a section"),
        ({"series": "[{zone: hall, values: [{persons: 9, mask: 1}]}]"}, "series[0].values[0].mask", "unknown"),
        ({"series": "[{zone: hall, values: 9 10}]", "expect": ""}, "series[0].values", "10 masked, incorrect and"),
        ({"series": "[{zone: hall, values: 5}]", "expect": ""}, "series[0].values", "must be a text or a list"),
        ({"expect": "[{at: 1h, state: firing}]"}, "expect[0].at", "no window of hall ends 1h after the start"),
        ({"expect": "[{at: 40m}]"}, "expect[0]", "expects nothing; give state, reason or alert"),
        ({"expect": "[{at: 40m, rule: high, state: firing}]"}, "expect[0].rule", "unknown rule 'high'; known"),
        ({"expect": "[{at: 40m, state: on}]"}, "expect[0].state", "must be one of "),
        ({**SITE}, "site", "is missing; known in site.yaml: forville"),
        ({**SITE, "site": "nice"}, "site", "unknown site 'nice'; known in site.yaml: forville"),
        ({**SITE, **FORVILLE, "profile": "lab"}, "profile", "is given by the settings"),
        ({**SITE, **FORVILLE, "step": "5m"}, "step", "5m is not the site's window_s"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_file(tmp_path, changes, path, why):
    """The place in the file, the value, and what would be right."""
    (tmp_path / "site.yaml").write_text((EXAMPLE.parent / "site.example.yaml").read_text())
    file = written(tmp_path, **changes)
    with pytest.raises(SettingsError) as error:
        read_cases(file)
    assert error.value.file == str(file)
    places = [where for where, _ in error.value.problems]
    assert f"tests[0].{path}" in places
    assert why in error.value.problems[places.index(f"tests[0].{path}")][1]


def test_a_settings_file_in_place_of_tests_is_told(tmp_path):
    """What such a file looks like is said, and not each of its sections."""
    file = tmp_path / "site.yaml"
    file.write_text("sites: [{id: cannes}]\nnats: {}\n")
    with pytest.raises(SettingsError) as error:
        read_cases(file)
    assert str(error.value) == f"{file}: is a settings file; name a file of tests, such as docs/rules-test.yaml"


def test_a_settings_file_that_is_wrong_is_named(tmp_path):
    """It is not the test's file that has to be mended."""
    with pytest.raises(SettingsError, match="cannot be read") as error:
        read_cases(written(tmp_path, rules="", settings="nowhere.yaml", site="forville"))
    assert error.value.file == str(tmp_path / "nowhere.yaml")


PAIRS = st.lists(st.none() | st.integers(0, 60).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))), min_size=1)


@given(PAIRS, st.integers(1, 3))
def test_a_series_is_folded_as_aggregate_does(pairs, times):
    """The short form says what was meant, and its windows lead a rule through the same states as in aggregate."""
    found: list = []
    text = ", ".join(f"- x{times}" if pair is None else f"{pair[0]} {pair[1]} x{times}" for pair in pairs)
    read = entries(text, "values", found)
    wanted = [
        None if pair is None else WindowPeople(persons=pair[0], masked=pair[1]) for pair in pairs for _ in range(times)
    ]
    assert (read, found) == (wanted, [])
    rule = RuleSettings(id="low", fire_below=0.5, clear_above=0.6, min_persons=20)
    config = SiteConfig.of(SiteSettings(id="test", profile="alerting", rules=[rule]))
    book = RuleBook()
    for index, entry in enumerate(read):
        seen = window(config, "_site", index * config.window, entry)
        book.take([rule], seen)
        assert (book.state(rule).name != "no-data") == (entry is not None and entry.persons >= 20)
        assert (seen.suppressed, seen.coverage) == (("nothing-observed", 0.0) if entry is None else (None, 1.0))


@pytest.mark.parametrize(("text", "length"), [("90s", 90), ("20m", 1_200), ("1h20m", 4_800), ("1h0m1s", 3_601)])
def test_lengths_of_time(text, length):
    """Hours, minutes and seconds, as promtool has them."""
    assert seconds(text) == length


def test_a_table_shows_each_window_and_what_was_expected(tmp_path, capsys):
    """Time, figures, state and reason of each window; what differs beside it and below, with its place."""
    expect = "[{at: 20m, state: normal}, {at: 40m, alert: firing}]"
    file = written(tmp_path, start="2026-11-25T08:00:00+01:00", expect=expect)
    cases = read_cases(file)
    low, high = cases[0].windows[0].interval  # with the errors of the shipped model
    assert low < 0.404
    assert high > 0.596
    outcomes = [run(case) for case in cases]
    show(file, outcomes)
    shown = " ".join(capsys.readouterr().out.split())
    for words in (
        f"{file}: a test: different",
        "low on hall: fires below 70.0%, clears above 75.0%, 2 in a row",
        f"20m │ 08:20 │ 100 │ 50.0% ({low:.1%} to {high:.1%}) │ 100.0%",
        "pending │ breached │",
        "state normal",
        "firing │ held-long-enough │ firing │",
        f"{file}: tests[0].expect[0].state: normal expected of low at 20m, got pending",
    ):
        assert words in shown
    assert summary(outcomes) == "1 test: 0 good, 1 different"
