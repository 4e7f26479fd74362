"""What statuses of HTTP mean, and how long a Retry-After asks to wait."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notify.outcome import Failure, advice, failure_of_status, judge, retry_after_s

NOON = 1_795_521_600 * 10**9  # Tue, 24 Nov 2026 12:00:00 GMT


@pytest.mark.parametrize(
    ("status", "retry", "reason"),
    [
        (301, True, "config"), (307, True, "config"), (400, False, "refused"), (401, True, "auth"), (403, True, "auth"),
        (404, False, "refused"), (408, True, "temporary"), (410, False, "refused"), (425, True, "temporary"),
        (429, True, "rate-limited"), (500, True, "temporary"), (502, True, "temporary"), (503, True, "temporary"),
    ],
)  # fmt: skip
def test_each_status_has_its_consequence(status: int, retry: bool, reason: str):
    """4xx is final but for what a person or time mends; 5xx is tried again."""
    failure = failure_of_status(status)
    assert failure is not None
    assert (judge(failure).retry, judge(failure).reason) == (retry, reason)
    assert failure.code == status


@given(st.integers(100, 599), st.none() | st.floats(0, 1000))
def test_only_2xx_is_taken_and_the_wait_is_handed_on(status: int, wait: float | None):
    """Every other status has a judgement and an advice."""
    failure = failure_of_status(status, wait)
    assert (failure is None) is (200 <= status < 300)
    if failure is not None:
        assert failure.retry_after_s == wait
        assert len(advice(failure, "sms")) > 20


@pytest.mark.parametrize(
    ("kind", "reason"), [("cost-cap", "cost-cap"), ("too-long", "too-long"), ("recipient", "recipient")]
)
def test_what_no_second_try_mends_is_final(kind: str, reason: str):
    """The cap, the length, the number."""
    assert judge(Failure(kind, "data")).retry is False
    assert judge(Failure(kind, "data")).reason == reason
    assert len(advice(Failure(kind, "data"), "webhook")) > 20
    assert advice(Failure(kind, "data"), "email") == advice(Failure(kind, "data"), "sms")


@pytest.mark.parametrize(
    ("value", "wait"),
    [
        ("120", 120), (" 0 ", 0), ("Tue, 24 Nov 2026 12:01:00 GMT", 60), ("Tue, 24 Nov 2026 11:00:00 GMT", 0),
        ("999999999999999", 86_400), ("Tue, 24 Nov 2037 12:01:00 GMT", 86_400), (None, None), ("", None), ("-5", None),
        ("soon", None), ("١٢", None), ("1e3", None), ("Mon, 01 Jan 99999999999999999 00:00:00 GMT", None),
        ("Mon, 01 Jan 2024 00:00:00 +99999999999999999999", None),
    ],
)  # fmt: skip
def test_a_retry_after_is_seconds_or_a_date(value: str | None, wait: float | None):
    """RFC 9110 §10.2.3; a day at most, and nothing from what is neither."""
    assert retry_after_s(value, NOON) == wait


_DATES = st.from_regex(r"Mon, [0-9]{1,20} Jan [0-9]{1,20} [0-9]{1,20}:00:[0-9]{1,20} [+-][0-9]{1,22}", fullmatch=True)


@given(st.text(max_size=40) | _DATES)
def test_no_retry_after_breaks_anything(value: str):
    """Servers send all sorts of things."""
    wait = retry_after_s(value, NOON)
    assert wait is None or 0 <= wait <= 86_400
