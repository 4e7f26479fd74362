"""A hub's folder: public keys of the sites' leaves, and seeds of the users that make or read streams (ADR 25)."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import yaml
from msgspec import Struct, structs

from operate.identities import kubernetes
from operate.identities.folder import (
    CONFIG,
    HUB_STATE,
    SECRETS,
    VALUES,
    client_files,
    holds,
    in_pod,
    left_over,
    reader_files,
    require_empty,
)
from operate.identities.leafnodes import CROSSING, STREAMS_USER, Link, hub
from operate.identities.made import Identities
from operate.identities.readers import present, streams_of
from operate.identities.server_config import ServerTls
from proto.permissions import NAMED, READER
from services.bus.nkey import Seed
from services.kernel.settings import SettingsError

Leaves = dict[str, list[str]]
"""The public keys with which a leaf may connect, by the leaf's sites joined with `+`."""


class Hub(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A hub: listen addresses for clients and for leaves, storage folder, URL for others, and public keys in force."""

    listen: str
    leaf_listen: str
    store: str
    url: str
    tls: ServerTls | None = None
    leaves: Leaves = {}
    keys: dict[str, list[str]] = {}
    room: int = 0
    """The number of leaves for which disk is reserved. A server refuses a reload with less than before."""
    streams: dict[str, int] = {}
    """Sizes, in bytes, of the common streams that are larger than in the table."""
    readers: dict[str, list[str]] = {}
    """The streams of each named reader, by its name; of one that was removed none."""
    release: kubernetes.Release | None = None
    """The chart's release, if the hub runs on Kubernetes (ADR 28)."""

    @property
    def links(self) -> dict[Link, list[str]]:
        """Return the leaves with their keys."""
        return {link_of(sites): keys for sites, keys in self.leaves.items()}


def link_of(sites: str) -> Link:
    """Return the leaf of these sites, joined with `+`; it has the name of the first site."""
    names = sites.split("+")
    return Link(names[0], tuple(names))


class KeptHub:
    """A folder with `nats.conf`, a seed for each user that makes streams, and the readers' settings."""

    def __init__(self, folder: Path, hub: Hub) -> None:
        self.folder, self.hub = folder.absolute(), hub
        self._files = Identities(self.folder, {})

    @classmethod
    def make(cls, folder: Path, hub: Hub, beside: Iterable[str] = ()) -> "KeptHub":
        """Make a hub; SettingsError if the folder holds more than its file and those `beside`."""
        require_empty(folder, beside)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        kept = cls(folder, hub)
        kept.update(hub)
        return kept

    @classmethod
    def open(cls, folder: Path) -> "KeptHub":
        """Return the hub of a folder; SettingsError if its state file is missing or invalid."""
        file = folder / HUB_STATE
        try:
            hub = msgspec.json.decode(file.read_bytes(), type=Hub)
            return cls(folder, structs.replace(hub, readers=streams_of(hub.keys, hub.readers, CROSSING)))
        except OSError as error:
            raise SettingsError(
                file,
                [("", f"cannot be read: {error.strerror}; `moretta nats apply` with a file that has `hub` makes one")],
            ) from None
        except msgspec.MsgspecError as error:
            raise SettingsError(file, [("", f"{error}; `moretta nats apply` writes this file, nobody else")]) from None

    @property
    def readers(self) -> list[str]:
        """The names of the named readers."""
        return list(present(self.hub.readers))

    def update(self, new: Hub) -> None:
        """Write all files again. Existing keys stay, and each new leaf gets a user that makes its streams.

        Removed users lose their files too.
        """
        users = [
            STREAMS_USER,
            READER,
            *(f"{NAMED}{name}" for name in present(new.readers)),
            *(link.maker for link in new.links),
        ]
        fresh = {user: Seed.new() for user in users if user not in self.hub.keys}
        keys = {user: [fresh[user].public] if user in fresh else self.hub.keys[user] for user in users}
        gone = [user for user in self.hub.keys if user not in keys]
        self.hub = structs.replace(new, keys=keys, room=max(self.hub.room, len(new.leaves)))
        for user, seed in fresh.items():  # first: a key in the state counts as one whose seed is there
            self._files.write(f"{user}.nk", seed.reveal())
        self._write()
        self._files.remove(file for user in gone for file in reader_files(user))
        self._files.remove(left_over(self.folder, keys))
        if new.release:
            self._write_secrets(new.release)
        else:
            self._files.remove((SECRETS, VALUES))

    @property
    def is_stale(self) -> bool:
        """Whether nats.conf differs from what this version makes of the folder: other rights, or an edit by hand."""
        return not holds(self.folder / CONFIG, self._config())

    def _config(self) -> str:
        one = self.hub
        config = hub(
            one.listen,
            one.leaf_listen,
            one.store,
            one.keys,
            one.links,
            room=one.room,
            tls=one.tls,
            sizes=one.streams,
            readers=one.readers,
        )
        return json.dumps(config, indent=1)

    def _write(self) -> None:
        one = self.hub
        self._files.write(HUB_STATE, msgspec.json.format(msgspec.json.encode(one)).decode())
        self._files.write(CONFIG, self._config())
        trusted = one.tls.ca_file if one.tls else None
        for user in self._users():
            self._files.write_all(client_files(one.url, READER, self.folder, trusted, user=user))
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
        values |= kubernetes.readers(one.readers)
        values |= kubernetes.streams(one.streams)
        self._files.write(VALUES, yaml.safe_dump({"nats": values}, sort_keys=False))

    def _write_secrets(self, release: kubernetes.Release) -> None:
        """Write each reader's Secret, unless its seed was moved elsewhere."""
        here = [user for user in self._users() if (self.folder / f"{user}.nk").exists()]
        found = []
        for user in here:
            tls = self.hub.tls is not None
            texts = {file: in_pod(self.folder, file, self.hub.url, tls=tls) for file in reader_files(user)}
            found.append(release.secret(kubernetes.identity(user), texts))
        if found:
            self._files.write(SECRETS, kubernetes.manifest(found))
        else:
            self._files.remove((SECRETS,))
