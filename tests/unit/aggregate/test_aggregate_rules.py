"""Rate alerts: a fold over published windows."""

from itertools import accumulate, groupby
from operator import itemgetter

import messages
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from proto.codec import encode
from proto.public import AlertV1, RuleStateV1, WindowV1
from proto.subjects import ALERTS, RULES, WINDOWS
from services.aggregate.core.config import SECOND, CameraConfig, SiteConfig
from services.aggregate.core.rules.rate_rules import RuleState, alert_id, fold, judge
from services.aggregate.core.rules.rulebook import RuleBook, is_enough
from services.sites.settings import RuleSettings
from services.statistics.figures import rates
from services.statistics.rate_interval import Judged

RULE = RuleSettings(id="low", fire_below=0.6, clear_above=0.8, for_windows=2, min_persons=20)
CONFIG = SiteConfig(site="market", profile="alerting", window_s=300, lateness_s=5, rules=[RULE])
STEP = 300 * SECOND


def window(index, masked, judged, coverage=1.0, unknown=0, config=CONFIG.sha256, profile="alerting", zone="_site"):
    """Return the window of that index with `masked` of `judged` people."""
    return messages.window(
        index * STEP, masked, (judged - masked, 0, unknown), site="market", zone=zone, profile=profile,
        end=(index + 1) * STEP, coverage=coverage, config_sha256=config,
    )  # fmt: skip


LOW, HIGH, BAND, NONE = (20, 100), (95, 100), (70, 100), (0, 0)
FIRING = [("pending", "breached", 1), ("firing", "held-long-enough", 0)]


def run(*pairs, rule=RULE):
    """Return the names of the rule's states after each of these (masked, judged), and all alerts."""
    state, names, alerts = RuleState(), [], []
    for index, pair in enumerate(pairs):
        state, alert = fold(rule, state, window(index, *pair))
        names.append(state.name)
        alerts += [alert] if alert else []
    return names, alerts


@pytest.mark.parametrize(
    ("pairs", "names"),
    [
        ([LOW], ["pending"]),
        ([LOW, LOW], ["pending", "firing"]),
        ([LOW, BAND, LOW], ["pending", "normal", "pending"]),
        ([LOW, HIGH, LOW], ["pending", "normal", "pending"]),
        ([LOW, NONE, LOW], ["pending", "no-data", "firing"]),
        ([LOW, LOW, HIGH, HIGH], ["pending", "firing", "recovering", "normal"]),
        ([LOW, LOW, HIGH, BAND, HIGH], ["pending", "firing", "recovering", "firing", "recovering"]),
        ([LOW, LOW, HIGH, LOW, HIGH, HIGH], ["pending", "firing", "recovering", "firing", "recovering", "normal"]),
        ([LOW, LOW, NONE, NONE], ["pending", "firing", "no-data", "no-data"]),
        ([LOW, LOW, HIGH, NONE, HIGH], ["pending", "firing", "recovering", "no-data", "normal"]),
        ([HIGH, HIGH, HIGH], ["normal"] * 3),
    ],
)
def test_states(pairs, names):
    """A rule goes through its states as its rows of windows say, and no-data changes none of them."""
    assert run(*pairs)[0] == names


@pytest.mark.parametrize(
    ("rate", "upper", "wanted"),
    [
        (0.5, 0.59, "breach"), (0.5, 0.6, "between"), (0.6, 0.6, "between"), (0.5, 0.61, "between"),
        (0.8, 0.9, "between"), (0.81, 0.9, "clear"),
    ],
)  # fmt: skip
def test_a_bound_itself_neither_fires_nor_clears(rate: float, upper: float, wanted: str):
    """Rate and margin of error are below the lower bound, or the rate is above the upper one; equal is between."""
    assert judge(RULE, structs.replace(window(0, 50, 100), rate=rate, interval=(0.1, upper))) == wanted


