"""Identities for Kubernetes: a Secret for each, and values with public keys for the chart (ADR 28). Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

import yaml
from msgspec import Struct

from operate.identities.folder import CLIENT_IDENTITIES, reader_files
from operate.identities.leafnodes import LEAF_USER
from operate.identities.made import secret_files
from operate.identities.readers import Streams
from proto.permissions import ACCOUNTS, GIVEN, NAMED
from services.bus.stream_sizes import Sizes, in_words

Values = dict[str, Any]
CHART = "moretta"
_LONGEST = 40
"""Maximum length of the prefix of the chart's names, so that a name with its ending fits into DNS."""
LEAF_FILE = "leaf.conf"
"""The file that the server's configuration includes: it holds the configuration's only secret."""


class Release(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A Helm release and its namespace. Default: the namespace of the kubectl or helm command."""

    name: str
    namespace: str | None = None

    @property
    def fullname(self) -> str:
        """The prefix of the names of the chart's own objects, as its `moretta.fullname` makes it."""
        whole = self.name if CHART in self.name else f"{self.name}-{CHART}"
        return whole[:_LONGEST].removesuffix("-")

    def url(self, *, tls: bool) -> str:
        """Return the URL of the chart's server."""
        host = f"{self.fullname}-nats" + (f".{self.namespace}.svc" if self.namespace else "")
        return f"{'tls' if tls else 'nats'}://{host}:4222"

    def secret(self, what: str, files: Mapping[str, str]) -> Values:
        """Return the Secret `<release>-<what>` with these files in it.

        It lacks the label `app.kubernetes.io/instance`, by which Argo CD before 3 prunes what it does not render.
        """
        place = {"namespace": self.namespace} if self.namespace else {}
        labels = {
            "app.kubernetes.io/name": CHART,
            "app.kubernetes.io/component": what,
            "moretta/release": self.name,
        }
        metadata = {"name": f"{self.name}-{what}", **place, "labels": labels}
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": metadata,
            "type": "Opaque",
            "stringData": dict(files),
        }

    def leaf_secret(self, seed: str) -> Values:
        """Return the Secret with which the server connects to its hub."""
        return self.secret(f"nats-{LEAF_USER}", {LEAF_FILE: f'nkey: "{seed}"\n'})


def secrets_of(readers: Iterable[str]) -> dict[str, list[str]]:
    """Return the file names of each Secret: one for each identity, by its name, and each reader, by its user."""
    found: dict[str, list[str]] = {
        name: secret_files(name) + ([f"{name}.yaml", f"{name}.json"] if name in CLIENT_IDENTITIES else [])
        for name in ACCOUNTS
    }
    return found | {user: reader_files(user) for user in (f"{NAMED}{name}" for name in readers)}


def readers(streams: Streams) -> Values:
    """Return the chart's value `readers`, empty if there are none: a name, with its streams if they are others."""
    found = [name if tuple(mine) == GIVEN else {"name": name, "streams": [*mine]} for name, mine in streams.items()]
    return {"readers": found} if found else {}


def streams(sizes: Sizes) -> Values:
    """Return the chart's value `streams`, with sizes as Kubernetes quantities; empty if there are no sizes."""
    quantities = {name: in_words(size).removesuffix("B") for name, size in sizes.items()}
    return {"streams": quantities} if quantities else {}


def identity(name: str) -> str:
    """Return the name of an identity's Secret, without the release's name before it."""
    return f"identity-{name}"


def manifest(objects: Iterable[Values]) -> str:
    """Return objects as a file for `kubectl apply -f`."""
    return yaml.safe_dump_all(objects, sort_keys=False, explicit_start=True)


def official(config: Values) -> Values:
    """Return a server's configuration as values of the chart `nats` of nats-io/k8s, which merges them into its own.

    That chart itself sets listen address, storage and certificates. Numbers are written `<< 1 >>`: Helm would write
    large numbers with an exponent.
    """
    own = ("listen", "jetstream", "tls", "leafnodes")
    rest = {name: value for name, value in config.items() if name not in own}
    store = {name: value for name, value in config["jetstream"].items() if name != "store_dir"}
    return {"config": {"jetstream": {"merge": _raw(store)}, "merge": _raw(rest)}}


def _raw(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _raw(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_raw(one) for one in value]
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return f"<< {value} >>" if is_number else value


def official_leaf(values: Values, leafnodes: Values, secret: str) -> Values:
    """Return these values with a leaf. Its seed comes from a Secret that is mounted beside the configuration."""
    [remote] = leafnodes["remotes"]
    entry = {name: one for name, one in remote.items() if name not in {"nkey", "tls"}}
    block = leafnodes | {"remotes": [entry | {"leaf$include": f"../nats-leaf/{LEAF_FILE}"}]}
    values["config"]["merge"]["leafnodes"] = _raw(block)
    mount = {"name": "leaf", "mountPath": "/etc/nats-leaf"}
    volume = {"name": "leaf", "secret": {"secretName": secret}}
    return values | {
        "container": {"patch": [{"op": "add", "path": "/volumeMounts/-", "value": mount}]},
        "podTemplate": {"patch": [{"op": "add", "path": "/spec/volumes/-", "value": volume}]},
    }
