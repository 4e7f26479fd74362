"""`moretta nats-config`: nats-server's configuration and everybody's keys, made, renewed and shown."""

from pathlib import Path

from msgspec import structs
from rich.console import Console
from rich.table import Table

from operate.identities import PEOPLE, Kept, Leaf, Release, Server, Tls, secret_files, users
from operate.identities.kept import OFFICIAL, SECRETS, VALUES
from operate.identities.leafnodes import LEAF_USER, STREAMS_USER
from operate.nats.kubernetes import release_of, steps
from operate.nats.leaf import leaf_steps
from operate.nats.readers import AGAIN, Readers, renewal, users_of
from operate.nats.readers import joined as readers_joined
from operate.nats.sizes import joined as sizes_joined
from operate.nats.sizes import limits_told, told
from operate.nats.websocket import Door, joined
from operate.nats.where import COMMAND, Where, checked
from proto.permissions import ACCOUNTS, JETSTREAM_API, SERVICES, rights_of, user_of
from proto.subjects import TABLE, Identity, Subject
from services.bus.sizes import Sizes
from services.kernel.settings import SettingsError

"""What was given of `listen`, `store` and `url`."""
ALL, RESIZE = "all", "moretta nats-streams"
RESTART = "start the services of these identities anew, one by one, with their new .nk files"


def done(
    what: str,
    folder: Path,
    who: str,
    where: Where,
    leaf: Leaf | None = None,
    tls: Tls | None = None,
    release: tuple[str | None, str | None] = (None, None),
    door: Door | None = None,
    readers: Readers | None = None,
    sizes: Sizes | None = None,
) -> Kept:
    """Do what was asked for (make, update, rotate, retire) and return the folder as it is then.

    `release` is what was given of `--kubernetes` and `--namespace`, `door` of the options about browsers,
    `sizes` of `--stream`.
    """
    if what in {"make", "update"}:
        before = Kept.open(folder) if what == "update" else None
        found = release_of(*release, before.server.release if before else None)
        names = readers_joined(before.readers if before else None, readers)
        if what == "make":
            joined(door, tls, found)  # or refused before anything is there
        kept = (make if what == "make" else update)(folder, where)
        if leaf or tls or found or door or readers or sizes:
            new = _joined(kept.server, leaf, tls, found, named=where["url"] is not None)
            websocket = joined(door, new.tls, new.release, kept.server.websocket)
            streams = sizes_joined(new.streams, sizes)
            kept.update(structs.replace(new, websocket=websocket, streams=streams), names)
        return kept
    if leaf or tls or door or readers or sizes or any(where.values()) or any(release):
        which = "--listen, --store, --url, --leaf, --server-tls, --websocket, --reader, --stream"
        which += ", --kubernetes and --namespace"
        raise SettingsError(COMMAND, [(f"--{what}", f"changes keys only; --update changes {which}")])
    return (rotate if what == "rotate" else retire)(folder, who)


def _joined(server: Server, leaf: Leaf | None, tls: Tls | None, release: Release | None, *, named: bool) -> Server:
    """Return a server with these; on Kubernetes its URL is the chart's, unless one was `named`."""
    new = structs.replace(server, leaf=leaf or server.leaf, tls=tls or server.tls, release=release or server.release)
    if new.release is None or named or (new.release == server.release and not tls):
        return new
    return structs.replace(new, url=new.release.url(tls=new.tls is not None))


def make(folder: Path, given: Where) -> Kept:
    """Make fresh identities in a folder; SettingsError if it has some."""
    where = Server(listen="127.0.0.1:4222", store=str(folder.absolute() / "jetstream"), url="nats://127.0.0.1:4222")
    return Kept.make(folder, _with(where, given))


def update(folder: Path, given: Where) -> Kept:
    """Write the folder's configuration anew, for this version of Moretta and what is given here; keys stay."""
    kept = Kept.open(folder)
    kept.update(_with(kept.server, given))
    return kept


def rotate(folder: Path, who: str) -> Kept:
    """Give an identity, or all, new keys beside the old ones."""
    kept = Kept.open(folder)
    kept.rotate(_users("--rotate", who, kept))
    return kept


def retire(folder: Path, who: str) -> Kept:
    """Take an identity's old keys, or everybody's, out of force; SettingsError if there is none."""
    kept = Kept.open(folder)
    if not kept.retire(_users("--retire", who, kept)):
        raise SettingsError(COMMAND, [("--retire", f"{who} has no old key; --rotate makes a new one beside it")])
    return kept


def _with(server: Server, given: Where) -> Server:
    checked(given)
    return structs.replace(server, **{name: value for name, value in given.items() if value is not None})


