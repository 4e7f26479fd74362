"""A notification as Alertmanager's webhook. A real Alertmanager's is compared in tests/integration."""

import hmac
import json
import re
from dataclasses import replace
from hashlib import sha256

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from notifications import FEW, SITE, fault, notification, rate

from services.notify.channels.webhook.payload import fingerprint, payload, signature
from services.notify.languages import words_in
from services.notify.notification import Group

OVER = rate(alert="3" * 16, zone="_site", state="resolved", rate=0.8)


def test_an_alert_that_fires():
    """All that a receiver of Alertmanager's knows, with our figures as annotations."""
    assert payload(notification(rate()), SITE, words_in("en"), public_url="https://m.example") == {
        "version": "4",
        "groupKey": '{}/{receiver="field-staff"}:{audience="field", site="forville"}',
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "field-staff",
        "groupLabels": {"audience": "field", "site": "forville"},
        "commonLabels": LABELS,
        "commonAnnotations": ANNOTATIONS,
        "externalURL": "https://m.example",
        "alerts": [
            {
                "status": "firing",
                "labels": LABELS,
                "annotations": ANNOTATIONS,
                "startsAt": "2026-11-24T08:40:00Z",
                "endsAt": "0001-01-01T00:00:00Z",
                "generatorURL": "https://m.example",
                "fingerprint": fingerprint(LABELS),
            }
        ],
    }


LABELS = {
    "alertname": "mask-rate", "site": "forville", "zone": "north", "severity": "warning", "audience": "field",
    "profile": "alerting",
}  # fmt: skip
ANNOTATIONS = {
    "summary": "Marché Forville, Entrée nord: masks 62%, below 70%.",
    "description": "Between 54% and 69%. 143 people, 24 Nov 10:00-10:20, Paris time. New, since 09:40.",
    "alert": "0123456789abcdef", "rate": "0.62", "interval_low": "0.54", "interval_high": "0.69", "persons": "143",
    "coverage": "0.97", "fire_below": "0.7", "clear_above": "0.75",
    "window_start": "2026-11-24T09:00:00Z", "window_end": "2026-11-24T09:20:00Z", "rule_name": "mask-rate",
}  # fmt: skip


def test_a_rule_is_told_by_its_name_with_what_to_do():
    """As annotations, so that labels stay the same when somebody writes it better; no action once it is over."""
    site = structs.replace(SITE, rules=[FEW])
    [on] = payload(notification(rate()), site, words_in("en"))["alerts"]
    assert (on["labels"], on["annotations"]["rule_name"]) == (LABELS, "Few masks")
    assert on["annotations"]["action"] == "Hand out masks at the door."
    assert on["annotations"]["description"].endswith("Hand out masks at the door. New, since 09:40.")
    [over] = payload(notification(structs.replace(OVER, zone="north")), site, words_in("en"))["alerts"]
    assert (over["annotations"]["rule_name"], "action" in over["annotations"]) == ("Few masks", False)


def test_what_is_over_has_its_end_and_the_same_name():
    """A receiver closes what it opened by the fingerprint, which no state changes."""
    document = payload(notification(rate(state="resolved", rate=0.8)), SITE, words_in("fr"))
    [alert] = document["alerts"]
    assert (document["status"], alert["status"], alert["endsAt"]) == ("resolved", "resolved", "2026-11-24T09:20:00Z")
    assert alert["fingerprint"] == fingerprint(LABELS)
    assert alert["annotations"]["summary"] == (
        "Marché Forville, Entrée nord\u00a0: fini, masques 80\u00a0%, au-dessus de 75\u00a0%."
    )


def test_a_list_is_cut_and_says_how_much_is_left_out():
    """`max_alerts`; what all have in common is of those that are told."""
    several = notification(rate(alert="1" * 16), rate(alert="2" * 16, zone="south"), OVER)
    document = payload(several, SITE, words_in("en"), most=2)
    assert (len(document["alerts"]), document["truncatedAlerts"], document["status"]) == (2, 1, "firing")
    assert "zone" not in document["commonLabels"]
    assert document["commonLabels"]["alertname"] == "mask-rate"
    assert "summary" not in document["commonAnnotations"]
    assert document["commonAnnotations"]["persons"] == "143"


def test_an_operational_alert_names_its_camera():
    """And holds no count."""
    [alert] = payload(notification(fault()), SITE, words_in("en"))["alerts"]
    assert alert["labels"] == {
        "alertname": "camera-down", "site": "forville", "camera": "gate", "severity": "warning",
        "audience": "operators",
    }  # fmt: skip
    assert set(alert["annotations"]) == {"summary", "description", "alert"}


