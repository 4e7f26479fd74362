"""The meaning of a failure to send: whether and how soon to retry, and what an operator has to know.

Reply codes of mail servers are those of RFC 5321 §4.2, enhanced codes those of RFC 3463, authentication codes those of
RFC 4954 §6; HTTP's are those of RFC 9110 §15 and RFC 6585 §4. A server's own words are never kept: they often quote the
recipient's address.
"""

from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Literal

from proto.public import DeliveryReason
from proto.types import Channel

Kind = Literal[
    "connect", "timeout", "disconnected", "tls", "no-starttls", "no-auth", "auth", "response", "rate-limited", "other",
    "unavailable", "denied", "misconfigured", "rejected", "recipient", "cost-cap", "too-long",
    "unread",
]  # fmt: skip
"""The second line is for SMS and webhooks, where a code is an HTTP status; `unread` is for daily reports."""
Stage = Literal["connect", "sender", "recipient", "data"]

NO_TLS = "WRONG_VERSION_NUMBER"
"""OpenSSL's name for an answer that is no TLS."""
_AUTH_CODES = frozenset({530, 534, 535, 538})


@dataclass(frozen=True)
class Failure:
    """Why a mail, an SMS or a webhook was not accepted.

    `detail` speaks of the server or the network, never of a recipient.
    """

    kind: Kind
    stage: Stage
    code: int | None = None
    enhanced: str | None = None
    detail: str = ""
    retry_after_s: float | None = None
    """The wait that the other side asked for, with `rate-limited` and `unavailable` (Retry-After, RFC 9110 §10.2.3)."""


@dataclass(frozen=True)
class Judgement:
    """The consequence of a failure. `loud`: a person must fix it, so the log has an error and retries are slow."""

    retry: bool
    reason: DeliveryReason
    loud: bool = False


SLOW: frozenset[DeliveryReason] = frozenset({"auth", "tls", "config", "refused", "other"})
"""Reasons that only a person can fix. Their retries are slow."""

_TEMPORARY = Judgement(retry=True, reason="temporary")
_AUTH = Judgement(retry=True, reason="auth", loud=True)
_CONFIG = Judgement(retry=True, reason="config", loud=True)

_BY_KIND: dict[Kind, Judgement] = {
    "connect": Judgement(retry=True, reason="connect"),
    "disconnected": Judgement(retry=True, reason="connect"),
    "timeout": Judgement(retry=True, reason="timeout"),
    "tls": Judgement(retry=True, reason="tls", loud=True),
    "no-starttls": Judgement(retry=True, reason="tls", loud=True),
    "no-auth": _AUTH,
    "rate-limited": Judgement(retry=True, reason="rate-limited"),
    "other": Judgement(retry=True, reason="other", loud=True),
    "unavailable": _TEMPORARY,
    "denied": _AUTH,
    "misconfigured": _CONFIG,
    "rejected": Judgement(retry=False, reason="refused", loud=True),
    "recipient": Judgement(retry=False, reason="recipient"),
    "cost-cap": Judgement(retry=False, reason="cost-cap"),
    "too-long": Judgement(retry=False, reason="too-long"),
    "unread": _TEMPORARY,
}


def judge(failure: Failure) -> Judgement:
    """Return the consequence of a failure.

    Only a refused recipient (5xx to RCPT) and refused content (5xx to DATA) are final. A 5xx that a change of settings
    or of the server would cure is retried: a misconfigured relay loses nothing. For SMS and webhooks, a message that
    the other side rejects (4xx) is final, and so is one beyond the cost cap.
    """
    by_kind = _BY_KIND.get(failure.kind)
    return by_kind if by_kind is not None else _of_reply(failure)


def _of_reply(failure: Failure) -> Judgement:
    if failure.code is None or failure.code < 500:
        return _TEMPORARY
    if failure.kind == "auth" or failure.code in _AUTH_CODES:
        return _AUTH
    if failure.stage == "connect":
        return Judgement(retry=True, reason="refused", loud=True)
    if failure.stage == "sender" or _is_policy(failure):
        return _CONFIG
    return Judgement(retry=False, reason="recipient" if failure.stage == "recipient" else "refused")


def _is_policy(failure: Failure) -> bool:
    """5.7.x to RCPT: the relay refuses this client ("relaying denied"); it is no unknown recipient (RFC 3463 §3.8)."""
    return failure.stage == "recipient" and (failure.enhanced or "").startswith("5.7.")