def _users(option: str, who: str, kept: Kept) -> list[str]:
    if kept.server.leaf and who in (LEAF_USER, STREAMS_USER):
        return [who]
    readers = users_of(kept.readers)
    if who == ALL:
        return [*(user_of(*one) for one in users()), *readers]
    if who in readers:
        return [who]
    if who not in ACCOUNTS:
        there = ", ".join([*ACCOUNTS, *readers])
        raise SettingsError(COMMAND, [(option, f"no identity {who!r}; there are {there}, or {ALL}")])
    return [user_of(identity, account) for identity, account in users() if identity == who]


def shown(kept: Kept, console: Console) -> None:
    """Print what is where, for whom, and which keys are in force."""
    table = Table("file", "for", "what it is", title=str(kept.folder))
    secret = "the leaf's seed: a secret" if kept.server.leaf else "no secret"
    table.add_row("nats.conf", "nats-server", f"accounts, public keys and rights; {secret}")
    for name in SERVICES:
        table.add_row(f"{name}.env", name, f"variables for its process, naming {', '.join(secret_files(name))}")
    for identity in PEOPLE:
        table.add_row(f"{identity}.yaml", identity, f"settings (-c FILE), naming {identity}.nk")
    for user in users_of(kept.readers):
        table.add_row(f"{user}.yaml", f"reader {user}", f"settings (-c FILE), naming {user}.nk: hand over both")
    table.add_row("page.nk", "browsers", "the key of the page, where it asks for one")
    if kept.server.leaf:
        table.add_row("leaf.nk", "this command", "what nats.conf has of it: the key by which the hub knows this site")
        table.add_row("streams.nk", "moretta nats-streams", "who makes what the hub copies from")
    table.add_row("nats-config.json", "this command", "public keys in force, addresses; no secret")
    if kept.server.release:
        table.add_row(SECRETS, "kubectl apply", "everybody's Secret: secret")
        table.add_row(VALUES, "helm, k8s/moretta", "public keys; no secret")
        table.add_row(OFFICIAL, "helm, NATS's own chart", "accounts, public keys and rights; no secret")
    console.print(table)
    if sizes := kept.server.streams:
        console.print(f"{told(sizes)}; {limits_told(sizes)}", soft_wrap=True)
    two = [user for user, keys in kept.server.keys.items() if len(keys) > 1]
    if two:
        console.print(f"two keys in force: {', '.join(two)}", soft_wrap=True)


def next_steps(kept: Kept, done: str, who: str = "") -> list[str]:
    """Return the commands that come next; `who` was renewed."""
    if kept.server.release:
        return steps(kept, kept.server.release, done, who) + (leaf_steps(kept) if done != "retire" else [])
    reload = f"nats-server --signal reload   (or SIGHUP) after {kept.folder}/nats.conf is where the server reads it"
    found: dict[str, list[str]] = {
        "make": [f"nats-server -c {kept.folder}/nats.conf", "each service with the variables of its .env file"],
        "update": [reload, AGAIN],
        "rotate": [reload, *renewal(kept.folder, who, RESTART)],
        "retire": [reload],
    }
    if kept.server.tls and done in {"make", "update"}:
        certificate = "nats.client_cert_file and client_key_file in each service's settings: the server asks for them"
        found[done].append(certificate)
    if (door := kept.server.websocket) and (done in {"make", "update"} or (door.is_open and _renews_page(done, who))):
        what = "a restart of nats-server, if where browsers come in, or the open page's key, is another one"
        found[done].append(f"{what}: no reload takes that")
    if kept.server.streams and done in {"make", "update"}:
        larger = f"{RESIZE} --out {kept.folder}   (makes the streams as large once the server has its limits)"
        found[done].append(f"{larger}, and aggregate anew with aggregate.env, or a stream in memory gets small again")
    return found[done] + (leaf_steps(kept) if done != "retire" else [])


def _renews_page(done: str, who: str) -> bool:
    return done == "rotate" and who in {ALL, "page"}


def matrix(console: Console) -> None:
    """Print who may publish and subscribe each row of the table."""
    table = Table("subject", "account", *(user_of(*one) for one in users()), title="p publishes, s subscribes")
    for row in TABLE:
        table.add_row(row.wildcard(), row.account, *(_may(row, *one) for one in users()))
    console.print(table)
    for identity, account in users():
        rights = rights_of(identity, account)
        api = [subject for subject in rights.publish if subject.startswith(JETSTREAM_API)]
        console.print(f"{user_of(identity, account)}: {len(api)} JetStream API subjects", soft_wrap=True)


def _may(row: Subject, identity: Identity, account: str) -> str:
    if row.account != account:
        return ""
    return "p" * (identity in row.publishers) + "s" * (identity in row.subscribers)
