"""A folder of identities: what its files are called, and what may lie there beside them."""

from collections.abc import Iterable
from pathlib import Path

import yaml

from operate.identities.leafnodes import STREAMS_USER
from proto.permissions import NAMED, inbox_name
from proto.subjects import Identity
from services.kernel.settings import SettingsError

CONFIG, INPUT = "nats.conf", "nats.yaml"
STATE, HUB_STATE = "site-state.json", "hub-state.json"
SECRETS, VALUES, OFFICIAL = "secrets.yaml", "values.yaml", "nats-values.yaml"
"""Files for Kubernetes: Secrets, values of our chart, values of NATS's own chart."""
CLIENT_IDENTITIES: tuple[Identity, ...] = ("operator", "backup", "subscriber")
"""Identities with a settings file of their own. Services have environment variables over their settings instead."""


def require_empty(folder: Path, beside: Iterable[str] = ()) -> None:
    """Raise SettingsError if a folder holds more than its file and the files `beside`: it will be closed to others."""
    allowed = {INPUT, *beside}
    found = [one.name for one in folder.iterdir() if one.name not in allowed] if folder.exists() else []
    if any(name.endswith(".nk") for name in found):
        lacking = f"neither {STATE} nor {HUB_STATE}"
        why = f"has keys and {lacking}: it was left half made, and no server knows these keys; remove them"
        raise SettingsError(folder, [("", why)])
    if found:
        raise SettingsError(folder, [("", f"is not empty; name a folder of its own, with nothing but {INPUT} in it")])


def left_over(folder: Path, users_there: Iterable[str]) -> list[str]:
    """Return the files of readers and leaves that were left behind when a change broke off."""
    there = {*users_there}
    found = [one.name for one in folder.iterdir() if one.name.startswith((NAMED, f"{STREAMS_USER}-"))]
    return [name for name in found if Path(name).stem not in there]


def holds(file: Path, text: str) -> bool:
    """Return whether a file is there with this text."""
    return file.is_file() and file.read_text(encoding="utf-8") == text


def reader_files(user: str) -> list[str]:
    """Return the names of a named reader's files."""
    return [f"{user}.nk", f"{user}.yaml"]


def settings_file(url: str, identity: Identity, trusted: str | None = None, *, user: str | None = None) -> str:
    """Return the settings for a command that connects as `identity` to the server at `url`; they lie beside the seed.

    `trusted` is the CA file for the server's certificate; `user` is another user with that identity's rights.
    """
    name = inbox_name(identity, "MORETTA")
    found = {"url": url, "user": name, "seed_file": f"{user or name}.nk"} | ({"ca_file": trusted} if trusted else {})
    return yaml.safe_dump({"nats": found}, sort_keys=False)
