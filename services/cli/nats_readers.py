"""What `moretta nats-config` is told of readers that have a name: who is new, and who goes."""

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from proto.permissions import NAMED
from proto.types import SiteId
from services.settings import SettingsError

_COMMAND = "moretta nats-config"
NEW, GONE = "--reader", "--remove-reader"


@dataclass(frozen=True)
class Readers:
    """What was given of `--reader` and `--remove-reader`."""

    new: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()


def readers_of(new: list[str], gone: list[str]) -> Readers | None:
    """Return what the options say; None if nothing. SettingsError for what is no name, or for a name in both."""
    for option, names in ((NEW, new), (GONE, gone)):
        for name in names:
            _check(option, name)
    if both := sorted({*new} & {*gone}):
        raise SettingsError(_COMMAND, [(GONE, f"{both[0]!r} is given to {NEW}, too; take one of them")])
    return Readers(tuple(dict.fromkeys(new)), tuple(dict.fromkeys(gone))) if new or gone else None


def _check(option: str, name: str) -> None:
    try:
        msgspec.convert(name, SiteId)
    except msgspec.ValidationError:
        why = f"{name!r} is no name of a reader: 1-32 of a-z, 0-9 and inner hyphens, such as 'acme'"
        raise SettingsError(_COMMAND, [(option, why)]) from None


def joined(known: Iterable[str], given: Readers | None) -> list[str] | None:
    """Return the names of all readers from now on, None for no change. SettingsError if one to go is unknown."""
    if given is None:
        return None
    before = list(known)
    if lacking := [name for name in given.gone if name not in before]:
        there = f"there are {', '.join(before)}" if before else f"there is none; {NEW} NAME makes one"
        raise SettingsError(_COMMAND, [(GONE, f"no reader {lacking[0]!r} in this folder; {there}")])
    return [name for name in dict.fromkeys([*before, *given.new]) if name not in given.gone]


def users_of(names: Iterable[str]) -> list[str]:
    """Return the users of readers by their names."""
    return [f"{NAMED}{name}" for name in names]