def test_a_test_is_an_alert_of_its_own():
    """A receiver does nothing with an empty list."""
    document = payload(notification(reason="test"), SITE, words_in("en"))
    assert [alert["labels"]["alertname"] for alert in document["alerts"]] == ["moretta-test"]
    assert document["alerts"][0]["startsAt"] == "2026-11-24T09:20:00Z"


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=4))
def test_a_fingerprint_depends_on_names_and_values_alone(labels: dict[str, str]):
    """Not on their order."""
    assert fingerprint(labels) == fingerprint(dict(reversed(labels.items())))


alerts = st.builds(
    rate,
    zone=st.sampled_from(["north", "south", "_site"]), alert=st.sampled_from(["1" * 16, "2" * 16]),
    state=st.sampled_from(["firing", "resolved"]), severity=st.sampled_from(["info", "critical"]),
    rate=st.floats(0, 1), persons=st.integers(0, 10**6), profile=st.sampled_from(["lab", "alerting"]),
)  # fmt: skip
faults = st.builds(
    fault,
    kind=st.sampled_from(["camera-down", "no-data"]), name=st.sampled_from(["gate", "north", "_site"]),
    state=st.sampled_from(["firing", "resolved"]),
)  # fmt: skip
FIELDS = {"status", "labels", "annotations", "startsAt", "endsAt", "generatorURL", "fingerprint"}


@given(st.lists(alerts | faults, max_size=8), st.integers(0, 5), st.sampled_from(["en", "fr"]))
def test_every_document_is_one_that_alertmanager_could_have_sent(messages, most: int, language: str):
    """Names of labels are Prometheus', values are texts, what is common is common, what is left out is counted."""
    told = notification(*messages, reason="test" if not messages else "digest")
    document = json.loads(msgspec.json.encode(payload(told, SITE, words_in(language), most=most)))
    kept = document["alerts"]
    assert len(kept) + document["truncatedAlerts"] == max(len(messages), 1)
    assert len(kept) == (min(most, max(len(messages), 1)) if most else max(len(messages), 1))
    assert document["status"] == ("firing" if "firing" in {alert["status"] for alert in kept} else "resolved")
    for common, each in (("commonLabels", "labels"), ("commonAnnotations", "annotations")):
        assert dict(set.intersection(*(set(alert[each].items()) for alert in kept))) == document[common]
    for alert in kept:
        assert set(alert) == FIELDS
        assert all(re.fullmatch("[a-z_]+", name) for name in (*alert["labels"], *alert["annotations"]))
        assert all(isinstance(text, str) and text for text in alert["labels"].values())
        assert (alert["endsAt"] == "0001-01-01T00:00:00Z") is (alert["status"] == "firing")
        assert document["groupLabels"].items() & alert["labels"].items() or not messages


def test_a_group_by_zone_and_rule_says_so():
    """Its key tells it from others, its labels are those of its alerts."""
    told = notification(rate())
    narrow = replace(told, group=replace(told.group, zone="north", rule="mask-rate"))
    document = payload(narrow, SITE, words_in("en"))
    assert document["groupLabels"] == {
        "alertname": "mask-rate", "audience": "field", "site": "forville", "zone": "north",
    }  # fmt: skip
    assert document["groupKey"] != payload(told, SITE, words_in("en"))["groupKey"]
    assert document["groupLabels"].items() <= document["commonLabels"].items()


def test_two_routes_to_one_receiver_are_two_incidents():
    """A receiver that opens and closes by `groupKey` must not close the one when the other is over."""
    groups = [Group("field-staff", "forville", "field", route=route) for route in ("", "1a2b3c4d", "5e6f7a8b")]
    documents = [payload(replace(notification(rate()), group=group), SITE, words_in("en")) for group in groups]
    assert len({group.key for group in groups}) == len({document["groupKey"] for document in documents}) == 3
    assert len({str(document["groupLabels"]) for document in documents}) == 1


def test_a_signature_holds_time_and_body():
    """HMAC-SHA256 of `SECONDS.BODY`, as docs/other-systems.md has it."""
    expected = hmac.new(b"key", b"1795512000.{}", sha256).hexdigest()
    assert signature("key", 1795512000, b"{}") == f"t=1795512000,v1={expected}"
