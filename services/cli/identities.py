"""Identities made at start for one box: a password per NATS user, and key pairs for ingest and inference."""

import secrets
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from proto.permissions import ACCOUNTS, user_of
from proto.subjects import Identity

_PEERS: dict[Identity, Identity] = {"ingest": "inference", "inference": "ingest"}
"""Who signs what it says about frame keys, and who checks it."""


@dataclass(frozen=True)
class Identities:
    """Secrets of one box, in files that only their owner can read."""

    folder: Path
    passwords: dict[str, str]

    @classmethod
    def make(cls, folder: Path) -> "Identities":
        """Make fresh ones below `folder`."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)  # it may have been there
        users = [user_of(identity, account) for identity, accounts in ACCOUNTS.items() for account in accounts]
        made = cls(folder, {user: secrets.token_urlsafe(24) for user in users})
        for user, password in made.passwords.items():
            made.write(f"{user}.password", password)
        for name in _PEERS:
            key = Ed25519PrivateKey.generate()
            made.write(f"{name}.key", key.private_bytes_raw().hex())
            made.write(f"{name}.pub", key.public_key().public_bytes_raw().hex())
        return made

    def write(self, name: str, text: str) -> Path:
        """Write one secret, readable by its owner alone; returns its path."""
        path = self.folder / name
        path.unlink(missing_ok=True)  # one that others may read, or a link to elsewhere
        path.touch(mode=0o600, exist_ok=False)
        path.write_text(text, encoding="utf-8")
        return path

    def environment(self, identity: Identity) -> dict[str, str]:
        """Return the environment overlay by which a service reads its own secrets, and no others."""
        names = {"MORETTA_NATS__USER": user_of(identity, "MAIN")}
        names["MORETTA_NATS__PASSWORD_FILE"] = str(self.folder / f"{user_of(identity, 'MAIN')}.password")
        if "FRAMES" in ACCOUNTS[identity]:
            user = user_of(identity, "FRAMES")
            names["MORETTA_NATS__FRAMES_USER"] = user
            names["MORETTA_NATS__FRAMES_PASSWORD_FILE"] = str(self.folder / f"{user}.password")
        if identity in _PEERS:
            names["MORETTA_SEALING__SIGNING_KEY_FILE"] = str(self.folder / f"{identity}.key")
            names["MORETTA_SEALING__VERIFY_KEY_FILE"] = str(self.folder / f"{_PEERS[identity]}.pub")
        return names
