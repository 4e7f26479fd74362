"""`moretta nats-config --websocket`: by which door browsers come in, and when that is refused."""

import json
from pathlib import Path

import pytest
from in_process import invoke

from services.kernel.settings import SettingsError

ORIGIN = "https://numbers.example.org"
HERE = ("--websocket", "127.0.0.1:8443", "--origin", ORIGIN)


@pytest.fixture(name="run")
def _run(tmp_path: Path):
    """The server's configuration after the command."""

    def run(*words: str) -> dict:
        command = ["nats-config", "--out", str(tmp_path / "nats"), *words]
        assert invoke(*command).exit_code == 0
        return json.loads((tmp_path / "nats/nats.conf").read_text())

    return run


def test_browsers_come_as_readers_alone(run, tmp_path: Path):
    """As page, subscriber or a reader with a name.

    Everybody else is bound to the usual door; the door stays over updates, can be open, and can be taken away.
    """
    config = run(*HERE, "--origin", "http://localhost:8088", "--reader", "acme")
    assert config["websocket"] == {
        "listen": "127.0.0.1:8443", "allowed_origins": [ORIGIN, "http://localhost:8088"], "no_tls": True,
    }  # fmt: skip
    readers = [config["accounts"][name]["users"] for name in ("SUBSCRIBERS", "SUBSCRIBERS_acme", "PAGE")]
    [page] = readers[-1]
    others = [user for name in ("MAIN", "FRAMES") for user in config["accounts"][name]["users"]]
    assert {tuple(user["allowed_connection_types"]) for user in others} == {("STANDARD",)}
    assert {tuple(user["allowed_connection_types"]) for [user] in readers} == {("STANDARD", "WEBSOCKET")}
    assert run("--update")["websocket"] == config["websocket"]
    assert run("--update", *HERE, "--page-open")["websocket"]["no_auth_user"] == page["nkey"]
    assert "websocket" not in run("--update", "--websocket", "off")


def test_an_open_door_follows_the_key(run):
    """The newest key is the one by which pages come in: the old one may be retired."""
    before = run(*HERE, "--page-open")["websocket"]["no_auth_user"]
    assert run("--rotate", "subscriber")["websocket"]["no_auth_user"] == before
    after = run("--rotate", "page")["websocket"]["no_auth_user"]
    assert after != before
    assert run("--retire", "page")["websocket"]["no_auth_user"] == after


@pytest.mark.parametrize(
    ("who", "words", "restarts"),
    [
        ("page", ["--page-open"], True),
        ("all", ["--page-open"], True),
        ("page", [], False),
        ("ingest", ["--page-open"], False),
    ],
)
def test_a_restart_is_asked_for_where_the_doors_key_is_new(
    tmp_path: Path, run, who: str, words: list[str], restarts: bool
):
    """A closed page's key, or another identity's, is taken by a reload."""
    run(*HERE, *words)
    told = invoke("nats-config", "--out", str(tmp_path / "nats"), "--rotate", who).output
    assert ("next: a restart of nats-server" in told) is restarts


def test_with_tls_it_may_be_reached_from_elsewhere(run, tmp_path: Path):
    """The certificate is the server's; of a browser none is asked."""
    (pem := tmp_path / "x.pem").touch()
    config = run("--server-tls", *[str(pem)] * 3, "--websocket", "0.0.0.0:8443", "--origin", ORIGIN)
    assert config["tls"]["verify"] is True
    assert config["websocket"]["tls"] == config["tls"] | {"verify": False}
    assert "no_tls" not in config["websocket"]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--websocket", "127.0.0.1", "--origin", ORIGIN), "--websocket: '127.0.0.1' is no HOST:PORT"),
        (("--websocket", "127.0.0.1:8443"), "--origin: is missing"),
        (("--origin", ORIGIN), "--websocket: says where"),
        (("--websocket", "off", "--page-open"), "--websocket: says where"),
        ((*HERE, "--origin", "numbers.example.org"), "--origin: 'numbers.example.org' is no origin"),
        (("--websocket", "0.0.0.0:8443", "--origin", ORIGIN), "--websocket: 0.0.0.0:8443 is without TLS"),
        ((*HERE, "--kubernetes", "m", "--namespace", "n"), "--websocket: on Kubernetes"),
        ((*HERE, "--rotate", "all"), "--rotate: changes keys only"),
        ((*HERE, "--hub", "127.0.0.1:7422"), "--websocket: is a site's"),
    ],
)
def test_what_is_wrong_is_told_and_nothing_is_written(run, tmp_path: Path, words: tuple[str, ...], why: str):
    """With the option that is to be mended."""
    with pytest.raises(SettingsError) as told:
        run(*words)
    assert str(told.value).startswith(f"moretta nats-config: {why}")
    assert not (tmp_path / "nats").exists()
