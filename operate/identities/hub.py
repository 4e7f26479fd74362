"""A hub's folder: the public keys of the sites' leaves, the seeds of who makes and who reads its streams (ADR 25)."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import yaml
from msgspec import Struct, structs

from operate.identities import kubernetes
from operate.identities.kept import SECRETS, VALUES, reader_files, settings_file
from operate.identities.leafnodes import STREAMS_USER, Link, hub
from operate.identities.made import Identities
from operate.identities.readers import named
from operate.identities.server import Tls
from proto.permissions import NAMED, READER
from services.bus.nkey import Seed
from services.kernel.settings import SettingsError

STATE = "nats-hub.json"
Leaves = dict[str, list[str]]
"""By the sites that a leaf speaks for, joined with `+`: the public keys with which it may come in."""


class Hub(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the hub listens, for clients and for leaves, and stores; what others call it; the public keys in force."""

    listen: str
    leaf_listen: str
    store: str
    url: str
    tls: Tls | None = None
    leaves: Leaves = {}
    keys: dict[str, list[str]] = {}
    room: int = 0
    """For how many leaves disk is reserved: a server refuses to reload a configuration with less than before."""
    streams: dict[str, int] = {}
    """Bytes of the common streams that are larger than the table has them."""
    release: kubernetes.Release | None = None
    """Where it runs on Kubernetes, if it does (ADR 28)."""

    @property
    def links(self) -> dict[Link, list[str]]:
        """Return the leaves with their keys."""
        return {link_of(sites): keys for sites, keys in self.leaves.items()}


def link_of(sites: str) -> Link:
    """Return the leaf that speaks for these sites, joined with `+`; it has the name of the first."""
    names = sites.split("+")
    return Link(names[0], tuple(names))


class KeptHub:
    """A folder with `nats.conf`, a seed for each who makes streams, and the readers' settings."""

    def __init__(self, folder: Path, hub: Hub) -> None:
        self.folder, self.hub = folder.absolute(), hub
        self._files = Identities(self.folder, {})

    @classmethod
    def make(cls, folder: Path, hub: Hub, readers: Iterable[str] = ()) -> "KeptHub":
        """Make a hub with readers of these names; SettingsError if the folder has something in it."""
        if folder.exists() and any(folder.iterdir()):
            why = f"{folder} is not empty; --update changes a hub that is there, else name a folder of its own"
            raise SettingsError("moretta nats-config", [("--out", why)])
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        kept = cls(folder, hub)
        kept.update(hub, readers)
        return kept

    @classmethod
    def open(cls, folder: Path) -> "KeptHub":
        """Return the hub that is in a folder; SettingsError if it was not made here."""
        file = folder / STATE
        try:
            return cls(folder, msgspec.json.decode(file.read_bytes(), type=Hub))
        except OSError as error:
            raise SettingsError(file, [("", f"cannot be read: {error.strerror}; --hub makes one")]) from None
        except msgspec.MsgspecError as error:
            raise SettingsError(file, [("", f"{error}; `moretta nats-config` writes this file, nobody else")]) from None

    @property
    def readers(self) -> list[str]:
        """The names of the readers that have one."""
        return named(self.hub.keys)

    def update(self, new: Hub, readers: Iterable[str] | None = None) -> None:
        """Write everything anew; keys that are there stay, and a new leaf's streams get who makes them.

        `readers` are the names of all readers that have one from now on; None: those of before. Who goes, goes with
        its files.
        """
        names = self.readers if readers is None else readers
        gone = {f"{NAMED}{name}" for name in self.readers} - {f"{NAMED}{name}" for name in names}
        users = [STREAMS_USER, READER, *(f"{NAMED}{name}" for name in names), *(link.maker for link in new.links)]
        fresh = {user: Seed.new() for user in users if user not in self.hub.keys}
        keys = {user: [fresh[user].public] if user in fresh else self.hub.keys[user] for user in users}
        self.hub = structs.replace(new, keys=keys, room=max(self.hub.room, len(new.leaves)))
        self._write()
        for user, seed in fresh.items():
            self._files.write(f"{user}.nk", seed.reveal())
        self._files.remove(file for user in gone for file in reader_files(user))
        if new.release:
            self._write_secrets(new.release)

    def _write(self) -> None:
        one = self.hub
        config = hub(
            one.listen, one.leaf_listen, one.store, one.keys, one.links, room=one.room, tls=one.tls, sizes=one.streams
        )
        self._files.write(STATE, msgspec.json.format(msgspec.json.encode(one)).decode())
        self._files.write("nats.conf", json.dumps(config, indent=1))
        for user in self._users():
            self._files.write(f"{user}.yaml", settings_file(one.url, READER, user=user))
        if one.release:
            self._write_values(one.release)

    def _users(self) -> list[str]:
        return [READER, *(f"{NAMED}{name}" for name in self.readers)]

    def _write_values(self, release: kubernetes.Release) -> None:
        one = self.hub
        leaves = [{"sites": sites.split("+"), "keys": keys} for sites, keys in one.leaves.items()]
        values: dict[str, Any] = {
            "release": release.name,
            "keys": one.keys,
            "hub": {"enabled": True, "leaves": leaves, "room": one.room},
        }
        values |= {"readers": self.readers} if self.readers else {}
        values |= kubernetes.streams(one.streams)
        self._files.write(VALUES, yaml.safe_dump({"nats": values}, sort_keys=False))

    def _write_secrets(self, release: kubernetes.Release) -> None:
        """Write each reader's Secret, unless its seed was moved elsewhere."""
        here = [user for user in self._users() if (self.folder / f"{user}.nk").exists()]
        found = []
        for user in here:
            texts = {file: (self.folder / file).read_text(encoding="utf-8") for file in reader_files(user)}
            found.append(release.secret(kubernetes.identity(user), texts))
        if found:
            self._files.write(SECRETS, kubernetes.manifest(found))
