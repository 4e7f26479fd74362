"""Brings a folder to what a `nats.yaml` says, and renews keys while everything runs (ADR 37)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from msgspec import structs

from operate.identities import Hub, IdentityFolder, KeptHub, ServerEntry, limits, users
from operate.identities.folder import HUB_STATE, STATE, require_empty
from operate.identities.leafnodes import LEAF_USER, STREAMS_USER
from operate.identities.readers import Streams, present
from operate.nats.nats_yaml import NatsFile, absolute
from proto.permissions import ACCOUNTS, NAMED, user_of
from services.bus.stream_sizes import in_words
from services.kernel.settings import SettingsError

ALL = "all"
_COMMAND = "moretta nats"


def is_hub(folder: Path) -> bool:
    """Return whether the folder is a hub's."""
    return (folder / HUB_STATE).exists()


def is_there(folder: Path) -> bool:
    """Return whether something was applied to the folder before."""
    return is_hub(folder) or (folder / STATE).exists()


def opened(folder: Path) -> IdentityFolder | KeptHub:
    """Return the state of a folder; SettingsError if nothing was applied to it."""
    return KeptHub.open(folder) if is_hub(folder) else IdentityFolder.open(folder)


@dataclass(frozen=True)
class Applied:
    """The result of `apply`: the folder (None if there is none yet), the changes, and whether a reload is enough."""

    kept: IdentityFolder | KeptHub | None
    changes: list[str]
    gone: list[str]
    """The removed readers."""
    is_fresh: bool
    needs_start: bool
    """Whether nats-server must restart: for one change that no reload accepts, it refuses the whole file."""


def apply(folder: Path, asked: NatsFile | None, *, plan: bool = False) -> Applied:
    """Bring a folder to `asked`; without it, bring what was applied last to this version. Keys stay.

    With `plan`, nothing is done. Applying again changes nothing. SettingsError if the folder is of the other kind (a
    site's, a hub's) or has other files in it.
    """
    before = opened(folder) if is_there(folder) else None
    beside = [file.name for file in (asked.named() if asked else ()) if file.parent == Path(absolute(folder))]
    if before is None:
        require_empty(folder, beside)
    hub = isinstance(before, KeptHub) if asked is None else asked.hub is not None
    if before is not None and hub != isinstance(before, KeptHub):
        kinds = ("a site's", "a hub's") if hub else ("a hub's", "a site's")
        raise SettingsError(
            folder, [("hub", f"the folder is {kinds[0]}, and the file {kinds[1]}; take another folder")]
        )
    state = before.hub if isinstance(before, KeptHub) else before.server if before else None
    wanted: ServerEntry | Hub = _hub(folder, asked, state) if hub else _server(folder, asked, state)  # type: ignore[arg-type]
    found = list(_changes(before, state, wanted))
    many = len(before.readers) if before else 0, len(present(wanted.readers))
    needs_start = state is not None and (_fixed(state) != _fixed(wanted) or _shrinks(state, wanted, many))
    gone = [name for name in before.readers if not wanted.readers[name]] if before else []
    kept = before if plan else _written(folder, before, wanted, beside)
    return Applied(kept, found, gone, state is None, needs_start)


def _fixed(state: ServerEntry | Hub) -> tuple[object, ...]:
    """Return the settings that nats-server takes only at a start: a change in one makes it refuse the whole reload."""
    if isinstance(state, Hub):
        return state.listen, state.store, state.leaf_listen
    return state.listen, state.store, state.websocket, state.leaf


def _shrinks(before: ServerEntry | Hub, after: ServerEntry | Hub, readers: tuple[int, int]) -> bool:
    """Return whether JetStream gets less, which a reload refuses, or a leaf's key goes, which no reload cuts off."""
    old, new = (limits(one.streams, many) for one, many in zip((before, after), readers, strict=True))
    if isinstance(before, Hub) and isinstance(after, Hub):
        leaves = any({*keys} - {*after.leaves.get(sites, ())} for sites, keys in before.leaves.items())
    else:
        leaves = False
    return leaves or any(new[name] < size for name, size in old.items())


def _written(
    folder: Path, before: IdentityFolder | KeptHub | None, wanted: ServerEntry | Hub, beside: list[str]
) -> IdentityFolder | KeptHub:
    if isinstance(wanted, Hub):
        if isinstance(before, KeptHub):
            before.update(wanted)
            return before
        return KeptHub.make(folder, wanted, beside)
    kept = before
    if not isinstance(kept, IdentityFolder):
        kept = IdentityFolder.make(folder, structs.replace(wanted, leaf=None, release=None, readers={}), beside)
    kept.update(structs.replace(wanted, keys=kept.server.keys))
    return kept


def _server(folder: Path, asked: NatsFile | None, before: ServerEntry | None) -> ServerEntry:
    if asked is None and before is not None:
        return before
    asked = asked or NatsFile()
    return ServerEntry(
        listen=asked.server.listen,
        store=asked.server.store or absolute(folder / "jetstream"),
        url=asked.url(),
        tls=asked.server.tls,
        leaf=asked.connection(),
        streams=asked.sizes(),
        keys=before.keys if before else {},
        release=asked.release(),
        websocket=asked.door(),
        readers=_readers(asked, before),
    )


def _hub(folder: Path, asked: NatsFile | None, before: Hub | None) -> Hub:
    if asked is None or asked.hub is None:
        assert before is not None, "a hub is asked for, or is there"
        return before
    return Hub(
        listen=asked.server.listen,
        leaf_listen=asked.hub.listen,
        store=asked.server.store or absolute(folder / "jetstream"),
        url=asked.url(),
        tls=asked.server.tls,
        leaves={"+".join(leaf.sites): list(leaf.keys) for leaf in asked.hub.leaves},
        keys=before.keys if before else {},
        room=before.room if before else 0,
        streams=asked.sizes(),
        readers=_readers(asked, before),
        release=asked.release(),
    )


