"""The commands to run after `moretta nats apply`, `rotate`, `retire` or `replace`, so that nobody is locked out."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from operate.identities import IdentityFolder, KeptHub, Release
from operate.identities.folder import SECRETS, VALUES
from operate.identities.kubernetes import identity as secret_of
from operate.identities.leafnodes import LEAF_USER, STREAMS_USER
from operate.identities.made import PEERS
from operate.nats.apply import ALL, Applied
from proto.permissions import ACCOUNTS, NAMED, SERVICES
from proto.subjects import Identity

_COMMAND = "moretta nats"
AGAIN = (
    "the same a few seconds later if a reader or the page is new to a running nats-server:"
    " until then nobody answers what they ask"
)
"""Measured with nats-server 2.15.1: an account that a reload adds gets its service imports only at the next reload."""
_RELOAD = (
    "nats-server --signal reload   (or SIGHUP) after {folder}/nats.conf is where the server reads it;"
    " its log then says `Reloaded server configuration`, or after `Failed to reload` nothing has changed: restart it"
)
_START = (
    "restart nats-server with {folder}/nats.conf: it refuses to reload a file with this change;"
    " its log then says `Server is ready`"
)
_BOTH = "   (both keys; the server reads them within two minutes, without a restart)"
_OUT = "   (who has the old key is thrown out, services too, until they have the new one)"
_OUTLASTS = "restart its nats-server: a connection with the old key outlasts a reload"
_RESTART = (
    "restart the services of these identities, one by one, with their new .nk files;"
    " each logs `connected to NATS`, and an old key `Authorization Violation`"
)

# --- after `apply` --------------------------------------------------------------------------------------------------


def applied_steps(kept: IdentityFolder | KeptHub, done: Applied) -> list[str]:
    """Return the commands to run after `apply`."""
    if release := _release_of(kept):
        found = _upgraded(kept, release)
        if isinstance(kept, KeptHub) and done.needs_start:
            found.append(_restart_server(release))
        found += [f"kubectl delete secret{_at(release)} {release.name}-{secret_of(NAMED + name)}" for name in done.gone]
        return [*found, *_crossing(kept)]
    found = [_RELOAD.format(folder=kept.folder), AGAIN]
    if done.is_fresh:
        services = [] if isinstance(kept, KeptHub) else ["each service with the variables of its .env file"]
        found = [f"nats-server -c {kept.folder}/nats.conf", *services]
    elif done.needs_start:
        found = [_START.format(folder=kept.folder)]
    if isinstance(kept, IdentityFolder) and kept.server.tls:
        found.append("nats.client_cert_file and client_key_file in each service's settings: the server asks for them")
    if isinstance(kept, IdentityFolder) and kept.server.streams:
        found += _changed_sizes(kept.folder)
    return [*found, *_crossing(kept)]


def _release_of(kept: IdentityFolder | KeptHub) -> Release | None:
    return kept.hub.release if isinstance(kept, KeptHub) else kept.server.release


def _upgraded(kept: IdentityFolder | KeptHub, release: Release) -> list[str]:
    """Return the commands that bring a folder's Secrets and values to its release."""
    left_out = [] if isinstance(kept, KeptHub) else _elsewhere(kept)
    return [_apply_secrets(kept, release), _upgrade(kept, release), *left_out]


def _changed_sizes(folder: Path) -> list[str]:
    larger = f"{_COMMAND} streams {folder}   (makes the streams as large once the server has its limits)"
    return [f"{larger}, and restart aggregate with aggregate.env, or a stream in memory gets small again"]


def _crossing(kept: IdentityFolder | KeptHub) -> list[str]:
    """Return the steps that let windows cross to the hub: at a hub, and at a site with a leaf."""
    streams = f"{_COMMAND} streams {kept.folder}"
    if isinstance(kept, KeptHub):
        return [f"{streams} -c FILE" if kept.hub.release else f"{streams}   (again after each change)"]
    if kept.server.leaf is None:
        return []
    what = "(makes what the hub copies from)"
    if kept.server.release:
        return [_at_hub(kept), f"{streams}   {what}, with -c FILE naming the server as it is reached from here"]
    secret = (
        f"nats.conf has the leaf's seed in it (nats-server reads it nowhere else): keep it as secret as {LEAF_USER}.nk"
    )
    return [secret, _at_hub(kept), f"{streams}   {what}"]


