"""A notification in the format of Alertmanager's webhooks, version 4, so that their receivers accept it too.

Fields: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config. Labels and annotations common to all
alerts are computed after the list was cut to `most`, as Alertmanager does.
"""

import hmac
from collections.abc import Mapping, Sequence
from datetime import UTC
from hashlib import sha256
from typing import Any

from proto.public import AlertV1
from services.notify.channels.sms.text import summary_and_description
from services.notify.notification import Group, Notice, Notification
from services.notify.texts.names import action_of, rule_name
from services.notify.texts.words import Words, instant
from services.sites.settings import SiteSettings

_NEVER = "0001-01-01T00:00:00Z"
"""Go's zero time. Alertmanager writes it as the end of an alert that has not ended."""
_FNV_OFFSET, _FNV_PRIME = 0xCBF29CE484222325, 0x100000001B3

_NAMED = {"camera-down": "camera", "channel-down": "channel", "undelivered": "recipient"}
"""The label for the name in an operational alert, if that is not a zone."""

Labels = dict[str, str]
Alert = dict[str, Any]


def payload(
    notification: Notification, site: SiteSettings, words: Words, *, public_url: str = "", most: int = 0
) -> dict[str, Any]:
    """Return the document to send, with at most `most` alerts (0: all); UnpresentableError beyond the calendar."""
    alerts = [_alert(notice, notification, site, words, public_url) for notice in notification.notices]
    alerts = alerts or [_test_alert(notification, words, public_url)]
    kept = alerts[:most] if most else alerts
    return {
        "version": "4",
        "groupKey": _group_key(notification.group),
        "truncatedAlerts": len(alerts) - len(kept),
        "status": "firing" if any(alert["status"] == "firing" for alert in kept) else "resolved",
        "receiver": notification.group.receiver,
        "groupLabels": _group_labels(notification.group),
        "commonLabels": _common([alert["labels"] for alert in kept]),
        "commonAnnotations": _common([alert["annotations"] for alert in kept]),
        "externalURL": public_url,
        "alerts": kept,
    }


def signature(secret: str, at_s: int, body: bytes) -> str:
    """Return `t=SECONDS,v1=HEX`: the HMAC-SHA256 (RFC 2104) of `SECONDS.BODY`, with the seconds since 1970 in UTC.

    The time is signed too, so that a receiver can refuse a request that somebody has kept and sends again.
    """
    return f"t={at_s},v1={hmac.new(secret.encode(), b'%d.' % at_s + body, sha256).hexdigest()}"


def fingerprint(labels: Mapping[str, str]) -> str:
    """Return the name that Prometheus gives a set of labels: FNV-1a of 64 bits over names and values in order."""
    total = _FNV_OFFSET
    for name in sorted(labels):
        for sign in f"{name}\0{labels[name]}\0".encode().replace(b"\0", b"\xff"):
            total = ((total ^ sign) * _FNV_PRIME) & 0xFFFFFFFFFFFFFFFF
    return f"{total:016x}"


def _alert(notice: Notice, notification: Notification, site: SiteSettings, words: Words, url: str) -> Alert:
    summary, description = summary_and_description(notice, notification, site, words)
    labels = {
        "alertname": notice.rule, "site": notice.site, "zone": notice.zone,
        "severity": notice.severity, "audience": notice.audience,
    }  # fmt: skip
    annotations = {"summary": summary, "description": description, "alert": notice.alert}
    if isinstance(notice.message, AlertV1):
        labels["profile"] = notice.message.profile
        annotations |= _figures(notice.message) | {"rule_name": rule_name(site, notice.zone, notice.rule, words)}
        if action := action_of(notice, site, words):
            annotations["action"] = action
    elif notice.rule in _NAMED:
        labels[_NAMED[notice.rule]] = labels.pop("zone")
    ends = _NEVER if notice.firing else _time(notice.at)
    return _as_known(notice.state, labels, annotations, (_time(notice.since), ends), url)


def _figures(alert: AlertV1) -> Labels:
    """Return the figures of the deciding window, as in WindowV1 and AlertV1, but as texts: annotations are texts."""
    return {
        "rate": str(alert.rate), "interval_low": str(alert.interval[0]), "interval_high": str(alert.interval[1]),
        "persons": str(alert.persons), "coverage": str(alert.coverage), "fire_below": str(alert.fire_below),
        "clear_above": str(alert.clear_above), "window_start": _time(alert.start), "window_end": _time(alert.end),
    }  # fmt: skip


def _test_alert(notification: Notification, words: Words, url: str) -> Alert:
    labels = {"alertname": "moretta-test", "site": notification.group.site, "severity": "info"}
    summary = words.gettext("This is a test: messages from Moretta reach you.")
    return _as_known("firing", labels, {"summary": summary}, (_time(notification.at), _NEVER), url)


def _as_known(status: str, labels: Labels, annotations: Labels, span: tuple[str, str], url: str) -> Alert:
    """Return an alert in the form of Alertmanager's webhooks."""
    return {
        "status": status, "labels": labels, "annotations": annotations, "startsAt": span[0], "endsAt": span[1],
        "generatorURL": url, "fingerprint": fingerprint(labels),
    }  # fmt: skip


def _group_labels(group: Group) -> Labels:
    by = {"alertname": group.rule, "audience": group.audience, "site": group.site, "zone": group.zone}
    return {name: value for name, value in by.items() if value is not None}


def _group_key(group: Group) -> str:
    """Return Alertmanager's form: the route, a colon, the labels. It identifies a group and must not be parsed."""
    labels = ", ".join(f'{name}="{value}"' for name, value in _group_labels(group).items())
    route = f'receiver="{group.receiver}"' + (f', route="{group.route}"' if group.route else "")
    return f"{{}}/{{{route}}}:{{{labels}}}"


def _common(sets: Sequence[Labels]) -> Labels:
    first, *others = sets
    return {name: value for name, value in first.items() if all(other.get(name) == value for other in others)}


def _time(nanoseconds: int) -> str:
    return instant(nanoseconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
