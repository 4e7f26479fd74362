"""What `moretta nats-config` is told of readers that have a name: who is new, and who goes."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from operate.nats.where import COMMAND
from proto.permissions import ACCOUNTS, NAMED, SERVICES
from proto.types import SiteId
from services.kernel.settings import SettingsError

NEW, GONE = "--reader", "--remove-reader"
AGAIN = (
    "the same a few seconds later if a reader or the page is new to a running nats-server:"
    " until then nobody answers what they ask"
)
"""Measured with nats-server 2.15.1: an account that a reload brings has its service imports from the next reload on."""


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
        raise SettingsError(COMMAND, [(GONE, f"{both[0]!r} is given to {NEW}, too; take one of them")])
    return Readers(tuple(dict.fromkeys(new)), tuple(dict.fromkeys(gone))) if new or gone else None


def _check(option: str, name: str) -> None:
    try:
        msgspec.convert(name, SiteId)
    except msgspec.ValidationError:
        why = f"{name!r} is no name of a reader: 1-32 of a-z, 0-9 and inner hyphens, such as 'acme'"
        raise SettingsError(COMMAND, [(option, why)]) from None


def joined(known: Iterable[str] | None, given: Readers | None) -> list[str] | None:
    """Return the names of all readers from now on, None for no change. SettingsError if one to go is unknown.

    `known` is None where a folder is made.
    """
    if given is None:
        return None
    if known is None and given.gone:
        raise SettingsError(COMMAND, [(GONE, "takes a reader from a folder that is there; it goes with --update")])
    before = list(known or ())
    if lacking := [name for name in given.gone if name not in before]:
        there = f"there are {', '.join(before)}" if before else f"there is none; {NEW} NAME makes one"
        raise SettingsError(COMMAND, [(GONE, f"no reader {lacking[0]!r} in this folder; {there}")])
    return [name for name in dict.fromkeys([*before, *given.new]) if name not in given.gone]


def renewal(folder: Path, who: str, restart: str) -> list[str]:
    """Return what comes after the reload with which `who` has a second key; `restart` is how services take it."""
    hands = f"hand over {folder / who}.nk: the seed of before is good until the next step"
    if who.startswith(NAMED) or (who in ACCOUNTS and who not in SERVICES):
        return [hands, f"{COMMAND} --out {folder} --retire {who}"]
    return [restart, f"{COMMAND} --out {folder} --retire all"]


def users_of(names: Iterable[str]) -> list[str]:
    """Return the users of readers by their names."""
    return [f"{NAMED}{name}" for name in names]
