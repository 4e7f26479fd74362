"""New identities: an nkey for each NATS user, and key pairs for ingest and inference, as files in one folder."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from operate.identities.server_config import users
from proto.permissions import ACCOUNTS, inbox_name, user_of
from proto.subjects import Identity
from services.bus import NatsSettings
from services.bus.nkey import Seed
from services.bus.stream_sizes import Sizes, in_words

PEERS: dict[Identity, Identity] = {"ingest": "inference", "inference": "ingest"}
"""The services that sign their messages about frame keys, and the service that checks each one's."""


@dataclass(frozen=True)
class Identities:
    """Secrets in files that only their owner can read; `seeds` are by user name."""

    folder: Path
    seeds: Mapping[str, Seed]

    @classmethod
    def make(cls, folder: Path, kept: Mapping[str, Seed] | None = None) -> "Identities":
        """Make new identities below `folder`, but for the seeds that are `kept`, by user name."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)  # it may have existed, open to others
        made = cls(folder, {user_of(*user): Seed.new() for user in users()} | dict(kept or {}))
        for user, seed in made.seeds.items():
            made.write(f"{user}.nk", seed.reveal())
        for name in PEERS:
            key = Ed25519PrivateKey.generate()
            made.write(f"{name}.key", key.private_bytes_raw().hex())
            made.write(f"{name}.pub", key.public_key().public_bytes_raw().hex())
        return made

    @property
    def public(self) -> dict[str, list[str]]:
        """The public keys, as the server's configuration takes them."""
        return {user: [seed.public] for user, seed in self.seeds.items()}

    def replaced(self, user: str, seed: Seed) -> "Identities":
        """Return these identities with another seed of a user, whose file has it already."""
        return Identities(self.folder, {**self.seeds, user: seed})

    def write(self, name: str, text: str) -> Path:
        """Write one file, readable by its owner alone; returns its path. OSError names it, on a full disk, too."""
        path, new = self.folder / name, self.folder / f".{name}.new"
        try:
            new.unlink(missing_ok=True)
            new.touch(mode=0o600, exist_ok=False)
            new.write_text(text, encoding="utf-8")
            return new.replace(path)  # an older file may be open to others, or a link to elsewhere
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from error

    def write_all(self, files: Mapping[str, str]) -> None:
        """Write these files, by their names; see `write`."""
        for name, text in files.items():
            self.write(name, text)

    def remove(self, names: Iterable[str]) -> None:
        """Remove files, as far as they are there."""
        for name in names:
            (self.folder / name).unlink(missing_ok=True)

    def settings(self, identity: Identity, url: str) -> NatsSettings:
        """Return the connection settings of an identity."""
        main, frames = user_of(identity, "MORETTA"), user_of(identity, "MORETTA_FRAMES")
        if "MORETTA_FRAMES" not in ACCOUNTS[identity]:
            return NatsSettings(url=url, user=inbox_name(identity, "MORETTA"), seed=self.seeds[main])
        own, other = self.seeds[main], self.seeds[frames]
        return NatsSettings(url=url, user=main, seed=own, frames_user=frames, frames_seed=other)

    def environment(self, identity: Identity) -> dict[str, str]:
        """Return the environment variables with which a service reads its own secrets, and no others."""
        return environment(self.folder, identity)


def secret_files(identity: Identity) -> list[str]:
    """Return an identity's file names: its seeds and, if it has a key pair, its own key and its peer's public key."""
    found = [f"{user_of(who, account)}.nk" for who, account in users() if who == identity]
    return [*found, f"{identity}.key", f"{PEERS[identity]}.pub"] if identity in PEERS else found


def environment(folder: Path, identity: Identity) -> dict[str, str]:
    """Return the environment variables of a service whose secrets are in `folder`."""
    user = user_of(identity, "MORETTA")
    names = {"MORETTA_NATS__USER": user, "MORETTA_NATS__SEED_FILE": str(folder / f"{user}.nk")}
    if "MORETTA_FRAMES" in ACCOUNTS[identity]:
        user = user_of(identity, "MORETTA_FRAMES")
        names |= {"MORETTA_NATS__FRAMES_USER": user, "MORETTA_NATS__FRAMES_SEED_FILE": str(folder / f"{user}.nk")}
    if identity in PEERS:
        names["MORETTA_SEALING__SIGNING_KEY_FILE"] = str(folder / f"{identity}.key")
        names["MORETTA_SEALING__VERIFY_KEY_FILE"] = str(folder / f"{PEERS[identity]}.pub")
    return names


def larger(streams: Sizes) -> dict[str, str]:
    """Return variables with which the service makes streams this large: it remakes memory streams at server starts."""
    return {f"MORETTA_NATS__STREAMS__{name}": in_words(size) for name, size in streams.items()}