def changes(*pairs, rule=RULE):
    """Return the changes of state that these (masked, judged) bring about; a third member is the coverage."""
    book = RuleBook()
    decided = [d for index, pair in enumerate(pairs) for d in book.take([rule], window(index, *pair))]
    return of(RuleStateV1, decided)


def of(kind, messages):
    """Return the messages of a kind."""
    return [message for message in messages if isinstance(message, kind)]


DARK, FEW = (20, 100, 0.4), (2, 19)


@pytest.mark.parametrize(
    ("pairs", "wanted"),
    [
        ([HIGH, BAND], []),
        ([LOW, LOW], [("pending", "breached", 1), ("firing", "held-long-enough", 0)]),
        ([LOW, BAND], [("pending", "breached", 1), ("normal", "back-in-band", 0)]),
        ([LOW, HIGH], [("pending", "breached", 1), ("normal", "cleared", 0)]),
        ([LOW, FEW, NONE], [("pending", "breached", 1), ("no-data", "too-few-people", 1)]),
        ([DARK, FEW, HIGH], [("no-data", "not-observed", 0), ("normal", "data-again", 0)]),
        ([LOW, DARK, LOW], [("pending", "breached", 1), ("no-data", "not-observed", 1),
                            ("firing", "held-long-enough", 0)]),
        ([FEW, LOW, LOW], [("no-data", "too-few-people", 0), ("pending", "data-again", 1),
                           ("firing", "held-long-enough", 0)]),
        ([LOW, LOW, HIGH, BAND, HIGH, LOW], [*FIRING, ("recovering", "cleared", 1), ("firing", "back-in-band", 0),
                                             ("recovering", "cleared", 1), ("firing", "breached", 0)]),
        ([LOW, LOW, HIGH, FEW, HIGH], [*FIRING, ("recovering", "cleared", 1), ("no-data", "too-few-people", 1),
                                       ("normal", "cleared-long-enough", 0)]),
    ],
)  # fmt: skip
def test_every_change_of_state_is_an_event_with_its_reason(pairs, wanted):
    """What changed, why, and how long the row is; a window that changes nothing has no event."""
    assert [(c.state, c.reason, c.row) for c in changes(*pairs)] == wanted


def test_a_new_configuration_is_a_reason():
    """It ends a row, and is why a pending rule is normal again; a row that it finds goes on breaching is no change."""
    for last, wanted in ((BAND, [("pending", "normal", "new-configuration")]), (LOW, [])):
        book = RuleBook()
        book.take([RULE], window(0, *LOW))
        decided = book.take([RULE], window(1, *last, config="b" * 64))
        assert [(c.before, c.state, c.reason) for c in of(RuleStateV1, decided)] == wanted


def test_an_alert_comes_before_its_change_of_state():
    """Of one window and rule: the alert, then the change, each at most once."""
    book = RuleBook()
    decided = [book.take([RULE], window(index, *pair)) for index, pair in enumerate([HIGH, LOW, LOW])]
    assert [[type(d).__name__ for d in of_window] for of_window in decided] == [
        [], ["RuleStateV1"], ["AlertV1", "RuleStateV1"]]  # fmt: skip
    assert (decided[2][1].start, decided[2][1].end, decided[2][1].profile) == (2 * STEP, 3 * STEP, "alerting")


def test_an_alert_names_its_windows_and_figures():
    """Firing carries the window that decided, the first one that breached, and what it rests on."""
    [alert] = run(HIGH, LOW, (30, 100))[1]
    assert (alert.state, alert.since, alert.start, alert.end) == ("firing", STEP, 2 * STEP, 3 * STEP)
    assert (alert.rate, alert.persons, alert.coverage) == (0.3, 100, 1.0)
    assert alert.interval == rates(30, [Judged(100)]).interval
    assert alert.alert == alert_id("market", "_site", "low", STEP)


