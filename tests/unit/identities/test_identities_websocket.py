"""The section `websocket` of nats.yaml: by which door browsers come in, and when that is refused."""

from pathlib import Path
from typing import Any

import pytest
from nats_folder import NatsFolder, lines_of

ORIGIN = "https://numbers.example.org"
RELEASE = {"release": "m", "namespace": "n"}


def door(listen: str = "127.0.0.1:8443", *origins: str, **more: bool) -> dict[str, Any]:
    return {"websocket": {"listen": listen, "origins": [ORIGIN, *origins], **more}}


def test_browsers_come_as_readers_alone(nats: NatsFolder):
    """As page, subscriber or a reader with a name.

    Everybody else is bound to the usual door; the door stays when that is applied again, can be open, and goes with
    its section.
    """
    nats.apply(door("127.0.0.1:8443", "http://localhost:8088") | {"readers": ["acme"]})
    config = nats.conf()
    assert config["websocket"] == {
        "listen": "127.0.0.1:8443", "allowed_origins": [ORIGIN, "http://localhost:8088"], "no_tls": True,
    }  # fmt: skip
    readers = [
        config["accounts"][name]["users"]
        for name in ("MORETTA_SUBSCRIBERS", "MORETTA_SUBSCRIBERS_acme", "MORETTA_PAGE")
    ]
    [page] = readers[-1]
    others = [user for name in ("MORETTA", "MORETTA_FRAMES") for user in config["accounts"][name]["users"]]
    assert {tuple(user["allowed_connection_types"]) for user in others} == {("STANDARD",)}
    assert {tuple(user["allowed_connection_types"]) for [user] in readers} == {("STANDARD", "WEBSOCKET")}
    nats.apply()
    assert nats.conf()["websocket"] == config["websocket"]
    nats.apply(door(open=True))
    assert nats.conf()["websocket"]["no_auth_user"] == page["nkey"]
    nats.apply({})
    assert "websocket" not in nats.conf()


def test_an_open_door_follows_the_key(nats: NatsFolder):
    """The newest key is the one by which pages come in: the old one may be retired."""

    def opens() -> str:
        return nats.conf()["websocket"]["no_auth_user"]

    nats.apply(door(open=True))
    before = opens()
    nats.rotate("subscriber")
    assert opens() == before
    nats.rotate("page")
    after = opens()
    assert after != before
    nats.retire("page")
    assert opens() == after


@pytest.mark.parametrize(
    ("who", "is_open", "restarts"),
    [("page", True, True), ("all", True, True), ("page", False, False), ("ingest", True, False)],
)
def test_a_restart_is_asked_for_where_the_doors_key_is_new(nats: NatsFolder, who: str, is_open: bool, restarts: bool):
    """First of all steps. A closed page's key, or another identity's, is taken by a reload."""
    nats.apply(door(open=is_open))
    start, reload = "restart nats-server", "nats-server --signal reload"
    printed = (nats.rotate(who), nats.retire(who), nats.replace(who))
    for steps, restart in zip((lines_of(one, "next: ") for one in printed), (restarts, False, restarts), strict=True):
        first, *others = steps
        assert first.startswith(start if restart else reload)
        assert not any(step.startswith((start, reload)) for step in others)


def test_a_start_is_asked_for_where_a_door_comes_or_goes(nats: NatsFolder):
    """No reload takes that, and a server that is told to reload refuses the rest of the file with it."""
    asked = {name: [] for name in ("restart nats-server", "nats-server --signal reload")}
    for wish in ({}, door(), door() | {"readers": ["acme"]}, {"readers": ["acme"]}, {}):
        steps = lines_of(nats.apply(wish), "next: ")
        for words, answers in asked.items():
            answers.append(any(step.startswith(words) for step in steps))
    assert asked == {
        "restart nats-server": [False, True, False, True, False],
        "nats-server --signal reload": [False, False, True, False, True],
    }


def test_with_tls_it_may_be_reached_from_elsewhere(nats: NatsFolder, tmp_path: Path):
    """The certificate is the server's; of a browser none is asked."""
    (tmp_path / "x.pem").touch()
    files = dict.fromkeys(("cert_file", "key_file", "ca_file"), "x.pem")
    nats.apply({"server": {"tls": files}} | door("0.0.0.0:8443"))
    config = nats.conf()
    assert config["tls"]["verify"] is True
    assert config["websocket"]["tls"] == config["tls"] | {"verify": False}
    assert "no_tls" not in config["websocket"]


@pytest.mark.parametrize(
    ("wish", "why"),
    [
        (door("127.0.0.1"), "websocket.listen: must be HOST:PORT"),
        (door("off"), "websocket.listen: must be HOST:PORT"),
        (door("127.0.0.1:65536"), "websocket.listen: '127.0.0.1:65536' has no such port"),
        ({"websocket": {"listen": "127.0.0.1:8443"}}, "websocket.origins: is missing"),
        ({"websocket": {"listen": "127.0.0.1:8443", "origins": []}}, "websocket.origins: must be a list of at least 1"),
        ({"websocket": {"origins": [ORIGIN]}}, "websocket.listen: is missing"),
        ({"websocket": {"origins": [ORIGIN], "open": True}}, "websocket.listen: is missing"),
        (door("127.0.0.1:8443", "numbers.example.org"), "websocket.origins[1]: must be scheme, name and port"),
        (door("127.0.0.1:8443", f"{ORIGIN}/page"), "websocket.origins[1]: must be scheme, name and port"),
        (door("0.0.0.0:8443"), "websocket.listen: 0.0.0.0:8443 is without TLS"),
        (door(":8443"), "websocket.listen: :8443 is without TLS"),
        (door(open="yes"), "websocket.open: must be true or false"),
        (door() | {"kubernetes": RELEASE}, "websocket: on Kubernetes it is the chart's"),
        (door() | {"hub": {}}, "hub: goes without leaf and websocket"),
    ],
)
def test_a_mistake_is_reported_and_nothing_is_written(nats: NatsFolder, wish: dict[str, Any], why: str):
    """With the path that is to be mended."""
    [line] = nats.problems(wish)
    assert line.startswith(why)


@pytest.mark.parametrize("listen", ["127.0.0.1:8443", "localhost:8443", "[::1]:8443"])
def test_loopback_needs_no_tls(nats: NatsFolder, listen: str):
    """By whichever name: nobody else reaches it."""
    nats.apply(door(listen))
    assert nats.conf()["websocket"]["no_tls"] is True