def _readers(asked: NatsFile, before: ServerEntry | Hub | None) -> dict[str, list[str]]:
    """Return the readers asked for, with their streams, and without streams those that were there before."""
    found = asked.reader_streams()
    return found | {name: [] for name in (before.readers if before else ()) if name not in found}


# --- changes since the last apply -----------------------------------------------------------------------------------


def _changes(
    before: IdentityFolder | KeptHub | None, state: ServerEntry | Hub | None, wanted: ServerEntry | Hub
) -> Iterator[str]:
    """Yield a line for each difference: `+` is new, `-` is gone."""
    if before is None or state is None:
        yield "+ a hub" if isinstance(wanted, Hub) else "+ a key for each identity"
    old, new = (_flat(_as_filed(one)) if one else {} for one in (state, wanted))
    for name in sorted({*old, *new}):
        if old.get(name) != new.get(name):
            yield from (f"{sign} {name}: {one[name]}" for sign, one in (("-", old), ("+", new)) if name in one)
    yield from _changed_readers(present(state.readers) if state else {}, present(wanted.readers))
    if before is None or state is None:
        return
    if isinstance(state, ServerEntry):
        table = [user_of(*one) for one in users()]
        yield from (f"+ user {user}, new to this version" for user in table if user not in state.keys)
        strange = [
            one for one in state.keys if not one.startswith(NAMED) and one not in (*table, LEAF_USER, STREAMS_USER)
        ]
        yield from (f"- user {user}, whom this version does not know, with its key" for user in strange)
        if state.leaf and not (isinstance(wanted, ServerEntry) and wanted.leaf):
            yield f"- users {LEAF_USER} and {STREAMS_USER}, with their keys and files"
    if before.is_stale:
        yield "+ nats.conf, which is not what this version makes of it"


def _changed_readers(known: Streams, wanted: Streams) -> Iterator[str]:
    yield from (f"- reader {name}, with its key and files" for name in known if name not in wanted)
    yield from (f"+ reader {name}, of {', '.join(mine)}" for name, mine in wanted.items() if name not in known)
    for name in known:
        if name in wanted and {*known[name]} != {*wanted[name]}:
            yield f"- reader {name}: {', '.join(known[name])}"
            yield f"+ reader {name}: {', '.join(wanted[name])}"


def _as_filed(state: ServerEntry | Hub) -> dict[str, Any]:
    """Return a folder's state in the sections of the file, without what only the folder holds."""
    one: dict[str, Any] = msgspec.to_builtins(state)
    sizes = {name: in_words(size) for name, size in state.streams.items()}
    server = {name: one[name] for name in ("listen", "store", "url", "tls")}
    there = state.release and {"release": state.release.name, "namespace": state.release.namespace}
    found = {"server": server, "streams": sizes, "kubernetes": there}
    if isinstance(state, Hub):
        return found | {"hub": {"listen": state.leaf_listen, "leaves": state.leaves}}
    door = state.websocket
    shown = door and {"listen": door.listen, "origins": door.origins, "open": door.is_open}
    return found | {"leaf": one["leaf"], "websocket": shown}


def _flat(value: Any, place: str = "") -> dict[str, Any]:
    """Return the values of nested sections by their paths, without those that are not set."""
    if isinstance(value, Mapping) and value:
        parts = [_flat(one, f"{place}.{name}" if place else str(name)) for name, one in value.items()]
        return {name: one for part in parts for name, one in part.items()}
    return {} if value in (None, {}, []) else {place: value}


# --- keys -----------------------------------------------------------------------------------------------------------


def rotate(folder: Path, who: str) -> IdentityFolder:
    """Give an identity, or all, new keys beside the old ones."""
    kept = _site(folder, "rotate")
    kept.rotate(_users(who, kept))
    return kept


def retire(folder: Path, who: str) -> IdentityFolder:
    """Remove the old keys of an identity, or of all; SettingsError if there is none."""
    kept = _site(folder, "retire")
    if not kept.retire(_users(who, kept)):
        raise SettingsError(f"{_COMMAND} retire", [("", f"{who} has no old key; `rotate` makes a new one beside it")])
    return kept


def replace(folder: Path, who: str) -> IdentityFolder:
    """Give an identity, or all, new keys in place of all older ones, of which one was stolen."""
    kept = _site(folder, "replace")
    kept.replace(_users(who, kept))
    return kept


def _site(folder: Path, what: str) -> IdentityFolder:
    if is_hub(folder):
        why = (
            "is for a site's folder; at a hub its file's hub.leaves has the keys, two while one takes the other's place"
        )
        raise SettingsError(f"{_COMMAND} {what}", [("", why)])
    return IdentityFolder.open(folder)


def _users(who: str, kept: IdentityFolder) -> list[str]:
    """Return the users of an identity, or of all. A reader is given by its user name, `subscriber-acme`."""
    readers = [f"{NAMED}{name}" for name in kept.readers]
    own = [LEAF_USER, STREAMS_USER] if kept.server.leaf else []
    if who == ALL:
        return [*(user_of(*one) for one in users()), *readers]
    if who in (*own, *readers):
        return [who]
    if who not in ACCOUNTS:
        there = ", ".join([*ACCOUNTS, *own, *readers])
        raise SettingsError(_COMMAND, [("IDENTITY", f"no identity {who!r}; there are {there}, or {ALL}")])
    return [user_of(identity, account) for identity, account in users() if identity == who]