# --- after `rotate`, `retire` and `replace` ---------------------------------------------------------------------------

Action = Literal["rotate", "retire", "replace"]
Kind = Literal["service", "client", "streams", "leaf"]
"""Whose keys were renewed: services' (or everybody's), a person's, a reader's or the page's, or one of a leaf's two."""


@dataclass(frozen=True)
class _Renewed:
    """The keys of `who` in a folder were renewed by `action`."""

    kept: IdentityFolder
    action: Action
    who: str

    @property
    def kind(self) -> Kind:
        if self.who == LEAF_USER:
            return "leaf"
        if self.who == STREAMS_USER:
            return "streams"
        is_client = self.who.startswith(NAMED) or (self.who in ACCOUNTS and self.who not in SERVICES)
        return "client" if is_client else "service"


_Step = Callable[[_Renewed], list[str]]


def renewed_steps(kept: IdentityFolder, action: Action, who: str) -> list[str]:
    """Return the commands to run after `rotate`, `retire` or `replace` of the keys of `who`."""
    renewed = _Renewed(kept, action, who)
    steps = [line for step in _STEPS[action, renewed.kind] for line in step(renewed)]
    return steps + (_elsewhere(kept) if kept.server.release and renewed.kind != "leaf" else [])


def _server(renewed: _Renewed) -> list[str]:
    """Return how the server takes the keys that are in force now."""
    kept, action = renewed.kept, renewed.action
    out = _OUT if action == "replace" else ""
    if release := kept.server.release:
        note = _BOTH if action == "rotate" else out
        secrets = [] if action == "retire" else [_apply_secrets(kept, release)]
        return [f"{_upgrade(kept, release)}{note}", *secrets]
    listener = kept.server.websocket
    # Browsers without a key are the page's user, by its newest key: the server refuses a reload that changes it.
    is_changed = listener is not None and listener.is_open and action != "retire" and renewed.who in {ALL, "page"}
    return [(_START if is_changed else _RELOAD).format(folder=kept.folder) + out]


def _services(renewed: _Renewed) -> list[str]:
    """Return how the services come to use their new keys."""
    release = renewed.kept.server.release
    if release is None:
        return [_RESTART]
    which = f"app.kubernetes.io/instance={release.name},app.kubernetes.io/component!=nats"
    return [f"kubectl rollout restart{_at(release)} deployment,statefulset -l {which}"]


def _toolbox(renewed: _Renewed) -> list[str]:
    """Return how the pod with the operator's seed, which it read at its start, reads the new one."""
    release = renewed.kept.server.release
    if renewed.who != "operator" or release is None:
        return []
    which = f"app.kubernetes.io/instance={release.name},app.kubernetes.io/component=toolbox"
    return [f"kubectl rollout restart{_at(release)} deployment -l {which}   (where toolbox.enabled is true)"]


def _hand_over(renewed: _Renewed) -> list[str]:
    """Return which seed a person gets."""
    file = renewed.kept.folder / renewed.who
    if renewed.action == "rotate":
        return [f"hand over {file}.nk: the seed of before is good until the next step"]
    seen = "the page opens" if renewed.who == "page" else f"`moretta doctor -c {file}.yaml` connects"
    return [f"hand over {file}.nk: {seen} with it"]


def _retire(renewed: _Renewed) -> list[str]:
    """Return how the former key is put out of force."""
    return [f"{_COMMAND} retire {renewed.kept.folder} {ALL if renewed.kind == 'service' else renewed.who}"]


def _end_consumers(renewed: _Renewed) -> list[str]:
    """Return how what a thief left behind with a reader's old key is removed."""
    if not renewed.who.startswith(NAMED):
        return []
    ends = f"{_COMMAND} streams {renewed.kept.folder} --end-consumers {renewed.who.removeprefix(NAMED)}"
    return [f"{ends}   (durable consumers outlast a key; the reader's programs make theirs again)"]


