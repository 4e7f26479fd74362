"""Output of `moretta nats`: files and who they are for, keys in force, rights, and the next steps."""

from pathlib import Path

from rich.console import Console
from rich.table import Table

from operate.identities import PEOPLE, IdentityFolder, KeptHub, Release, limits, secret_files, users
from operate.identities.folder import HUB_STATE, OFFICIAL, SECRETS, STATE, VALUES
from operate.identities.hub import link_of
from operate.identities.kubernetes import identity as secret_of
from operate.identities.leafnodes import LEAF_USER, STREAMS_USER
from operate.identities.made import PEERS
from operate.nats.apply import ALL, Applied
from proto.permissions import ACCOUNTS, JETSTREAM_API, NAMED, SERVICES, rights_of, user_of
from proto.subjects import TABLE, Identity, Subject
from services.bus.stream_sizes import Sizes, in_words

_COMMAND = "moretta nats"
AGAIN = (
    "the same a few seconds later if a reader or the page is new to a running nats-server:"
    " until then nobody answers what they ask"
)
"""Measured with nats-server 2.15.1: an account that a reload adds gets its service imports only at the next reload."""
_RELOAD = (
    "nats-server --signal reload   (or SIGHUP) after {folder}/nats.conf is where the server reads it;"
    " its log then says `Reloaded server configuration`, or after `Failed to reload` nothing has changed: start it anew"
)
_START = (
    "start nats-server anew with {folder}/nats.conf: it refuses to reload a file with this change;"
    " its log then says `Server is ready`"
)
_OUT = "   (who has the old key is thrown out, services too, until they have the new one)"
_OUTLASTS = "start its nats-server anew: whoever came with the old key outlasts a reload"
_RESTART = (
    "start the services of these identities anew, one by one, with their new .nk files;"
    " each logs `connected to NATS`, and an old key `Authorization Violation`"
)


def show(kept: IdentityFolder | KeptHub, console: Console) -> None:
    """Print the files and keys of a folder."""
    _show_hub(kept, console) if isinstance(kept, KeptHub) else _show_site(kept, console)


def _show_site(kept: IdentityFolder, console: Console) -> None:
    table = Table("file", "for", "what it is", title=str(kept.folder))
    secret = "the leaf's seed: a secret" if kept.server.leaf else "no secret"
    table.add_row("nats.conf", "nats-server", f"accounts, public keys and rights; {secret}")
    for name in SERVICES:
        table.add_row(f"{name}.env", name, f"variables for its process, naming {', '.join(secret_files(name))}")
    for identity in PEOPLE:
        table.add_row(f"{identity}.yaml", identity, f"settings (-c FILE), naming {identity}.nk")
    for user in _users_of(kept):
        table.add_row(f"{user}.yaml", f"reader {user}", f"settings (-c FILE), naming {user}.nk: hand over both")
    table.add_row("page.nk", "browsers", "the key of the page, where it asks for one")
    if kept.server.leaf:
        table.add_row("leaf.nk", "this command", "what nats.conf has of it: the key by which the hub knows this site")
        table.add_row("streams.nk", f"{_COMMAND} streams", "who makes what the hub copies from")
    table.add_row(STATE, "this command", "public keys in force, and what was applied last; no secret")
    if kept.server.release:
        table.add_row(SECRETS, "kubectl apply", "everybody's Secret: secret")
        table.add_row(VALUES, "helm, k8s/moretta", "public keys; no secret")
        table.add_row(OFFICIAL, "helm, NATS's own chart", "accounts, public keys and rights; no secret")
    console.print(table)
    if sizes := kept.server.streams:
        console.print(f"{_larger(sizes)}; {_limits(sizes, len(kept.readers))}", soft_wrap=True)
    if two := [user for user, keys in kept.server.keys.items() if len(keys) > 1]:
        console.print(f"two keys in force: {', '.join(two)}", soft_wrap=True)


def _show_hub(kept: KeptHub, console: Console) -> None:
    table = Table("file", "for", "what it is", title=str(kept.folder))
    table.add_row("nats.conf", "nats-server", "accounts, public keys and rights; no secret")
    for user in ("subscriber", *_users_of(kept)):
        table.add_row(f"{user}.yaml", user, f"settings (-c FILE), naming {user}.nk")
    table.add_row("streams*.nk", f"{_COMMAND} streams", "who makes the hub's streams")
    table.add_row(HUB_STATE, "this command", "public keys in force, and what was applied last; no secret")
    console.print(table)
    if kept.hub.streams:
        console.print(_larger(kept.hub.streams), soft_wrap=True)
    for sites, keys in kept.hub.leaves.items():
        console.print(f"leaf {link_of(sites).name}: sites {sites}, {len(keys)} key(s)", soft_wrap=True)


