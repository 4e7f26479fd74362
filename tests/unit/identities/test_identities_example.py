"""docs/nats.example.yaml: each key of the file is in it, and it is what a server can be."""

import re
from pathlib import Path

import msgspec
import yaml

from operate.nats.nats_yaml import NatsFile, load

EXAMPLE = (Path(__file__).parents[3] / "docs/nats.example.yaml").read_text("utf-8")


def made(folder: Path, text: str) -> NatsFile:
    """Load a text as a file beside the PEM files that it names."""
    for name in re.findall(r"[\w-]+\.(?:pem|key)", text):
        (folder / name).touch()
    file = folder / "nats.yaml"
    file.write_text(text, "utf-8")
    return load(file)


def test_the_example_is_a_sites_file(tmp_path: Path):
    """As it is."""
    asked = made(tmp_path, EXAMPLE)
    assert asked.leaf is not None
    assert asked.server.tls is not None
    assert asked.server.tls.ca_file == str(tmp_path / "ca.pem")


def test_what_is_commented_out_is_a_hubs(tmp_path: Path):
    """With a key in the place of the dots, and without what a hub can't have."""
    text = re.sub(r"^# (hub:|  |kubernetes:)", r"\1", EXAMPLE, flags=re.MULTILINE).replace("UBX...", "U" + "A" * 55)
    whole = yaml.safe_load(text)
    asked = made(tmp_path, yaml.safe_dump({k: v for k, v in whole.items() if k not in {"leaf", "websocket"}}))
    assert asked.hub is not None
    assert (asked.hub.leaves[0].sites, asked.kubernetes is not None) == (["cannes"], True)
    assert set(whole) == {field.name for field in msgspec.structs.fields(NatsFile)}