def _pairs(renewed: _Renewed) -> list[str]:
    """Return what to do about services' keys that are none of NATS's, and so were not replaced."""
    return [_pair(renewed.kept, name) for name in PEERS if renewed.who in {ALL, name}]


def _pair(kept: IdentityFolder, name: Identity) -> str:
    whose = f"{kept.folder / name}.key is as before: if it was stolen, too, make it and {name}.pub again"
    return f'{whose}, as docs/operations.md "An identity is replaced" shows, and give {PEERS[name]} the latter'


def _leaf_apart(renewed: _Renewed) -> list[str]:
    """Return a reminder: `all` leaves out the keys of a leaf."""
    if renewed.who != ALL or not renewed.kept.server.leaf:
        return []
    done = "renewed" if renewed.action == "rotate" else "replaced"
    return [f"{LEAF_USER} and {STREAMS_USER} are {done} by themselves, each by its name"]


def _hub(renewed: _Renewed) -> list[str]:
    """Return how the hub takes the leaf's keys, which are in force there alone."""
    there = "a reload there" if renewed.action == "rotate" else _OUTLASTS
    return [f"{_at_hub(renewed.kept)}, and {there}"]


def _leaf_server(renewed: _Renewed) -> list[str]:
    """Return how the leaf's server starts with its new key."""
    kept = renewed.kept
    if release := kept.server.release:
        return [f"{_apply_secrets(kept, release)}; {_upgrade(kept, release)}; its server restarts"]
    return [_START.format(folder=kept.folder)]


_STEPS: dict[tuple[Action, Kind], tuple[_Step, ...]] = {
    ("rotate", "service"): (_server, _services, _retire, _leaf_apart),
    ("rotate", "client"): (_server, _toolbox, _hand_over, _retire),
    ("rotate", "streams"): (_server, _retire),
    ("rotate", "leaf"): (_hub, _leaf_server, _retire),
    ("retire", "service"): (_server,),
    ("retire", "client"): (_server,),
    ("retire", "streams"): (_server,),
    ("retire", "leaf"): (_hub,),
    ("replace", "service"): (_server, _pairs, _services, _leaf_apart),
    ("replace", "client"): (_server, _toolbox, _hand_over, _end_consumers),
    ("replace", "streams"): (_server,),
    ("replace", "leaf"): (_hub, _leaf_server),
}

# --- commands ---------------------------------------------------------------------------------------------------------


def _at(release: Release) -> str:
    return f" -n {release.namespace}" if release.namespace else ""


def _apply_secrets(kept: IdentityFolder | KeptHub, release: Release) -> str:
    return f"kubectl apply{_at(release)} -f {kept.folder / SECRETS}   (the seeds: never into git)"


def _upgrade(kept: IdentityFolder | KeptHub, release: Release) -> str:
    files = f"-f {kept.folder / VALUES} -f YOURS.yaml"
    return f"helm upgrade --install {release.name}{_at(release)} k8s/moretta {files}"


def _restart_server(release: Release) -> str:
    """Return the command that restarts a release's nats-server, where the chart only reloads it."""
    which = f"app.kubernetes.io/instance={release.name},app.kubernetes.io/component=nats"
    return (
        f"kubectl rollout restart{_at(release)} statefulset -l {which}   (who has a key that is gone outlasts a reload)"
    )


def _elsewhere(kept: IdentityFolder) -> list[str]:
    """Return what stays as it is in the cluster: the Secrets of identities whose files are elsewhere."""
    return [
        f"{name}: its files are not in {kept.folder}, so its Secret is not in {SECRETS}; the one that is there stays"
        for name in kept.elsewhere
    ]


def _at_hub(kept: IdentityFolder) -> str:
    assert kept.server.leaf is not None, "who has a leaf has a hub"
    keys, sites = ", ".join(kept.server.keys[LEAF_USER]), ", ".join(kept.server.leaf.sites)
    return f"at the hub, in its file's hub.leaves: {{sites: [{sites}], keys: [{keys}]}}, and {_COMMAND} apply"