def _users_of(kept: IdentityFolder | KeptHub) -> list[str]:
    return [f"{NAMED}{name}" for name in kept.readers]


def _larger(sizes: Sizes) -> str:
    return f"larger than by itself: {', '.join(f'{name} {in_words(size)}' for name, size in sizes.items())}"


def _limits(sizes: Sizes, readers: int) -> str:
    found = {name: size >> 20 for name, size in limits(sizes, readers).items()}
    return f"JetStream may hold {found['max_file_store']} MiB on the disk and {found['max_memory_store']} in memory"


def rights(console: Console) -> None:
    """Print which users may publish or subscribe to each row of the table."""
    table = Table("subject", "account", *(user_of(*one) for one in users()), title="p publishes, s subscribes")
    for row in TABLE:
        table.add_row(row.wildcard(), row.account, *(_may(row, *one) for one in users()))
    console.print(table)
    for identity, account in users():
        granted = rights_of(identity, account)
        api = [subject for subject in granted.publish if subject.startswith(JETSTREAM_API)]
        console.print(f"{user_of(identity, account)}: {len(api)} JetStream API subjects", soft_wrap=True)


def _may(row: Subject, identity: Identity, account: str) -> str:
    if row.account != account:
        return ""
    return "p" * (identity in row.publishers) + "s" * (identity in row.subscribers)


# --- next steps -----------------------------------------------------------------------------------------------------


def applied_steps(kept: IdentityFolder | KeptHub, done: Applied) -> list[str]:
    """Return the commands to run after `apply`, in an order that locks nobody out."""
    release = kept.hub.release if isinstance(kept, KeptHub) else kept.server.release
    if release:
        restart = [_restart(release)] if isinstance(kept, KeptHub) and done.needs_start else []
        return [
            *_on_kubernetes(kept, release, "apply"),
            *restart,
            *_secrets_gone(release, done.gone),
            *_across(kept),
        ]
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
    return [*found, *_across(kept)]


def renewed_steps(kept: IdentityFolder, done: str, who: str) -> list[str]:
    """Return the commands to run after `rotate`, `retire` or `replace` of the keys of `who`."""
    if who == LEAF_USER:
        return _leaf_renewed(kept, done)
    if kept.server.release:
        return _on_kubernetes(kept, kept.server.release, done, who)
    door = kept.server.websocket
    # An open door is entered with the page's newest key: the server refuses to reload a file with another one there.
    is_new = done != "retire" and door is not None and door.is_open and who in {ALL, "page"}
    first = (_START if is_new else _RELOAD).format(folder=kept.folder)
    steps = {
        "rotate": [first, *_renewal(kept, who, _RESTART)],
        "retire": [first],
        "replace": [f"{first}{_OUT}", *_replaced(kept, who, _RESTART)],
    }
    return steps[done]


def _leaf_renewed(kept: IdentityFolder, done: str) -> list[str]:
    """Return the steps after a leaf's key was renewed, which is in force only at the hub."""
    there = "a reload there" if done == "rotate" else _OUTLASTS
    at_hub = f"{_at_hub(kept)}, and {there}"
    start = _START.format(folder=kept.folder)
    if kept.server.release:
        start = "; ".join(_on_kubernetes(kept, kept.server.release, "apply")[:2]) + "; its server starts anew"
    retire = f"{_COMMAND} retire {kept.folder} {LEAF_USER}"
    return {"rotate": [at_hub, start, retire], "retire": [at_hub], "replace": [at_hub, start]}[done]


def _restart(release: Release) -> str:
    """Return the command that starts a release's nats-server anew, where the chart only reloads it."""
    where = f" -n {release.namespace}" if release.namespace else ""
    which = f"app.kubernetes.io/instance={release.name},app.kubernetes.io/component=nats"
    return f"kubectl rollout restart{where} statefulset -l {which}   (who has a key that is gone outlasts a reload)"


def _secrets_gone(release: Release, gone: list[str]) -> list[str]:
    where = f" -n {release.namespace}" if release.namespace else ""
    return [f"kubectl delete secret{where} {release.name}-{secret_of(f'{NAMED}{name}')}" for name in gone]


def _changed_sizes(folder: Path) -> list[str]:
    larger = f"{_COMMAND} streams {folder}   (makes the streams as large once the server has its limits)"
    return [f"{larger}, and aggregate anew with aggregate.env, or a stream in memory gets small again"]


