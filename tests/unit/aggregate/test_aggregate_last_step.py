"""The last step before publishing: what a profile forbids gets no further, whoever made it."""

import json

import legal
import pytest
from examples import examples
from hypothesis import example, given
from hypothesis import strategies as st
from message_times import in_ns

from proto.codec import encode
from proto.public import AlertV1, RuleStateV1, WindowV1
from proto.subjects import ALERTS, RULES, WINDOWS
from services.aggregate.core import policy
from services.aggregate.core.config import SECOND, CameraConfig
from services.aggregate.core.exchange import Dropped
from services.aggregate.core.policy import last_step
from services.aggregate.core.site import SiteCore
from services.sites.profiles import PROFILES
from services.sites.settings import RuleSettings

ROWS = {WindowV1: WINDOWS, AlertV1: ALERTS, RuleStateV1: RULES}
PROFILE, ZONE = st.sampled_from(sorted(PROFILES)), st.sampled_from(["_site", "hall"])
LENGTH = st.sampled_from([s * SECOND for s in (1, 299, 300, 1_199, 1_200, 3_600)])
SHARE, COUNT = st.floats(0, 1), st.integers(0, 40)
SHA = st.just("a" * 64)


NOBODY = AlertV1(
    site="market", zone="_site", rule="low", profile="lab", alert="a" * 16, state="resolved", severity="warning",
    since=0, start=0, end=SECOND, rate=0.0, interval=(0.0, 1.0), persons=0, coverage=1.0, fire_below=0.5,
    clear_above=0.6,
)  # fmt: skip
"""Of a profile that asks for no number of people."""


def maybe(strategy):
    return st.none() | strategy


WINDOW = st.builds(
    WindowV1, site=st.just("market"), zone=ZONE, profile=PROFILE, start=st.just(0), end=LENGTH, persons=maybe(COUNT),
    masked=maybe(COUNT), unmasked=maybe(COUNT), incorrect=maybe(COUNT), unknown=maybe(COUNT), rate=maybe(SHARE),
    interval=maybe(st.tuples(SHARE, SHARE)), coverage=maybe(SHARE), cameras_ok=maybe(COUNT),
    cameras_expected=maybe(COUNT), gaps=st.lists(st.sampled_from(["paused", "camera-down"]), max_size=2),
    suppressed=maybe(st.sampled_from(["small-count", "nothing-observed"])), late_total=maybe(COUNT),
    model=maybe(st.just("m")), model_sha256=maybe(SHA), config_sha256=maybe(SHA),
)  # fmt: skip
ALERT = st.builds(
    AlertV1, site=st.just("market"), zone=ZONE, rule=st.just("low"), profile=PROFILE, alert=st.just("a" * 16),
    state=st.sampled_from(["firing", "resolved"]), severity=st.just("warning"), since=st.just(0), start=st.just(0),
    end=LENGTH, rate=SHARE, interval=st.tuples(SHARE, SHARE), persons=COUNT, coverage=SHARE, fire_below=SHARE,
    clear_above=SHARE,
)  # fmt: skip
CHANGE = st.builds(
    RuleStateV1, site=st.just("market"), zone=ZONE, rule=st.just("low"), profile=PROFILE, state=st.just("firing"),
    before=st.just("normal"), reason=st.just("breached"), row=COUNT, start=st.just(0), end=LENGTH,
)  # fmt: skip


def on_the_wire(message):
    """Return a message as anyone reads it, with its times as nanoseconds."""
    return in_ns(json.loads(encode(ROWS[type(message)], message)))


@given(WINDOW | ALERT | CHANGE)
def test_nothing_forbidden_gets_through(made):
    """Whatever it is handed, what comes out is allowed by the words of its profile; a second time changes nothing."""
    out = last_step(made)
    assert isinstance(out, Dropped) or legal.breaches(on_the_wire(out)) == []
    assert last_step(out) == out


@example(NOBODY)
@given(WINDOW | ALERT | CHANGE)
def test_what_is_allowed_gets_through_as_it_is(made):
    """A lab's messages always; others unless they break the words of their profile or contradict themselves."""
    if made.profile == "lab" and isinstance(made, AlertV1 | RuleStateV1):
        assert last_step(made) is made
    if isinstance(made, AlertV1 | RuleStateV1):
        assert (last_step(made) == made) == (legal.breaches(on_the_wire(made)) == [])


CHANGES = st.lists(st.tuples(st.integers(0, 3_500), PROFILE), max_size=4)


@examples(25)
@given(PROFILE, CHANGES)
def test_a_profile_that_changes_while_it_runs(make, first, changes):
    """Every message keeps to the words of the profile that it names, on either side of any change, and the last
    profile is in force two borders after its settings came."""
    config = {
        p: make.config(profile=p, window_s=1_200.0, cameras=CAMERAS, zones=["hall"], rules=[RULE]) for p in PROFILES
    }
    changes = sorted(changes, key=lambda change: change[0])
    stream, due = make.stream(), [*changes, (9_999, "")]
    for second in range(0, 8_800, 400):
        while due[0][0] <= second:
            stream.put(config[due.pop(0)[1]].message(), make.hour + second * SECOND)
        stream.passer(second, "unmasked").passer(second + 3, "masked", camera="back")
    core = SiteCore(config[first])
    told = [on_the_wire(o) for message in stream.messages for o in core.step(message) if type(o) in ROWS]
    assert [why for message in told for why in legal.breaches(message)] == []
    windows = [m for m in told if m["type"] == "WindowV1"]
    assert legal.subtraction(windows) == []
    late, last = changes[-1] if changes else (0, first)
    assert {w["profile"] for w in windows if w["start"] >= make.hour + (late + 2_400) * SECOND} == {last}


RULE = RuleSettings(id="low", zone="hall", fire_below=0.9, clear_above=0.95, for_windows=1, min_persons=1)
CAMERAS = [CameraConfig(id="back"), CameraConfig(id="door", zone="hall")]


@pytest.mark.parametrize("window_s", [60.0, 1_200.0])
@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_a_site_that_forgot_its_profile(make, monkeypatch, profile, window_s):
    """With every earlier check off, and a configuration that asks for all that is forbidden, nothing of it leaves the
    site; in the lab it does, so it was there to leave."""
    monkeypatch.setattr(policy, "publishable", lambda windows, *_, **__: list(windows))
    for module in ("rate_rules", "rulebook"):
        monkeypatch.setattr(
            f"services.aggregate.core.rules.{module}.PROFILES", dict.fromkeys(PROFILES, PROFILES["lab"])
        )
    config = make.config(profile=profile, cameras=CAMERAS, zones=["hall"], rules=[RULE], window_s=window_s)
    stream = make.stream().watch(0, 2).passer(2, "unmasked").passer(6, "masked", camera="back").watch(10, window_s + 3)
    core = SiteCore(config)
    out = [o for message in stream.messages for o in core.step(message)]
    told = [on_the_wire(o) for o in out if type(o) in ROWS]
    assert [why for message in told for why in legal.breaches(message)] == []
    if profile == "lab":
        assert {message["type"] for message in told} == {"WindowV1", "AlertV1", "RuleStateV1"}
        assert {(m["zone"], m["persons"]) for m in told if m["type"] == "WindowV1"} == {("hall", 1), ("_site", 2)}
    else:
        assert [m for m in told if m["type"] != "WindowV1"] == [] or profile == "alerting"