_ADVICE: dict[Kind, str] = {
    "connect": "notify.smtp.host and port must name a mail server that this machine reaches",
    "disconnected": "the server closed the connection; notify.smtp.security and port must fit each other"
    " (starttls 587, tls 465)",
    "timeout": "the server must answer within notify.smtp.timeout_s; a wrong port or security looks like this too",
    "tls": "the server's certificate must be valid for notify.smtp.host and signed by an authority"
    " of notify.smtp.ca_file; a server that asks for a certificate of ours gets notify.smtp.client_cert_file",
    "no-starttls": "the server offers no STARTTLS; set notify.smtp.security to tls, or to none on a trusted network",
    "no-auth": "the server offers no login that we know (PLAIN, LOGIN, CRAM-MD5); another port may",
    "auth": "notify.smtp.user and password must be what the server knows",
    "rate-limited": "the other side takes fewer messages than it gets; it is obeyed",
    "other": "this is unexpected; please report it",
    "unread": "JetStream must answer and have the streams WINDOWS and ALERTS, which aggregate makes when it starts",
}


_HTTP_ADVICE: dict[Kind, str] = {
    "connect": "its URL must name a server that this machine reaches",
    "disconnected": "the server closed the connection before it answered; its log may say why",
    "timeout": "the server must answer within timeout_s",
    "tls": "the server's certificate must be valid for its host and signed by an authority of ca_file",
    "rate-limited": "the other side takes fewer messages than it gets; it is obeyed",
    "unavailable": "the server has a fault of its own, or answered what the settings don't call a success",
    "denied": "the user, password or token must be what the server knows",
    "misconfigured": "the settings must name the final URL (no redirect is followed) and what the server takes",
    "rejected": "the server takes no such message; its URL may be wrong, and its log says why",
    "recipient": "the server refuses this recipient",
    "cost-cap": "notify.sms.max_per_day is reached; more can be sent tomorrow, or with a higher one",
    "too-long": "the text doesn't fit into notify.sms.max_segments",
}


_REPLY_ADVICE: dict[DeliveryReason, str] = {
    "auth": "the server wants a login; set notify.smtp.user and password",
    "config": "the server must accept mail from notify.smtp.sender to these recipients; a login may be missing",
    "recipient": "the server knows no such recipient; the receiver's address must be one that it takes",
}


def advice(failure: Failure, channel: Channel) -> str:
    """Return one sentence of advice."""
    if channel != "email":
        return _HTTP_ADVICE.get(failure.kind, _ADVICE["other"])
    reason = judge(failure).reason
    if failure.detail == NO_TLS:
        return "nobody speaks TLS there; notify.smtp.security and port must fit each other (starttls 587, tls 465)"
    if failure.kind != "response":
        return _ADVICE.get(failure.kind) or _HTTP_ADVICE[failure.kind]
    if reason == "refused" and failure.stage == "connect":
        return "the server refuses this machine; its operator can say why"
    return _REPLY_ADVICE.get(reason, "the server answered with a code of its own; its log says why")


_LONGEST_WAIT_S = 86_400.0
_DENIED = frozenset({401, 403, 407})
_TRY_AGAIN = frozenset({408, 425})


def failure_of_status(status: int, retry_after_s: float | None = None) -> Failure | None:
    """Return None for 2xx, else the failure.

    5xx, 408, 425 and 429 are retried. 401, 403 and 407 are a login that a person must fix. A redirect needs a person
    too: it is not followed, as it would carry secrets to another server. Other 4xx are about the message itself and are
    final.
    """
    if 200 <= status < 300:
        return None
    return Failure(_kind(status), "data", status, retry_after_s=retry_after_s)


def _kind(status: int) -> Kind:
    if status == 429:
        return "rate-limited"
    if status in _DENIED:
        return "denied"
    if status >= 500 or status in _TRY_AGAIN:
        return "unavailable"
    return "rejected" if status >= 400 else "misconfigured"


def retry_after_s(value: str | None, now: int) -> float | None:
    """Return the seconds that a Retry-After asks to wait at `now` (ns), a day at most; None if it asks nothing clear.

    It is a number of seconds or a date (RFC 9110 §10.2.3).
    """
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), _LONGEST_WAIT_S)
    try:
        moment = parsedate_to_datetime(text)
        at = (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):  # a year or an offset of twenty digits
        return None
    return min(max(at - now / 1e9, 0.0), _LONGEST_WAIT_S)
