"""A site's folder with lasting identities: seeds, nats-server's configuration, and the public keys in force."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import yaml
from msgspec import Struct, structs

from operate.identities import kubernetes
from operate.identities.folder import (
    CLIENT_IDENTITIES,
    CONFIG,
    OFFICIAL,
    SECRETS,
    STATE,
    VALUES,
    client_files,
    holds,
    in_pod,
    left_over,
    reader_files,
    require_empty,
)
from operate.identities.leafnodes import LEAF_USER, STREAMS_USER, Link, leaf
from operate.identities.made import Identities, environment, larger
from operate.identities.readers import present, streams_of
from operate.identities.server_config import ServerTls, WebSocket, users
from operate.identities.server_config import server as configuration
from proto.permissions import NAMED, READER, SERVICES, heard_by, user_of
from proto.subjects import STREAM_OWNER, Identity
from services.bus.nkey import Seed
from services.kernel.settings import SettingsError

_OUTSIDE: Identity = "backup"
"""The identity whose seed is in no cluster: it can destroy every stream, and belongs where the backups are (ADR 32)."""
_REMOVED = ("mqtt",)
"""Fields of a state that an earlier version wrote, and that mean nothing any more (ADR 48)."""


class Leaf(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The hub's URLs, and the sites of this server whose data the hub gets; the first names the leaf (ADR 25)."""

    hubs: list[str]
    sites: list[str]
    tls: ServerTls | None = None
    """The certificate for the hub, and the CA of the hub's certificate. Without it, `tls://` uses the system's CAs."""


