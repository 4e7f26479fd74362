"""Limits of readers' consumers: what NATS's clients ask for keeps them; what delivers without end does not."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.permissions import rights_of
from services.aggregate.mirrors.consumer_limits import MAX_REDELIVERIES, MAX_WAITING, exceeded

NS = 1_000_000_000
PULL = {"ack_policy": "explicit", "ack_wait": 30 * NS, "max_waiting": 512, "max_ack_pending": 1_000}
ORDERED = {"ack_policy": "none", "deliver_subject": "_INBOX_subscriber.x.1", "flow_control": True}


@pytest.mark.parametrize(
    "config",
    [
        PULL,
        ORDERED,
        PULL | {"deliver_subject": "my.windows"},
        PULL | {"backoff": [30 * NS, 60 * NS]},
        PULL | {"ack_wait": NS // 2, "max_ack_pending": 10},
        {"name": "x"},
    ],
)
def test_what_clients_ask_for_keeps_the_limits(config: dict[str, Any]):
    """A durable pull, an ordered consumer, a push to `my.>`, growing waits, a short one for few messages, defaults."""
    assert exceeded(config) == []


@pytest.mark.parametrize(
    ("more", "phrase"),
    [
        ({"deliver_subject": "_ORIGIN.CONSUMER.CREATE.WINDOWS"}, "deliver_subject _ORIGIN.CONSUMER.CREATE.WINDOWS is"),
        ({"deliver_subject": "moretta.v1.stats.cannes"}, "not in _INBOX.> or my.> or _INBOX_subscriber.>"),
        ({"deliver_subject": "_INBOXES.x"}, "deliver_subject _INBOXES.x"),
        (
            {"ack_wait": 1_000_000},
            "max_ack_pending 1000 with a wait of 0.001 s delivers more than 34 messages a second",
        ),
        ({"ack_wait": 1_000_000, "max_ack_pending": 1}, "max_ack_pending 1 with a wait of 0.001 s"),
        ({"backoff": [60 * NS, 1_000_000]}, "max_ack_pending 1000 with a wait of 0.001 s"),
        ({"max_ack_pending": -1}, "max_ack_pending -1 with a wait of 30 s"),
        ({"max_waiting": 50_000_000}, "max_waiting 50000000 is more than 512"),
    ],
)
def test_what_goes_beyond_is_named_with_its_limit(more: dict[str, Any], phrase: str):
    """One phrase for each field."""
    [found] = exceeded(PULL | more)
    assert phrase in found


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "deliver_subject": st.from_regex(r"(_INBOX|my|_R_|moretta\.v1|\$SYS\.REQ)\.[a-z]{1,9}", fullmatch=True),
            "ack_wait": st.integers(0, 100 * NS),
            "backoff": st.lists(st.integers(1, 100 * NS), max_size=4),
            "max_ack_pending": st.integers(-1, 1_000),
            "max_waiting": st.integers(0, 2_000),
        },
    )
)
def test_a_consumer_within_the_limits_delivers_slowly_to_what_its_reader_subscribes(config: dict[str, Any]):
    """However it is configured: what passes repeats at most so many messages a second, and keeps so many requests."""
    heard = tuple(one.removesuffix(">") for one in rights_of("subscriber", "MORETTA").subscribe if one != "moretta.>")
    waits = [wait for wait in (config.get("ack_wait", 0), *config.get("backoff", ())) if wait]
    pending = config.get("max_ack_pending", 1_000)
    is_within = (
        config.get("deliver_subject", "my.x").startswith(heard)
        and all(0 < pending * NS <= MAX_REDELIVERIES * wait for wait in waits)
        and config.get("max_waiting", 0) <= MAX_WAITING
    )
    assert (exceeded(config) == []) == is_within
