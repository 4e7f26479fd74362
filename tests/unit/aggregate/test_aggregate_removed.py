"""What ends the alerts of a site that the settings no longer have: services.aggregate.core.rules.removed."""

import messages
import pytest
from messages import MINUTE, TEN
from msgspec import structs

from proto.public import RuleStateV1
from services.aggregate.core.rules.rate_rules import RuleState, change, fold
from services.aggregate.core.rules.removed import endings, is_open, open_sites
from services.sites.settings import RuleSettings

RULE = RuleSettings(id="mask-rate", fire_below=0.7, clear_above=0.75, for_windows=1)
WINDOW = messages.window(masked=50, others=(93, 0, 0))
STATE, ALERT = fold(RULE, RuleState(), WINDOW)
CHANGE = change(RULE, RuleState(), STATE, WINDOW)
LATER = {"start": TEN + 40 * MINUTE, "end": TEN + 60 * MINUTE}
assert ALERT
assert CHANGE


def test_only_what_aggregate_decided_and_what_is_not_over_is_open():
    """A rule's alert and state, a camera, a zone; the alerts about deliveries are notify's, which ends them itself."""
    channel = messages.fault(kind="channel-down", name="email", site="quay")
    for last in (ALERT, CHANGE, messages.fault(), messages.fault(kind="no-data", name="hall")):
        assert is_open(last)
        over = structs.replace(last, state="normal" if isinstance(last, RuleStateV1) else "resolved")
        assert not is_open(over)
        assert open_sites([structs.replace(last, site="station"), over, channel]) == {"station"}
    assert not is_open(channel)


@pytest.mark.parametrize(
    ("last", "figures"),
    [
        (messages.window(masked=70, others=(30, 0, 0), **LATER), (LATER["start"], 0.7, 100)),
        (messages.window(masked=9, others=(10, 0, 0), **LATER), (TEN, 0.35, 143)),
        (messages.window(masked=70, others=(30, 0, 0), coverage=0.4, **LATER), (TEN, 0.35, 143)),
        (messages.window(masked=70, others=(30, 0, 0), profile="stats-only", **LATER), (TEN, 0.35, 143)),
        (messages.window(TEN - 60 * MINUTE, masked=70, others=(30, 0, 0)), (TEN, 0.35, 143)),
        (None, (TEN, 0.35, 143)),
    ],
)
def test_an_alert_ends_as_that_of_a_removed_rule(last, figures):
    """With the last window's figures, or where that can't be judged with those that it fired with; and its state."""
    resolved, normal = endings([ALERT, CHANGE], {"_site": last} if last else {})
    assert (resolved.state, resolved.alert, resolved.since) == ("resolved", ALERT.alert, ALERT.since)
    assert (resolved.start, round(resolved.rate, 2), resolved.persons) == figures
    assert (resolved.fire_below, resolved.clear_above, resolved.severity) == (0.7, 0.75, ALERT.severity)
    assert (normal.before, normal.state, normal.reason) == ("firing", "normal", "new-configuration")
    assert (normal.start >= resolved.start, normal.config_sha256, normal.row) == (True, None, 0)
    assert list(endings([resolved, normal], {})) == []


def test_a_rule_that_needed_few_people_ends_with_the_figures_of_few():
    """No message carries a rule's `min_persons`: as many as it fired with are enough."""
    rule = structs.replace(RULE, min_persons=3)
    _, alert = fold(rule, RuleState(), messages.window(masked=0, others=(4, 0, 0), profile="lab"))
    assert alert
    last = messages.window(masked=1, others=(4, 0, 0), profile="lab", **LATER)
    assert [one.start for one in endings([alert], {"_site": last})] == [LATER["start"]]


def test_a_pending_rule_is_normal_and_a_camera_is_down_no_more():
    """Each zone has a last window; what is about a camera ends with the site's last one, and never before it began."""
    pending = structs.replace(CHANGE, state="pending", zone="hall", row=1)
    down, silent = messages.fault(), messages.fault(kind="no-data", name="hall", at=LATER["end"] + MINUTE)
    last = messages.window(masked=70, others=(30, 0, 0), **LATER)
    normal, *faults = endings([pending, down, silent], {"_site": last})
    assert (normal.zone, normal.state, normal.start) == ("hall", "normal", pending.start)
    assert [(one.kind, one.state, one.reason, one.coverage, one.at) for one in faults] == [
        ("camera-down", "resolved", None, None, LATER["end"]),
        ("no-data", "resolved", None, None, silent.at),
    ]
    assert all(one.since == down.since for one in faults)
