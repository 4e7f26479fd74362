"""Output of `moretta nats`: files and who they are for, keys in force, and rights."""

from rich.console import Console
from rich.table import Table

from operate.identities import CLIENT_IDENTITIES, IdentityFolder, KeptHub, limits, secret_files, users
from operate.identities.folder import HUB_STATE, OFFICIAL, SECRETS, STATE, VALUES
from operate.identities.hub import link_of
from proto.permissions import JETSTREAM_API, NAMED, SERVICES, rights_of, user_of
from proto.subjects import TABLE, Identity, Subject
from services.bus.stream_sizes import Sizes, in_words

_COMMAND = "moretta nats"


def show(kept: IdentityFolder | KeptHub, console: Console) -> None:
    """Print the files and keys of a folder."""
    _show_hub(kept, console) if isinstance(kept, KeptHub) else _show_site(kept, console)


def _show_site(kept: IdentityFolder, console: Console) -> None:
    table = Table("file", "for", "what it is", title=str(kept.folder))
    secret = "the leaf's seed: a secret" if kept.server.leaf else "no secret"
    table.add_row("nats.conf", "nats-server", f"accounts, public keys and rights; {secret}")
    for name in SERVICES:
        table.add_row(f"{name}.env", name, f"variables for its process, naming {', '.join(secret_files(name))}")
    for identity in CLIENT_IDENTITIES:
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
