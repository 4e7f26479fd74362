"""NATS's own chart with our values: what its templates make of them, run by the real server.

That chart can't be fetched here. What is known of it, from its published templates: a configuration of its own, over
which `config.merge` is laid (and `config.jetstream.merge` over its part), maps into maps; then `"<< x >>"` becomes x,
and a key that ends in `$include` an include.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import secrecy
import yaml
from chart import ROOT, merged
from identity_matrix import SEEDS, against_the_table, make_streams
from msgspec import structs
from rendered_nats import RenderedNats, parsed

from operate.identities import IdentityFolder, Leaf, Release, ServerEntry, server

PEOPLE = {user: [one.public] for user, one in SEEDS.items()}


def theirs(values: dict[str, Any]) -> dict[str, Any]:
    """What that chart says itself of one server with JetStream."""
    store = values["config"]["jetstream"]["fileStore"]
    return {
        "server_name": "<< $POD_NAME >>",
        "lame_duck_grace_period": "10s",
        "lame_duck_duration": "30s",
        "pid_file": "/var/run/nats/nats.pid",
        "port": 4222,
        "http_port": 8222,
        "jetstream": {"store_dir": "/data", "max_file_store": f"<< {store['pvc']['size']} >>"},
    }


def configuration(folder: Path) -> str:
    """Return nats.conf as that chart writes it with both files of values."""
    values = yaml.safe_load((ROOT / "k8s/nats-values.yaml").read_text())
    values = merged(values, yaml.safe_load((folder / "nats-values.yaml").read_text()))
    config, store = theirs(values), values["config"]["jetstream"]
    config["jetstream"] = merged(config["jetstream"], store["merge"])
    text = json.dumps(merged(config, values["config"]["merge"]), indent=1)
    text = re.sub(r'"[^"]*\$include": "(.*)",?', r"include \1;", text)
    return re.sub(r'"<<\s+(.*)\s+>>"', r"\1", text)


@pytest.fixture(name="kept")
def _kept(tmp_path: Path) -> IdentityFolder:
    """A folder of the command, with the keys of the matrix's users."""
    place = ServerEntry(listen="127.0.0.1:4222", store="/s", url="nats://a:4222", release=Release(name="paris"))
    kept = IdentityFolder.make(tmp_path / "keys", place)
    kept.server = structs.replace(kept.server, keys=PEOPLE)
    kept.write()
    return kept


def started(folder: Path, text: str) -> RenderedNats:
    """Start that configuration with the test's ports and folders, and an admin in MORETTA."""
    text = text.replace('"port": 4222', '"listen": "0.0.0.0:4222"').replace(
        '"http_port": 8222', '"http": "127.0.0.1:8222"'
    )
    account = r'("MORETTA": \{\s*"jetstream": true,\s*"users": \[)'
    server = RenderedNats(folder, re.sub(account, r'\1{"user": "admin", "password": "admin"},', text))
    server.start()
    return server


@pytest.fixture(name="running")
def _running(tmp_path: Path, kept: IdentityFolder) -> Iterator[RenderedNats]:
    server = started(tmp_path / "pod", configuration(kept.folder))
    yield server
    server.stop()


async def test_everybody_may_what_the_table_says_and_nothing_else(running: RenderedNats):
    """The identity matrix once more; and the limits are those of our own server."""
    await make_streams(running)
    assert not await against_the_table(running)


def test_limits_and_rights_are_those_of_the_command(kept: IdentityFolder):
    """All that it would write to nats.conf is there, but for where it listens and stores."""
    made, expected = parsed(configuration(kept.folder)), server("127.0.0.1:4222", "/data", PEOPLE)
    assert {name: made.get(name) for name in expected if name != "listen"} == {
        name: value for name, value in expected.items() if name != "listen"
    }


def test_a_leaf_finds_its_seed_in_a_file(kept: IdentityFolder, tmp_path: Path):
    """The Secret's file is mounted beside the configuration, where the include looks for it."""
    kept.server = structs.replace(kept.server, keys=PEOPLE)
    kept.update(structs.replace(kept.server, leaf=Leaf(hubs=["nats://127.0.0.1:1"], sites=["cannes"])))
    [secret] = [
        one
        for one in yaml.safe_load_all((kept.folder / "secrets.yaml").read_text())
        if one["metadata"]["name"] == "paris-nats-leaf"
    ]
    place = tmp_path / "pod/nats-leaf"
    place.mkdir(parents=True)
    secrecy.keep(secret["stringData"]["leaf.conf"].split('"')[1])
    (place / "leaf.conf").write_text(secret["stringData"]["leaf.conf"])
    server = started(tmp_path / "pod", configuration(kept.folder))
    server.stop()
    values = yaml.safe_load((kept.folder / "nats-values.yaml").read_text())
    [mount] = values["container"]["patch"]
    assert mount["value"] == {"name": "leaf", "mountPath": "/etc/nats-leaf"}
