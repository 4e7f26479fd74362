"""Who asks, read off a question."""

import json

import pytest
from nats.aio.msg import Msg

from services.bus.service.micro import asker_of

SAID = {
    "acc": "MORETTA_SUBSCRIBERS",
    "user": "UABC",
    "server": "NDEF",
    "id": 9,
    "host": "192.0.2.7",
    "rtt": 5,
    "start": "x",
}


def asked(reply, said=None):
    headers = None if said is None else {"Nats-Request-Info": said if isinstance(said, str) else json.dumps(said)}
    return asker_of(Msg(None, "moretta.v1.stats.cannes", reply, b"", headers))


@pytest.mark.parametrize(
    ("said", "who"),
    [
        (SAID, ("MORETTA_SUBSCRIBERS", "UABC", "NDEF 9")),
        (
            {"acc": "MORETTA_SUBSCRIBERS", "rtt": 5},
            ("MORETTA_SUBSCRIBERS", "", " 0"),
        ),  # the import does not say `share`
        (None, ("", "", " 0")),
        ("{", ("", "", " 0")),
        ({"acc": 7}, ("", "", " 0")),
    ],
)
def test_another_accounts_asker_is_what_the_server_says(said, who):
    """Account, key, and connection at which server; what is no such word is nobody in particular."""
    assert asked("_R_.x4YUug.8y3mIW", said) == who


@pytest.mark.parametrize(
    ("reply", "who"),
    [
        ("_INBOX_operator.conn.question", ("", "_INBOX_operator", "conn")),
        ("_INBOX_operator.question", ("", "_INBOX_operator", "")),
        ("_INBOX", ("", "_INBOX", "")),
        ("_INBOX" + "x" * 500 + "." + "y" * 500 + ".z", ("", "_INBOX" + "x" * 58, "y" * 64)),
    ],
)
def test_within_the_account_the_inbox_tells(reply, who):
    """Its first parts, at a length that is kept; what such an asker claims in a header is not read."""
    assert asked(reply) == asked(reply, SAID) == who