def test_resolved_has_the_id_of_firing():
    """One alert has one id and one `since` from firing to resolved; the next one has others."""
    alerts = run(LOW, LOW, HIGH, HIGH, LOW, LOW)[1]
    assert [a.state for a in alerts] == ["firing", "resolved", "firing"]
    assert alerts[0].alert == alerts[1].alert != alerts[2].alert
    assert [a.since for a in alerts] == [0, 0, 4 * STEP]


def test_ids_differ_by_all_they_name():
    """Site, zone, rule and since each make another id of 16 hexadecimal digits."""
    ids = {alert_id(*key) for key in [("a", "b", "c", 1), ("x", "b", "c", 1), ("a", "x", "c", 1), ("a", "b", "x", 1),
                                      ("a", "b", "c", 2)]}  # fmt: skip
    assert len(ids) == 5
    assert all(len(i) == 16 and set(i) <= set("0123456789abcdef") for i in ids)


@pytest.mark.parametrize(
    ("seen", "wanted"),
    [
        (window(0, 5, 20), "breach"),
        (window(0, 5, 19), "no-data"),
        (window(0, 5, 19, unknown=50), "no-data"),
        (window(0, 11, 20), "between"),
        (window(0, 20, 100, coverage=0.49), "no-data"),
        (window(0, 20, 100, coverage=0.5), "breach"),
        (window(0, 80, 100), "between"),
        (window(0, 81, 100), "clear"),
        (structs.replace(window(0, 20, 100), rate=None), "no-data"),
        (structs.replace(window(0, 20, 100), interval=None), "no-data"),
        (structs.replace(window(0, 20, 100), coverage=None), "no-data"),
    ],
)
def test_what_a_window_says(seen, wanted):
    """Rate and upper bound must breach, enough judged people and observed time must stand behind them."""
    assert judge(RULE, seen) == wanted


def test_alerting_needs_twenty_people_whatever_the_rule_says():
    """The profile's floor holds at the last step too, should a rule with less get past the check at start."""
    loose = structs.replace(RULE, min_persons=1)
    assert judge(loose, window(0, 0, 19)) == "no-data"
    assert judge(loose, window(0, 0, 19, profile="lab")) == "breach"


@pytest.mark.parametrize("profile", ["stats-only", "fr-2021-269"])
def test_no_alert_under_a_profile_without_rules(profile):
    """Whatever a configuration brings, these profiles never alert."""
    state = RuleState()
    for index in range(5):
        state, alert = fold(RULE, state, window(index, *LOW, profile=profile))
        assert alert is None


RULE_OF = {"a": RULE, "b": structs.replace(RULE, for_windows=1, fire_below=0.7)}
CONFIG_OF = {name: SiteConfig(site="market", profile="alerting", window_s=300, lateness_s=5, rules=[rule])
             for name, rule in RULE_OF.items()}  # fmt: skip
PAIR = st.sampled_from([LOW, HIGH, BAND, NONE, (3, 10), (55, 100), (59, 60)])
SERIES = st.lists(PAIR, max_size=40)
ANY_RULE = st.builds(
    RuleSettings,
    id=st.just("low"), fire_below=st.floats(0.3, 0.7), clear_above=st.floats(0.7, 0.9),
    for_windows=st.integers(1, 4), min_persons=st.integers(1, 50),
)  # fmt: skip