class ServerEntry(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A server: listen address, storage folder, URL for others, and each user's public keys in force."""

    listen: str
    store: str
    url: str
    tls: ServerTls | None = None
    leaf: Leaf | None = None
    streams: dict[str, int] = {}
    """Sizes, in bytes, of the streams that are larger than in the table."""
    keys: dict[str, list[str]] = {}
    release: kubernetes.Release | None = None
    """The chart's release, if the server runs on Kubernetes (ADR 28)."""
    websocket: WebSocket | None = None
    """The WebSocket listener for browsers, if there is one (ADR 35)."""
    readers: dict[str, list[str]] = {}
    """The streams of each named reader, by its name; of one that was removed none."""


class IdentityFolder:
    """A site's folder. `rotate` writes the server's side first, so that no seed is in use before its public key is;
    `replace` does so too, and removes the old keys at the end.

    `update` writes the seeds of new users first: a public key in the state means that its seed was written.
    """

    def __init__(self, folder: Path, server: ServerEntry) -> None:
        self.folder, self.server = folder.absolute(), server
        self._files = Identities(self.folder, {})

    @classmethod
    def make(cls, folder: Path, server: ServerEntry, beside: Iterable[str] = ()) -> "IdentityFolder":
        """Make new identities in a folder; SettingsError if it holds more than its file and the files `beside`."""
        require_empty(folder, beside)
        kept = cls(folder, structs.replace(server, keys=Identities.make(folder.absolute()).public))
        kept.write()
        kept.write_secrets()
        return kept

    @classmethod
    def open(cls, folder: Path) -> "IdentityFolder":
        """Return the state of a folder; SettingsError if its state file is missing or invalid."""
        file = folder / STATE
        try:
            return cls(folder, _server(file.read_bytes()))
        except OSError as error:
            why = f"cannot be read: {error.strerror}; `moretta nats apply` makes identities first"
            raise SettingsError(file, [("", why)]) from None
        except msgspec.MsgspecError as error:
            raise SettingsError(file, [("", f"{error}; `moretta nats apply` writes this file, nobody else")]) from None

    @property
    def readers(self) -> list[str]:
        """The names of the named readers."""
        return list(present(self.server.readers))

    def update(self, server: ServerEntry) -> None:
        """Write all files again for this version's table. Existing keys stay, and new users get keys.

        Removed users lose their files too.
        """
        stay = [*(user_of(*one) for one in users()), *(f"{NAMED}{name}" for name in present(server.readers))]
        stay += (STREAMS_USER, LEAF_USER) if server.leaf else ()
        known = {user: self.server.keys.get(user, []) for user in stay}
        fresh = {user: Seed.new() for user, keys in known.items() if not keys}
        keys = known | {user: [seed.public] for user, seed in fresh.items()}
        gone = [user for user in self.server.keys if user not in keys]
        # Seeds first: a key in the state counts as one whose seed is there. Nobody uses these new seeds yet.
        for user, seed in fresh.items():
            self._files.write(f"{user}.nk", seed.reveal())
        self._change(structs.replace(server, keys=keys), {})
        self._files.remove(file for user in gone for file in reader_files(user))
        self._files.remove(left_over(self.folder, keys))

    def rotate(self, names: list[str]) -> None:
        """Give these users new keys; the old ones stay in force until `retire`.

        SettingsError if some have two already.
        """
        if waiting := self._renewed(names):
            why = f"{', '.join(waiting)} still has an old key; `retire` it first, or who uses it is locked out"
            raise SettingsError("moretta nats rotate", [("", why)])
        fresh = {user: Seed.new() for user in names}
        keys = {user: [seed.public, *self.server.keys[user]] for user, seed in fresh.items()}
        self._change(structs.replace(self.server, keys=self.server.keys | keys), fresh)

    def replace(self, names: list[str]) -> None:
        """Give these users new keys, and put all older ones out of force: one was stolen.

        The old ones go when all seeds are written: broken off (full disk) it is like a renewal, and may be run again.
        """
        self._renewed(names)
        fresh = {user: Seed.new() for user in names}
        both = {user: [seed.public, *self.server.keys[user]] for user, seed in fresh.items()}
        self._change(structs.replace(self.server, keys=self.server.keys | both), fresh)
        alone = {user: [seed.public] for user, seed in fresh.items()}
        self._change(structs.replace(self.server, keys=self.server.keys | alone), {})

    def retire(self, names: list[str]) -> list[str]:
        """Remove the old keys of these users; return the users that had one.

        The key of the seed in the folder stays. If no seed is there (it is in a secret store), the newest key stays.
        """
        old = self._renewed(names)
        keys = self.server.keys | {user: [self._present(user)] for user in old}
        self._change(structs.replace(self.server, keys=keys), {})
        return old

    def _renewed(self, names: list[str]) -> list[str]:
        """Return those of these users that have two keys. SettingsError if a user has none: the table has grown."""
        everybody = dict.fromkeys([*names, *(user_of(*one) for one in users())])
        if fresh := [user for user in everybody if not self.server.keys.get(user)]:
            why = f"{', '.join(fresh)} has no key here yet; `moretta nats apply` makes one for who is new"
            raise SettingsError(self.folder / STATE, [("keys", why)])
        return [user for user in names if len(self.server.keys[user]) > 1]

    def _present(self, user: str) -> str:
        """Return the key of a user that stays: the old one if a renewal broke off (full disk) and left its seed."""
        newest, *others = self.server.keys[user]
        file = self.folder / f"{user}.nk"
        try:
            found = Seed(file.read_text(encoding="utf-8")).public
        except FileNotFoundError:
            return newest
        except ValueError as error:
            raise SettingsError(file, [("", f"must be {error}; remove it if the seed is kept elsewhere")]) from None
        return found if found in others else newest

    def _change(self, server: ServerEntry, fresh: dict[str, Seed]) -> None:
        self.server = server
        self.write(fresh.get(LEAF_USER))
        for user, seed in fresh.items():
            self._files.write(f"{user}.nk", seed.reveal())
        self.write_secrets()

    @property
    def is_stale(self) -> bool:
        """Whether nats.conf differs from what this version makes of the folder: other rights, or an edit by hand."""
        here = all(user_of(*one) in self.server.keys for one in users())  # users new to this version are told anyway
        return here and not holds(self.folder / CONFIG, json.dumps(self._config(None), indent=1))

    def _config(self, seed: Seed | None) -> dict[str, Any]:
        one = self.server
        config = configuration(
            one.listen,
            one.store,
            one.keys,
            tls=one.tls,
            websocket=one.websocket,
            sizes=one.streams,
            readers=one.readers,
        )
        if one.leaf:
            link = Link(one.leaf.sites[0], tuple(one.leaf.sites))
            own = (seed or self._leaf_seed()).reveal()
            config = leaf(config, link, one.leaf.hubs, own, one.keys, tls=one.leaf.tls)
        return config

    def _leaf_seed(self) -> Seed:
        """Return the leaf's seed, which nats.conf contains; SettingsError if it is not here."""
        file = self.folder / f"{LEAF_USER}.nk"
        try:
            return Seed(file.read_text(encoding="utf-8"))
        except OSError as error:
            why = f"cannot be read: {error.strerror}; nats.conf has it in it: put it back, or `moretta nats rotate` it"
            raise SettingsError(file, [("", why)]) from None

    def write(self, seed: Seed | None = None) -> None:
        """Write all files but the seeds. `seed` is the leaf's, if it differs from the one in the folder."""
        config = self._config(seed)
        self._files.write(STATE, msgspec.json.format(msgspec.json.encode(self.server)).decode())
        self._files.write(CONFIG, json.dumps(config, indent=1))
        self._write_values(config)
        trusted = self.server.tls.ca_file if self.server.tls else None
        for name in SERVICES:
            named = {"MORETTA_NATS__CA_FILE": trusted} if trusted else {}
            named |= larger(self.server.streams) if name == STREAM_OWNER else {}
            overlay = {"MORETTA_NATS__URL": self.server.url, **named} | environment(self.folder, name)
            self._files.write(f"{name}.env", "".join(f"{key}={value}\n" for key, value in overlay.items()))
        for name in CLIENT_IDENTITIES:
            self._files.write_all(client_files(self.server.url, name, self.folder, trusted))
        for reader in self.readers:
            user = f"{NAMED}{reader}"
            self._files.write_all(client_files(self.server.url, READER, self.folder, trusted, user=user))

    def _write_values(self, config: dict[str, Any]) -> None:
        """Write the values for the charts: public keys, and a leaf's hub and sites. They hold no secret."""
        one = self.server
        if one.release is None:
            return
        values: dict[str, Any] = {
            "release": one.release.name,
            "keys": {user: keys for user, keys in one.keys.items() if user != LEAF_USER},
        }
        values |= kubernetes.readers(one.readers)
        values |= kubernetes.streams(one.streams)
        theirs = kubernetes.official(config)
        if one.leaf:
            secret = one.release.leaf_secret("")["metadata"]["name"]
            values["leaf"] = {"hubs": one.leaf.hubs, "sites": one.leaf.sites, "existingSecret": secret}
            theirs = kubernetes.official_leaf(theirs, config["leafnodes"], secret)
        self._files.write(VALUES, yaml.safe_dump({"nats": values}, sort_keys=False))
        self._files.write(OFFICIAL, yaml.safe_dump(theirs, sort_keys=False))

    def write_secrets(self) -> None:
        """Write the Secret of each identity and named reader whose files are here; see `elsewhere`."""
        if (release := self.server.release) is None:
            self._files.remove((SECRETS, VALUES, OFFICIAL))
            return
        left_out = {_OUTSIDE, *self.elsewhere}
        found = [
            release.secret(kubernetes.identity(name), {file: self._in_pod(file) for file in files})
            for name, files in kubernetes.secrets_of(self.readers).items()
            if name not in left_out
        ]
        found += [release.leaf_secret(self._in_pod(f"{LEAF_USER}.nk"))] if self.server.leaf else []
        self._files.write(SECRETS, kubernetes.manifest(found))

    @property
    def elsewhere(self) -> list[str]:
        """Identities and named readers whose files were moved to a secret store: no Secret is written for them."""
        found = kubernetes.secrets_of(self.readers).items()
        return [name for name, files in found if not all((self.folder / file).exists() for file in files)]

    def _in_pod(self, file: str) -> str:
        return in_pod(self.folder, file, self.server.url, tls=self.server.tls is not None)


def _server(state: bytes) -> ServerEntry:
    """Return the server of a state file, without fields that were removed; MsgspecError if it is invalid."""
    found = msgspec.json.decode(state)
    if isinstance(found, dict):
        found = {name: value for name, value in found.items() if name not in _REMOVED}
    server = msgspec.convert(found, ServerEntry)
    return structs.replace(server, readers=streams_of(server.keys, server.readers, heard_by(READER)))
