"""The section `mqtt` of nats.yaml: which readers get a password, where it lies, and when that is refused."""

from pathlib import Path
from typing import Any

import bcrypt
import pytest
import yaml
from nats_folder import NatsFolder, lines_of

RELEASE = {"release": "m", "namespace": "n"}
HERE = {"listen": "127.0.0.1:1883", "readers": ["acme", "subscriber"]}


def asked(**changes: Any) -> dict[str, Any]:
    return {"readers": ["acme", "other"], "mqtt": HERE | changes}


@pytest.fixture(name="nats")
def _nats(tmp_path: Path) -> NatsFolder:
    return NatsFolder(tmp_path / "nats")


def password(nats: NatsFolder, user: str) -> str:
    return (nats.path / f"{user}.mqtt").read_text()


def users(nats: NatsFolder, account: str) -> list[dict[str, Any]]:
    return [one for one in nats.conf()["accounts"][account]["users"] if "password" in one]


def test_a_reader_that_is_named_has_a_password_and_may_hear(nats: NatsFolder):
    """Its hash alone is where others read; it publishes nothing, and comes by MQTT alone."""
    said = lines_of(nats.apply(asked()), "next: ")
    assert f"MQTT clients: user name subscriber-acme, password in {nats.path}/subscriber-acme.mqtt" in said
    [acme], [subscriber], others = (users(nats, f"SUBSCRIBERS{name}") for name in ("_acme", "", "_other"))
    assert others == users(nats, "PAGE") == users(nats, "MAIN") == []
    for one, user in ((acme, "subscriber-acme"), (subscriber, "subscriber")):
        assert bcrypt.checkpw(password(nats, user).encode(), one["password"].encode())
        assert (one["user"], one["password"][:4], one["allowed_connection_types"]) == (user, "$2a$", ["MQTT"])
        assert one["permissions"]["publish"] == {"deny": [">"]}
        assert (nats.path / f"{user}.mqtt").stat().st_mode & 0o777 == 0o600
        written = [file for file in nats.path.iterdir() if file.is_file() and password(nats, user) in file.read_text()]
        assert [file.name for file in written] == [f"{user}.mqtt"]
    assert nats.conf()["mqtt"] == {"listen": "127.0.0.1:1883", "max_ack_pending": 100, "reject_qos2_publish": True}


def test_a_password_stays_until_it_is_replaced_and_goes_with_its_reader(nats: NatsFolder):
    """Applied again, renewed, replaced, taken out of the section."""
    nats.apply(asked())
    first, config = password(nats, "subscriber-acme"), nats.conf()
    nats.apply(asked())
    nats.apply()
    assert (password(nats, "subscriber-acme"), nats.conf()) == (first, config)
    nats.rotate("subscriber-acme")
    assert password(nats, "subscriber-acme") == first
    steps = lines_of(nats.replace("subscriber-acme"), "next: ")
    assert steps[-1] == f"MQTT clients: user name subscriber-acme, password in {nats.path}/subscriber-acme.mqtt"
    second, other = password(nats, "subscriber-acme"), password(nats, "subscriber")
    assert second != first
    [acme] = users(nats, "SUBSCRIBERS_acme")
    assert bcrypt.checkpw(second.encode(), acme["password"].encode())
    nats.apply(asked(readers=["subscriber"]))
    assert not (nats.path / "subscriber-acme.mqtt").exists()
    assert password(nats, "subscriber") == other
    nats.apply({"readers": ["acme"]})
    assert not list(nats.path.glob("*.mqtt"))
    assert "mqtt" not in nats.conf()


def test_on_kubernetes_the_hashes_are_values_and_passwords_in_secrets(nats: NatsFolder):
    """The chart says where MQTT clients come in."""
    nats.apply({"readers": ["acme"], "mqtt": {"readers": ["acme"]}, "kubernetes": RELEASE})
    values = yaml.safe_load((nats.path / "values.yaml").read_text())["nats"]["mqtt"]
    assert values["enabled"]
    own = password(nats, "subscriber-acme")
    assert bcrypt.checkpw(own.encode(), values["passwords"]["subscriber-acme"].encode())
    secrets = {one["metadata"]["name"]: one for one in yaml.safe_load_all((nats.path / "secrets.yaml").read_text())}
    holding = [name for name, one in secrets.items() if own in one["stringData"].values()]
    assert holding == ["m-identity-subscriber-acme"]
    assert "mqtt" not in nats.conf()


@pytest.mark.parametrize(
    ("wish", "why"),
    [
        (asked(readers=["away"]), "mqtt.readers[0]: no reader 'away'; name one of `readers`, or subscriber"),
        (asked(readers=["acme", "acme"]), "mqtt.readers[1]: acme is there twice"),
        (asked(readers=[]), "mqtt.readers: must be a list of at least 1, got an empty list"),
        (asked(listen=None), "mqtt.listen: is missing; must be HOST:PORT, such as 0.0.0.0:8883"),
        (asked(listen="here"), "mqtt.listen: must be HOST:PORT, such as 0.0.0.0:4222"),
        (asked(listen="127.0.0.1:70000"), "mqtt.listen: '127.0.0.1:70000' has no such port"),
        (asked(listen="0.0.0.0:1883"), "mqtt.listen: 0.0.0.0:1883 is without TLS, and passwords cross it: add server"),
        (asked() | {"kubernetes": RELEASE}, "mqtt.listen: on Kubernetes it is the chart's: leave it out"),
        (asked() | {"hub": {}}, "hub: goes without leaf, websocket and mqtt"),
    ],
)
def test_what_can_not_be_is_told(nats: NatsFolder, wish: dict[str, Any], why: str):
    """With its path, and what would be right."""
    assert [line for line in nats.problems(wish) if line.startswith(why)], nats.problems(wish)