def assert_alternate(alerts):
    """Alerts of a rule begin with firing and alternate, and each pair has one id, which no other has."""
    assert [a.state for a in alerts] == (["firing", "resolved"] * len(alerts))[: len(alerts)]
    assert [a.alert for a in alerts[1::2]] == [a.alert for a in alerts[::2]][: len(alerts) // 2]
    assert len({a.alert for a in alerts}) == (len(alerts) + 1) // 2


@given(ANY_RULE, SERIES)
def test_firing_and_resolved_alternate(rule, series):
    """Whatever the thresholds and the windows."""
    assert_alternate(run(*series, rule=rule)[1])


@given(
    st.lists(st.tuples(PAIR, st.sampled_from("aab"), st.sampled_from(["alerting"] * 3 + ["stats-only"])), max_size=40)
)
def test_they_alternate_through_every_change(series):
    """Thresholds change, a profile without rules comes and goes: an alert that fired is resolved before the next."""
    rules, alerts = RuleBook(), []
    for index, (pair, name, profile) in enumerate(series):
        seen = window(index, *pair, config=CONFIG_OF[name].sha256, profile=profile)
        alerts += of(AlertV1, rules.take([RULE_OF[name]], seen))
    assert_alternate(alerts)
    assert all(a.profile == "alerting" and a.persons >= 20 for a in alerts)


ANY_STATE = st.builds(
    RuleState,
    firing=st.booleans(), row=st.integers(0, 3), config=st.sampled_from([CONFIG.sha256, "b" * 64, None]),
    blind=st.booleans(),
)  # fmt: skip
NUMBERS = st.lists(st.tuples(st.integers(0, 200), st.integers(0, 200)).map(sorted), min_size=1, max_size=40)


def follow(rule, state, series):
    """Return the names of the states that these windows of (masked, judged) lead through, and the alerts' states."""
    names, alerts = [state.name], []
    for index, pair in enumerate(series):
        state, alert = fold(rule, state, window(index, *pair))
        names.append(state.name)
        alerts += [alert.state] if alert else []
    return names, alerts


@given(ANY_RULE, ANY_STATE, NUMBERS)
def test_nothing_flaps_in_the_band(rule, state, series):
    """Between the thresholds no rule fires or resolves, wherever it stands and however rates and numbers of people
    move there; it changes its state once at most, and then goes on to be what it is."""
    enough = max(rule.min_persons, 20)
    inside = [(m, n) for m, n in series if n >= enough and rule.fire_below <= m / n <= rule.clear_above]
    names, alerts = follow(rule, state, inside)
    assert alerts == []
    assert set(names[1:]) <= {"firing" if state.firing else "normal"}


@given(ANY_RULE, ANY_STATE, NUMBERS)
def test_only_the_far_side_of_the_band_changes_an_alert(rule, state, series):
    """What never goes below the band never fires, what never goes above it never resolves: not even both thresholds
    crossed in turn, as long as the far one is not."""
    high = [(m, n) for m, n in series if not n or m / n >= rule.fire_below]
    low = [(m, n) for m, n in series if not n or m / n <= rule.clear_above]
    assert "firing" not in follow(rule, state, high)[1]
    assert "resolved" not in follow(rule, state, low)[1]


@given(ANY_RULE, ANY_STATE, NUMBERS)
def test_an_alert_is_held_for_its_windows(rule, state, series):
    """Between two alerts lie as many windows with data as the rule asks for, all of them beyond its threshold."""
    row, last = (state.row if state.config == CONFIG.sha256 else 0), 0
    for index, pair in enumerate(series):
        said = judge(rule, window(index, *pair))
        row = 0 if said != "no-data" and index - last > HOUR else row
        row = row + 1 if said == ("clear" if state.firing else "breach") else row if said == "no-data" else 0
        last = last if said == "no-data" else index + 1
        before = state.firing
        state, alert = fold(rule, state, window(index, *pair))
        assert (alert is not None) == (said != "no-data" and row >= rule.for_windows) == (state.firing is not before)
        row = 0 if alert else row


HOUR = 12
"""In windows."""
SPACED = st.lists(st.tuples(PAIR, st.sampled_from([0] * 6 + [1, HOUR, HOUR + 1, 300])), max_size=25)
"""Windows, each with how many come before it of which nothing was published."""


def placed(series):
    """Return the index of each window and its (masked, judged)."""
    ends = list(accumulate(gap + 1 for _, gap in series))
    return [(end - 1, pair) for end, (pair, _) in zip(ends, series, strict=True)]


@given(ANY_RULE, SPACED)
def test_windows_of_a_row_are_neighbours(rule, series):
    """The windows with data that decided an alert follow one another by an hour at most, whether the time between has
    windows or not; the alert is on since the first of them, and no such row is without its alert."""
    state, row, found, before = RuleState(), [], [], -1
    for index, pair in placed(series):
        seen = window(index, *pair)
        said, wanted = judge(rule, seen), "clear" if state.firing else "breach"
        if said != "no-data":
            near = [*row, index] if not row or index - row[-1] - 1 <= HOUR else [index]
            row = near if said == wanted else []
        elif row and row[-1] == before != index - 1:  # published windows do not come back from a gap without data
            row = []
        before = index
        state, alert = fold(rule, state, seen)
        assert (alert is not None) == (said == wanted and len(row) == rule.for_windows)
        if alert:
            found.append(alert)
            assert alert.since == (row[0] * STEP if state.firing else found[-2].since)
            row = []


def test_an_hour_without_people_ends_a_row():
    """A quiet hour between two windows that breach is bridged, a longer one begins again; so is it for the end."""
    assert run(LOW, *[NONE] * HOUR, LOW)[0][-1] == "firing"
    assert run(LOW, *[NONE] * (HOUR + 1), LOW)[0][-1] == "pending"
    assert run(LOW, LOW, HIGH, *[NONE] * HOUR, HIGH)[0][-1] == "normal"
    assert run(LOW, LOW, HIGH, *[NONE] * (HOUR + 1), HIGH)[0][-1] == "recovering"
    [alert] = run(LOW, *[NONE] * 993, LOW, LOW)[1]
    assert alert.since == alert.start - STEP


@given(ANY_RULE, SERIES)
def test_no_data_between_changes_no_alert(rule, series):
    """Windows without data put in anywhere, for an hour at most, leave the same alerts, but for their times."""
    marked = [(judge(rule, window(0, *pair)) == "no-data", pair) for pair in series]
    parts = [list(part) for _, part in groupby(marked, key=itemgetter(0))]
    short = [pair for part in parts for blind, pair in part[: HOUR if part[0][0] else None]]
    thinned = [pair for blind, pair in marked if not blind]
    decided = [[(a.state, a.rate) for a in run(*s, rule=rule)[1]] for s in (short, thinned)]
    assert decided[0] == decided[1]


@given(ANY_RULE, SERIES)
def test_changes_make_a_chain(rule, series):
    """Each change begins where the last one ended, is none to the same state, and the last one is where the rule is."""
    found = changes(*series, rule=rule)
    assert [c.before for c in found] == ["normal", *(c.state for c in found)][: len(found)]
    assert all(c.before != c.state for c in found)
    assert len({c.start for c in found}) == len(found)
    assert ["normal", *(c.state for c in found)][-1] == ["normal", *run(*series, rule=rule)[0]][-1]


def book(config, windows, alerts=(), states=()):
    """Return a rule book restored from these, and the alerts that were missing."""
    rules = RuleBook()
    return rules, of(AlertV1, rules.restore(alerts, states, windows, config))


ROWS = {WindowV1: WINDOWS, AlertV1: ALERTS, RuleStateV1: RULES}


def least(published):
    """Return the fewest last windows that are said to be enough."""
    seen, told = of(WindowV1, published), of(RuleStateV1, published)[-1:]
    return next((w for n in range(1, len(seen) + 1) if is_enough(w := seen[-n:], told)), seen)


def test_a_start_reads_back_to_where_a_row_began():
    """Without a row the last window is enough; with one, the window that began the earliest, and no later one."""
    seen = [window(index, *LOW) for index in range(4)]
    pending, other = (changes(LOW)[0], structs.replace(changes(LOW)[0], start=2 * STEP))
    assert [is_enough(seen[-n:] if n else [], []) for n in range(3)] == [False, True, True]
    assert [is_enough(seen[-n:], [other]) for n in (1, 2, 3)] == [False, True, True]
    assert [is_enough(seen[-n:], [other, pending]) for n in (2, 3, 4)] == [False, False, True]
    assert is_enough(seen[-1:], [structs.replace(pending, state="firing")])


@given(SPACED, st.lists(st.sampled_from("aaab"), min_size=25, max_size=25), st.floats(0, 1))
def test_a_crash_loses_and_doubles_nothing(series, names, where):
    """Killed after any message and restarted from what is published, also where the configuration had just changed, and
    where nothing was published for hours: windows, alerts and changes of state are the same bytes in the same order."""
    spaced = zip(names, placed(series), strict=False)
    windows = [(name, window(i, *pair, config=CONFIG_OF[name].sha256)) for name, (i, pair) in spaced]
    whole = RuleBook()
    wanted = [message for name, w in windows for message in (w, *whole.take([RULE_OF[name]], w))]
    got = wanted[: round(where * len(wanted))]
    seen = of(WindowV1, got)
    judged_by = CONFIG_OF[windows[len(seen) - 1][0]] if seen else None
    again = RuleBook()
    got += again.restore(of(AlertV1, got)[-1:], of(RuleStateV1, got)[-1:], least(got), judged_by)
    got += [message for name, w in windows[len(seen) :] for message in (w, *again.take([RULE_OF[name]], w))]
    assert [encode(ROWS[type(m)], m) for m in got] == [encode(ROWS[type(m)], m) for m in wanted]


def test_where_a_rule_stood_is_known_when_its_configuration_is_not():
    """After a long outage the last window's configuration is gone: where the rule stood is known from its events."""
    windows = [window(i, *pair) for i, pair in enumerate([LOW, LOW, HIGH])]
    whole = RuleBook()
    decided = [d for w in windows for d in whole.take([RULE], w)]
    for cut, before in ((1, "pending"), (3, "firing"), (4, "recovering")):
        stored = decided[:cut]
        rules = RuleBook()
        assert rules.restore(of(AlertV1, stored), of(RuleStateV1, stored), windows, None) == []
        assert rules.state(RULE).name == before


def test_the_alert_that_a_crash_swallowed_comes_out_at_the_start():
    """Died between a window and the alert it decided: the restart publishes that alert, firing or resolved."""
    windows = [window(index, *pair) for index, pair in enumerate([LOW, LOW, HIGH, HIGH])]
    firing, resolved = run(LOW, LOW, HIGH, HIGH)[1]
    assert book(CONFIG, windows[:2])[1] == [firing]
    assert book(CONFIG, windows[:2], [firing])[1] == []
    assert book(CONFIG, windows, [firing])[1] == [resolved]
    assert book(CONFIG, windows, [firing, resolved])[1] == []


def test_a_new_rule_does_not_judge_the_past():
    """A row counts windows of one configuration only: a rule added today fires for nothing of yesterday."""
    old = [window(i, *LOW, config="b" * 64) for i in range(9)]
    rules, missing = book(CONFIG, old)
    assert missing == []
    assert of(AlertV1, rules.take([RULE], window(9, *LOW))) == []
    assert [a.since for a in of(AlertV1, rules.take([RULE], window(10, *LOW)))] == [9 * STEP]


def test_a_new_configuration_ends_the_row_but_not_the_alert():
    """Pending falls back to normal at a change; firing stays firing until it clears."""
    state, _ = fold(RULE, RuleState(), window(0, *LOW, config="b" * 64))
    state, alert = fold(RULE, state, window(1, *LOW))
    assert (alert, state.name) == (None, "pending")
    state, alert = fold(RULE, state, window(2, *LOW))
    assert alert is not None
    state, alert = fold(RULE, state, window(3, *HIGH, config="c" * 64))
    assert (alert, state.name) == (None, "recovering")


def test_a_row_outlives_another_configuration_that_could_judge_nothing():
    """A row counts windows of one configuration only; a window without data counts for none, and ends no row."""
    state, alerts = RuleState(), []
    for index, (pair, config) in enumerate([(LOW, "a"), (NONE, "b"), (LOW, "a")]):
        state, alert = fold(RULE, state, window(index, *pair, config=CONFIG_OF[config].sha256))
        alerts += [alert] if alert else []
    assert [(a.state, a.since) for a in alerts] == [("firing", 0)]


GONE = structs.replace(CONFIG, rules=[])


@pytest.mark.parametrize(
    ("pairs", "figures"),
    [
        ([LOW, LOW], (STEP, 0.2, 100)),
        ([LOW, LOW, BAND], (2 * STEP, 0.7, 100)),
        ([LOW, LOW, HIGH], (2 * STEP, 0.95, 100)),
        ([LOW, LOW, BAND, FEW], (STEP, 0.2, 100)),
        ([LOW, LOW, DARK], (STEP, 0.2, 100)),
    ],
)
def test_a_rule_that_is_gone_is_over(pairs, figures):
    """Its alert is resolved with the last window's figures; with those it fired with where that one cannot be judged.
    Once, and a rule of the same name begins anew."""
    rules = RuleBook()
    decided = [d for index, pair in enumerate(pairs) for d in rules.take([RULE], window(index, *pair))]
    [firing], was = of(AlertV1, decided), of(RuleStateV1, decided)[-1].state
    assert rules.part(structs.replace(CONFIG, cameras=[CameraConfig(id="door")])) == []
    alert, changed = rules.part(GONE)
    assert (alert.state, alert.alert, alert.since) == ("resolved", firing.alert, firing.since)
    assert (alert.start, alert.rate, alert.persons) == figures
    assert (changed.before, changed.state, changed.reason, changed.row) == (was, "normal", "new-configuration", 0)
    assert (changed.start, changed.end, changed.since) == ((len(pairs) - 1) * STEP, len(pairs) * STEP, None)
    assert rules.part(GONE) == []
    assert rules.state(RULE) == RuleState()


@pytest.mark.parametrize("changes", [{"profile": "stats-only"}, {"cameras": []}, {"zones": ["hall"]}])
def test_what_cannot_judge_a_rule_any_more(changes):
    """A profile without rules, or nothing that sees the zone, is as good as no rule; what is pending is normal."""
    cameras = [CameraConfig(id="door", zone="hall")]
    here = structs.replace(CONFIG, cameras=cameras, zones=["hall"], rules=[structs.replace(RULE, zone="hall")])
    rules = RuleBook()
    rules.take(here.rules, window(0, *LOW, zone="hall"))
    assert rules.part(here) == []
    [changed] = rules.part(structs.replace(here, **{"cameras": [CameraConfig(id="door")], **changes}))
    assert (changed.profile, changed.before, changed.state) == ("alerting", "pending", "normal")


def test_what_was_gone_before_this_version_is_over_at_the_start():
    """Nothing is known but what was published: the alert as it fired, resolved, and no word of another window."""
    whole = RuleBook()
    decided = [d for index in range(2) for d in whole.take([RULE], window(index, *LOW))]
    later = [window(index, *LOW, config="b" * 64) for index in range(2, 9)]
    rules = RuleBook()
    assert rules.restore(of(AlertV1, decided), of(RuleStateV1, decided), later, GONE) == []
    alert, changed = rules.part(GONE)
    assert alert == structs.replace(of(AlertV1, decided)[0], state="resolved")
    assert (changed.start, changed.before, changed.state) == (STEP, "firing", "normal")


def test_a_rule_sees_its_own_zone_only():
    """Windows of other zones do not move a rule."""
    rules = RuleBook()
    assert [rules.take([RULE], window(i, *LOW, zone="hall")) for i in range(4)] == [[]] * 4
    assert rules.state(RULE).name == "normal"