def _renewal(kept: IdentityFolder, who: str, restart: str) -> list[str]:
    """Return the steps after the reload that gives `who` a second key; `restart` makes services use the key."""
    if who == STREAMS_USER:
        return [f"{_COMMAND} retire {kept.folder} {who}"]
    if who.startswith(NAMED) or (who in ACCOUNTS and who not in SERVICES):
        hands = f"hand over {kept.folder / who}.nk: the seed of before is good until the next step"
        return [*_toolbox(kept, who), hands, f"{_COMMAND} retire {kept.folder} {who}"]
    apart = f"{LEAF_USER} and {STREAMS_USER} are renewed by themselves, each by its name"
    return [restart, f"{_COMMAND} retire {kept.folder} {ALL}", *([apart] if who == ALL and kept.server.leaf else [])]


def _replaced(kept: IdentityFolder, who: str, restart: str) -> list[str]:
    """Return the steps after the reload that puts the old keys of `who` out of force."""
    if who == STREAMS_USER:
        return []
    if who.startswith(NAMED) or (who in ACCOUNTS and who not in SERVICES):
        seen = "the page opens" if who == "page" else f"`moretta doctor -c {kept.folder / who}.yaml` connects"
        hands = f"hand over {kept.folder / who}.nk: {seen} with it"
        return [*_toolbox(kept, who), hands, *_ended(kept, who)]
    apart = f"{LEAF_USER} and {STREAMS_USER} are replaced by themselves, each by its name"
    pairs = [_pair(kept, name) for name in PEERS if who in {ALL, name}]
    return [*pairs, restart, *([apart] if who == ALL and kept.server.leaf else [])]


def _ended(kept: IdentityFolder, who: str) -> list[str]:
    """Return the step that removes what somebody left behind with the old key of a reader."""
    if not who.startswith(NAMED):
        return []
    ends = f"{_COMMAND} streams {kept.folder} --end-consumers {who.removeprefix(NAMED)}"
    return [f"{ends}   (durable consumers outlast a key; the reader's programs make theirs again)"]


def _toolbox(kept: IdentityFolder, who: str) -> list[str]:
    """Return the step for the pod that has the operator's seed, which it read at its start."""
    release = kept.server.release
    if who != "operator" or release is None:
        return []
    where = f" -n {release.namespace}" if release.namespace else ""
    which = f"app.kubernetes.io/instance={release.name},app.kubernetes.io/component=toolbox"
    return [f"kubectl rollout restart{where} deployment -l {which}   (where toolbox.enabled is true)"]


def _pair(kept: IdentityFolder, name: Identity) -> str:
    """Return the step for a service's key of another kind, which is none of NATS's and so was not replaced."""
    whose = f"{kept.folder / name}.key is as before: if it was stolen, too, make it and {name}.pub anew"
    return f'{whose}, as docs/operations.md "An identity is replaced" shows, and give {PEERS[name]} the latter'


def _on_kubernetes(kept: IdentityFolder | KeptHub, release: Release, done: str, who: str = "") -> list[str]:
    where = f" -n {release.namespace}" if release.namespace else ""
    apply = f"kubectl apply{where} -f {kept.folder / SECRETS}   (the seeds: never into git)"
    upgrade = f"helm upgrade --install {release.name}{where} k8s/moretta -f {kept.folder / VALUES} -f YOURS.yaml"
    if isinstance(kept, KeptHub):
        return [apply, upgrade]
    restart = f"kubectl rollout restart{where} deployment,statefulset -l app.kubernetes.io/instance={release.name}"
    services = f"{restart},app.kubernetes.io/component!=nats"
    both = f"{upgrade}   (both keys; the server reads them within two minutes, without a restart)"
    alone = f"{upgrade}{_OUT}"
    steps = {
        "rotate": [both, apply, *_renewal(kept, who, services)],
        "retire": [upgrade],
        "replace": [alone, apply, *_replaced(kept, who, services)],
    }
    left_out = [
        f"{name}: its files are not in {kept.folder}, so its Secret is not in {SECRETS}; the one that is there stays"
        for name in kept.elsewhere
    ]
    return steps.get(done, [apply, upgrade]) + left_out


def _at_hub(kept: IdentityFolder) -> str:
    assert kept.server.leaf is not None, "who has a leaf has a hub"
    keys, sites = ", ".join(kept.server.keys[LEAF_USER]), ", ".join(kept.server.leaf.sites)
    return f"at the hub, in its file's hub.leaves: {{sites: [{sites}], keys: [{keys}]}}, and {_COMMAND} apply"


def _across(kept: IdentityFolder | KeptHub) -> list[str]:
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
