"""Identities that last: a folder with the seeds, nats-server's configuration, and which public keys are in force."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import yaml
from msgspec import Struct, structs

from operate.identities import kubernetes
from operate.identities.leafnodes import LEAF_USER, STREAMS_USER, Link, leaf
from operate.identities.made import Identities, environment, larger, secret_files
from operate.identities.readers import named
from operate.identities.server import Tls, WebSocket, users
from operate.identities.server import server as configuration
from proto.permissions import ACCOUNTS, NAMED, READER, SERVICES, inbox_name, user_of
from proto.subjects import STREAM_OWNER, Identity
from services.bus.nkey import Seed
from services.kernel.settings import SettingsError

CONFIG, STATE = "nats.conf", "nats-config.json"
SECRETS, VALUES, OFFICIAL = "secrets.yaml", "values.yaml", "nats-values.yaml"
"""What is written for Kubernetes: Secrets, values of our chart, values of NATS's own chart."""
_OUTSIDE: Identity = "backup"
"""Whose seed is in no cluster: it can destroy every stream, and belongs where the backups are (ADR 32)."""
PEOPLE: tuple[Identity, ...] = ("operator", "backup", "subscriber")
"""Who has settings of their own instead of variables laid over a service's."""


class Leaf(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The hub's URLs, and the sites of this server that the hub hears of; the first names the leaf (ADR 25)."""

    hubs: list[str]
    sites: list[str]
    tls: Tls | None = None
    """What is shown to the hub, and who must vouch for it; without it, at `tls://`, whomever the system trusts."""


class Server(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the server listens and stores, what the others call it, and the public keys of each user in force."""

    listen: str
    store: str
    url: str
    tls: Tls | None = None
    leaf: Leaf | None = None
    streams: dict[str, int] = {}
    """Bytes of the streams that are larger than the table has them."""
    keys: dict[str, list[str]] = {}
    release: kubernetes.Release | None = None
    """Where it runs on Kubernetes, if it does (ADR 28)."""
    websocket: WebSocket | None = None
    """Where browsers come in, if they do (ADR 35)."""


class Kept:
    """One such folder. Whatever changes it writes the server's side first: a seed is never there before its key."""

    def __init__(self, folder: Path, server: Server) -> None:
        self.folder, self.server = folder.absolute(), server
        self._files = Identities(self.folder, {})

    @classmethod
    def make(cls, folder: Path, server: Server) -> "Kept":
        """Make fresh identities; SettingsError if there are some already."""
        if (folder / STATE).exists():
            why = (
                f"{folder} has identities already; --update keeps them and writes the rest anew, --rotate IDENTITY"
                " makes a new key beside the old one; for an installation of its own name another folder"
            )
            raise SettingsError("moretta nats-config", [("--out", why)])
        if folder.exists() and any(folder.iterdir()):  # it is closed to everybody else, which others may not expect
            raise SettingsError("moretta nats-config", [("--out", f"{folder} is not empty; name a folder of its own")])
        kept = cls(folder, structs.replace(server, keys=Identities.make(folder.absolute()).public))
        kept.write()
        kept.write_secrets()
        return kept

    @classmethod
    def open(cls, folder: Path) -> "Kept":
        """Return what is in a folder; SettingsError if it was not made here."""
        file = folder / STATE
        try:
            return cls(folder, msgspec.json.decode(file.read_bytes(), type=Server))
        except OSError as error:
            why = f"cannot be read: {error.strerror}; make identities first, without --update, --rotate and --retire"
            raise SettingsError(file, [("", why)]) from None
        except msgspec.MsgspecError as error:
            raise SettingsError(file, [("", f"{error}; `moretta nats-config` writes this file, nobody else")]) from None

    @property
    def readers(self) -> list[str]:
        """The names of the readers that have one."""
        return named(self.server.keys)

    def update(self, server: Server, readers: Iterable[str] | None = None) -> None:
        """Write everything anew for this version's table, with the same keys; users that are new to it get theirs.

        `readers` are the names of all readers that have one from now on; None: those of before. Who goes, goes with
        its files.
        """
        names = self.readers if readers is None else readers
        stay = [*(user_of(*one) for one in users()), *(f"{NAMED}{name}" for name in names)]
        stay += (STREAMS_USER, LEAF_USER) if server.leaf else ()
        known = {user: self.server.keys.get(user, []) for user in stay}
        fresh = {user: Seed.new() for user, keys in known.items() if not keys}
        keys = known | {user: [seed.public] for user, seed in fresh.items()}
        gone = [f"{NAMED}{name}" for name in self.readers if f"{NAMED}{name}" not in keys]
        self._change(structs.replace(server, keys=keys), fresh)
        self._files.remove(file for user in gone for file in reader_files(user))

    def rotate(self, names: list[str]) -> None:
        """Give these users new keys; the old ones stay in force until `retire`.

        SettingsError if some have two already.
        """
        if waiting := self._renewed(names):
            why = f"{', '.join(waiting)} still has an old key; --retire it first, or who uses it is locked out"
            raise SettingsError("moretta nats-config", [("--rotate", why)])
        fresh = {user: Seed.new() for user in names}
        keys = {user: [seed.public, *self.server.keys[user]] for user, seed in fresh.items()}
        self._change(structs.replace(self.server, keys=self.server.keys | keys), fresh)

    def retire(self, names: list[str]) -> list[str]:
        """Take the old keys of these users out of force; returns who had one.

        The key of the seed that is in the folder stays; where none is (it is in a secret store), the newest does.
        """
        old = self._renewed(names)
        keys = self.server.keys | {user: [self._present(user)] for user in old}
        self._change(structs.replace(self.server, keys=keys), {})
        return old

    def _renewed(self, names: list[str]) -> list[str]:
        """Return who of these has two keys. SettingsError if one has none: the table has grown since."""
        if fresh := [user for user in names if not self.server.keys.get(user)]:
            why = f"{', '.join(fresh)} has no key here yet; --update makes one for whoever is new to this version"
            raise SettingsError(self.folder / STATE, [("keys", why)])
        return [user for user in names if len(self.server.keys[user]) > 1]

    def _present(self, user: str) -> str:
        """Return which key of a user stays: a renewal that was broken off, by a full disk, left the old seed here."""
        newest, *others = self.server.keys[user]
        file = self.folder / f"{user}.nk"
        try:
            found = Seed(file.read_text(encoding="utf-8")).public
        except FileNotFoundError:
            return newest
        except ValueError as error:
            raise SettingsError(file, [("", f"must be {error}; remove it if the seed is kept elsewhere")]) from None
        return found if found in others else newest

    def _change(self, server: Server, fresh: dict[str, Seed]) -> None:
        self.server = server
        self.write(fresh.get(LEAF_USER))
        for user, seed in fresh.items():
            self._files.write(f"{user}.nk", seed.reveal())
        self.write_secrets()

    def _config(self, seed: Seed | None) -> dict[str, Any]:
        one = self.server
        config = configuration(one.listen, one.store, one.keys, tls=one.tls, websocket=one.websocket, sizes=one.streams)
        if one.leaf:
            link = Link(one.leaf.sites[0], tuple(one.leaf.sites))
            own = (seed or Seed((self.folder / f"{LEAF_USER}.nk").read_text(encoding="utf-8"))).reveal()
            config = leaf(config, link, one.leaf.hubs, own, one.keys, tls=one.leaf.tls)
        return config

    def write(self, seed: Seed | None = None) -> None:
        """Write all but the seeds. `seed` is the leaf's, if it is another one than in the folder."""
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
        for name in PEOPLE:
            self._files.write(f"{name}.yaml", settings_file(self.server.url, name, trusted))
        for reader in self.readers:
            user = f"{NAMED}{reader}"
            self._files.write(f"{user}.yaml", settings_file(self.server.url, READER, trusted, user=user))

    def _write_values(self, config: dict[str, Any]) -> None:
        """Write what the charts get: public keys, and a leaf's hub and sites. No secret is in it."""
        one = self.server
        if one.release is None:
            return
        values: dict[str, Any] = {
            "release": one.release.name,
            "keys": {user: keys for user, keys in one.keys.items() if user != LEAF_USER},
        }
        values |= {"readers": self.readers} if self.readers else {}
        values |= kubernetes.streams(one.streams)
        theirs = kubernetes.official(config)
        if one.leaf:
            secret = one.release.leaf_secret("")["metadata"]["name"]
            values["leaf"] = {"hubs": one.leaf.hubs, "sites": one.leaf.sites, "existingSecret": secret}
            theirs = kubernetes.official_leaf(theirs, config["leafnodes"], secret)
        self._files.write(VALUES, yaml.safe_dump({"nats": values}, sort_keys=False))
        self._files.write(OFFICIAL, yaml.safe_dump(theirs, sort_keys=False))

    def write_secrets(self) -> None:
        """Write the Secrets of all whose files are here; see `elsewhere`."""
        if (release := self.server.release) is None:
            return
        left_out = {_OUTSIDE, *self.elsewhere}
        found = [
            release.secret(kubernetes.identity(name), {file: self._read(file) for file in files})
            for name, files in self._secrets().items()
            if name not in left_out
        ]
        found += [release.leaf_secret(self._read(f"{LEAF_USER}.nk"))] if self.server.leaf else []
        self._files.write(SECRETS, kubernetes.manifest(found))

    @property
    def elsewhere(self) -> list[str]:
        """Whose files are not all here: they were moved to a secret store, and are in no Secret that is written."""
        found = self._secrets().items()
        return [name for name, files in found if not all((self.folder / file).exists() for file in files)]

    def _secrets(self) -> dict[str, list[str]]:
        """Return the files of each that has a Secret of its own: identities, and readers with a name."""
        own: dict[str, list[str]] = {
            name: secret_files(name) + ([f"{name}.yaml"] if name in PEOPLE else []) for name in ACCOUNTS
        }
        return own | {user: reader_files(user) for user in (f"{NAMED}{name}" for name in self.readers)}

    def _read(self, file: str) -> str:
        return (self.folder / file).read_text(encoding="utf-8")


def reader_files(user: str) -> list[str]:
    """Return the names of the files of a reader with a name."""
    return [f"{user}.nk", f"{user}.yaml"]


def settings_file(url: str, identity: Identity, trusted: str | None = None, *, user: str | None = None) -> str:
    """Return the settings with which a command as `identity`, beside its seed, reaches the server at `url`.

    `trusted` is the file of who vouches for the server; `user` is another one with that identity's rights.
    """
    name = inbox_name(identity, "MAIN")
    found = {"url": url, "user": name, "seed_file": f"{user or name}.nk"} | ({"ca_file": trusted} if trusted else {})
    return yaml.safe_dump({"nats": found}, sort_keys=False)
