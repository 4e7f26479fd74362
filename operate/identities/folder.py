"""A folder of identities: what its files are called, and what may lie there beside them."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import yaml

from operate.identities.leafnodes import STREAMS_USER
from proto.permissions import NAMED, READER, inbox_name
from proto.subjects import Identity
from services.kernel.settings import SettingsError

CONFIG, INPUT = "nats.conf", "nats.yaml"
STATE, HUB_STATE = "site-state.json", "hub-state.json"
SECRETS, VALUES, OFFICIAL = "secrets.yaml", "values.yaml", "nats-values.yaml"
"""Files for Kubernetes: Secrets, values of our chart, values of NATS's own chart."""
CLIENT_IDENTITIES: tuple[Identity, ...] = ("operator", "backup", "subscriber")
"""Identities with a settings file and a context of their own. Services have environment variables over their settings
instead."""
MOUNTED = Path("/etc/moretta/identity")
"""Where the chart's toolbox has the files of its identity's Secret."""
MOUNTED_TLS = {name: f"/etc/moretta/certificates/{file}" for name, file in (
    ("ca", "ca.crt"), ("cert", "tls.crt"), ("key", "tls.key"),
)}  # fmt: skip
"""Where it has the CA of the server's certificate and its own certificate, by a context's names."""


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
    return [f"{user}.nk", f"{user}.yaml", f"{user}.json"]


def settings_file(url: str, identity: Identity, trusted: str | None = None, *, user: str | None = None) -> str:
    """Return the settings for a command that connects as `identity` to the server at `url`; they lie beside the seed.

    `trusted` is the CA file for the server's certificate; `user` is another user with that identity's rights.
    """
    name = inbox_name(identity, "MORETTA")
    found = {"url": url, "user": name, "seed_file": f"{user or name}.nk"} | ({"ca_file": trusted} if trusted else {})
    return yaml.safe_dump({"nats": found}, sort_keys=False)


def context(
    url: str, identity: Identity, folder: Path, tls: Mapping[str, str] | None = None, *, user: str | None = None
) -> str:
    """Return a context of the command `nats` (NATS ADR-21): `nats --context FILE.json`. See `settings_file`.

    That command looks for the seed from where it runs, so `folder`, in which the seed lies, is absolute. `tls` has the
    paths of `ca`, `cert` and `key`, as far as they are known. The operator's and the backup's inboxes have names that
    `nats` has to be told; a reader may use those that it makes up.
    """
    name = inbox_name(identity, "MORETTA")
    inbox = {} if name == READER else {"inbox_prefix": f"_INBOX_{name}"}
    found = {"description": f"Moretta, as {user or name}", "url": url, "nkey": str(folder / f"{user or name}.nk")}
    return json.dumps(found | dict(tls or {}) | inbox, indent=1)


def client_files(
    url: str, identity: Identity, folder: Path, trusted: str | None = None, *, user: str | None = None
) -> dict[str, str]:
    """Return the files beside a seed, by their names: settings for `moretta`, and a context for `nats`."""
    name = user or inbox_name(identity, "MORETTA")
    return {
        f"{name}.yaml": settings_file(url, identity, trusted, user=user),
        f"{name}.json": context(url, identity, folder, {"ca": trusted} if trusted else None, user=user),
    }


def in_pod(folder: Path, file: str, url: str, *, tls: bool) -> str:
    """Return the text of one of these files for a Secret: a context has paths in it, which are others in a pod."""
    user = Path(file).stem
    if Path(file).suffix != ".json":
        return (folder / file).read_text(encoding="utf-8")
    identity = next((one for one in CLIENT_IDENTITIES if one == user), READER)
    return context(url, identity, MOUNTED, MOUNTED_TLS if tls else None, user=user)
