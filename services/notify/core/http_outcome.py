"""What a status of HTTP means for a message that was to be delivered (RFC 9110 §15, RFC 6585 §4)."""

from datetime import UTC
from email.utils import parsedate_to_datetime

from services.notify.core.outcome import Failure, Kind

_LONGEST_WAIT_S = 86_400.0
_DENIED = frozenset({401, 403, 407})
_TRY_AGAIN = frozenset({408, 425})


def failure_of_status(status: int, retry_after_s: float | None = None) -> Failure | None:
    """Return None for 2xx, else why the message was not taken.

    5xx is tried again; 401 and 403 are a login that a person mends, and so is a redirect, which is not followed: it
    would carry secrets to another server. What the server says of the message itself (other 4xx) is final.
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
    except ValueError:
        return None
    at = (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
    return min(max(at - now / 1e9, 0.0), _LONGEST_WAIT_S)
