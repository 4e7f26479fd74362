"""What each failure means."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notify.outcome import SLOW, Failure, Judgement, Kind, advice, judge


@pytest.mark.parametrize(
    ("failure", "retry", "reason"),
    [
        (Failure("connect", "connect"), True, "connect"),
        (Failure("timeout", "connect"), True, "timeout"),
        (Failure("timeout", "data"), True, "timeout"),
        (Failure("disconnected", "data"), True, "connect"),
        (Failure("tls", "connect"), True, "tls"),
        (Failure("no-starttls", "connect"), True, "tls"),
        (Failure("no-auth", "connect"), True, "auth"),
        (Failure("auth", "connect", 535, "5.7.8"), True, "auth"),
        (Failure("auth", "connect", 454, "4.7.0"), True, "temporary"),
        (Failure("response", "connect", 421), True, "temporary"),
        (Failure("response", "connect", 554), True, "refused"),
        (Failure("response", "sender", 530, "5.7.0"), True, "auth"),
        (Failure("response", "sender", 553), True, "config"),
        (Failure("response", "recipient", 450, "4.2.0"), True, "temporary"),
        (Failure("response", "recipient", 452), True, "temporary"),
        (Failure("response", "recipient", 550, "5.1.1"), False, "recipient"),
        (Failure("response", "recipient", 550), False, "recipient"),
        (Failure("response", "recipient", 554, "5.7.1"), True, "config"),
        (Failure("response", "data", 451), True, "temporary"),
        (Failure("response", "data", 554, "5.6.0"), False, "refused"),
        (Failure("other", "data"), True, "other"),
        (Failure("unread", "data"), True, "temporary"),
    ],
)
def test_each_kind_of_failure_has_its_consequence(failure: Failure, retry: bool, reason: str):
    """4xx and the network are retried; one recipient's 5xx is final; a misconfiguration loses nothing."""
    assert (judge(failure).retry, judge(failure).reason) == (retry, reason)


@pytest.mark.parametrize("kind", get_args(Kind))
def test_what_a_person_must_mend_is_loud(kind: str):
    """Settings, certificates, passwords, and what nobody foresaw; not the network, and nothing about one recipient."""
    mended = {"tls", "no-starttls", "no-auth", "other", "denied", "misconfigured", "rejected"}
    assert judge(Failure(kind, "connect")).loud == (kind in mended)
    loud = [(stage, code) for stage in ("connect", "sender", "recipient", "data") for code in (450, 535, 554)
            if judge(Failure("response", stage, code)).loud]  # fmt: skip
    assert loud == [
        ("connect", 535),
        ("connect", 554),
        ("sender", 535),
        ("sender", 554),
        ("recipient", 535),
        ("data", 535),
    ]


_failures = st.builds(
    Failure,
    st.sampled_from(
        ["connect", "timeout", "disconnected", "tls", "no-starttls", "no-auth", "auth", "response", "other"]
    ),
    st.sampled_from(["connect", "sender", "recipient", "data"]),
    st.none() | st.integers(400, 599),
    st.none() | st.sampled_from(["4.2.1", "5.1.1", "5.7.1"]),
)


@given(_failures)
def test_every_failure_has_a_judgement_and_an_advice(failure: Failure):
    """Nothing a server can answer leaves the operator without a sentence."""
    assert isinstance(judge(failure), Judgement)
    assert len(advice(failure, "email")) > 20


def test_the_most_common_mistakes_are_called_by_their_name():
    """A wrong address is not answered with the server's log, and a port without TLS not with certificates."""
    assert "security and port" in advice(Failure("tls", "connect", detail="WRONG_VERSION_NUMBER"), "email")
    assert "certificate" in advice(Failure("tls", "connect", detail="certificate has expired"), "email")
    assert "recipient" in advice(Failure("response", "recipient", 550, "5.1.1"), "email")


@given(_failures)
def test_only_a_5xx_to_a_recipient_or_a_content_is_final(failure: Failure):
    """An alert is lost to nothing but a refusal of this recipient or of this mail."""
    if not judge(failure).retry:
        assert failure.stage in {"recipient", "data"}
        assert failure.code is not None
        assert failure.code >= 500


@given(_failures)
def test_what_is_loud_is_retried_slowly(failure: Failure):
    """What only a person mends is an error in the log and does not knock every few seconds."""
    if judge(failure).loud:
        assert judge(failure).reason in SLOW
