"""The Secrets of a release whose identities are made inside its cluster, by the chart's hook (ADR 49). Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from operate.identities.folder import CLIENT_IDENTITIES, MOUNTED, MOUNTED_TLS, context, settings_file
from operate.identities.kubernetes import identity, secrets_of
from operate.identities.made import PEERS
from proto.permissions import READER, user_of
from proto.subjects import Identity
from services.bus.nkey import Seed
from services.kernel.settings import SettingsError

Files = dict[str, str]
"""What a Secret holds, by file name."""
Secrets = Mapping[str, Mapping[str, str]]
"""The files of each Secret, by its name behind the release's."""
PUBLIC = "nats-keys"
"""The Secret with a file for each user, which nats-server's configuration includes: `nkey: UABC...`."""
OPEN = "no-auth-user.conf"
"""The file there that names the page as the user of browsers without a key."""
_CA = "ca.crt"
"""The file beside a settings file that has the CA of the server's certificate, where it speaks TLS."""


@dataclass(frozen=True)
class WantedRelease:
    """A release by its name, its server's URL for people, and the names of its named readers."""

    release: str
    url: str
    readers: tuple[str, ...] = ()

    def names(self) -> list[str]:
        """Return the names of all Secrets, behind the release's."""
        return [*map(identity, secrets_of(self.readers)), PUBLIC]


def completed(there: Secrets, wanted: WantedRelease) -> dict[str, Files]:
    """Return the files that are missing, by Secret, and public keys that are others. What is there stays.

    SettingsError for a Secret whose key is none.
    """
    found = _Found(there, wanted)
    keys = {name: found.key(name) for name in PEERS}
    whole = {
        identity(name): {file: _text(found, name, file, keys) for file in files}
        for name, files in secrets_of(wanted.readers).items()
    }
    whole |= {PUBLIC: _public(whole)}
    missing = {name: _without(files, there.get(name, {})) for name, files in whole.items()}
    return {name: files for name, files in missing.items() if files}


def _without(files: Files, there: Mapping[str, str]) -> Files:
    return {file: text for file, text in files.items() if there.get(file) != text}


def _public(secrets: Mapping[str, Files]) -> Files:
    """Return the public key of each seed, as the server's configuration includes it."""
    seeds = {
        file.removesuffix(".nk"): text for files in secrets.values() for file, text in files.items() if _is_seed(file)
    }
    found = {f"{user}.conf": f"nkey: {Seed(text).public}\n" for user, text in seeds.items()}
    page = found[f"{user_of('page', 'MORETTA')}.conf"]
    return found | {OPEN: page.replace("nkey:", "no_auth_user:")}


def _is_seed(file: str) -> bool:
    return file.endswith(".nk")


@dataclass(frozen=True)
class _Found:
    """What is there of what is wanted."""

    there: Secrets
    wanted: WantedRelease

    def key(self, name: Identity) -> Ed25519PrivateKey:
        """Return the private key with which a service signs, or a new one."""
        text = self.kept(name, f"{name}.key", lambda text: Ed25519PrivateKey.from_private_bytes(bytes.fromhex(text)))
        return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(text)) if text else Ed25519PrivateKey.generate()

    def kept(self, name: str, file: str, read: Callable[[str], object]) -> str | None:
        """Return what a Secret has in this file, None if it has none; SettingsError if `read` can't read it."""
        text = self.there.get(identity(name), {}).get(file)
        if text is not None:
            try:
                read(text)
            except ValueError:
                why = "is no key; delete this Secret, and the next `helm upgrade` makes a new one"
                raise SettingsError(f"Secret {self.wanted.release}-{identity(name)}", [(file, why)]) from None
        return text


def _text(found: _Found, name: str, file: str, keys: Mapping[Identity, Ed25519PrivateKey]) -> str:
    """Return a file's content: what is there, or a new key. Public keys follow from private ones."""
    for peer, key in keys.items():
        if file == f"{peer}.key":
            return key.private_bytes_raw().hex()
        if file == f"{peer}.pub":
            return key.public_key().public_bytes_raw().hex()
    if _is_seed(file):
        return found.kept(name, file, Seed) or Seed.new().reveal()
    url = found.wanted.url
    trusted = _CA if url.startswith("tls:") else None
    who, user = (name, None) if name in CLIENT_IDENTITIES else (READER, name)
    own = settings_file(url, who, trusted, user=user)
    if file.endswith(".json"):
        own = context(url, who, MOUNTED, MOUNTED_TLS if trusted else None, user=user)
    return found.kept(name, file, str) or own
