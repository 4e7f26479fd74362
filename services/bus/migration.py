"""What a stream that is there becomes under this version's table: more at once, less never by itself (ADR 29). Pure.

Configurations are JSON as JetStream's API has them (NATS ADR-1): times in ns, and a limit of 0 or -1 is none.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from proto.subjects import covers

Config = dict[str, Any]
Outcome = Literal["extended", "kept", "refused"]

_LIMITS = frozenset({"max_age", "max_bytes", "max_msgs_per_subject"})
_NUMBERS = frozenset({"num_replicas", "duplicate_window", "subject_delete_marker_ttl"})
_FIXED = frozenset({"storage", "retention"})
_BY_THE_WAY = frozenset({"name", "description", "first_seq"})
"""What no stream is changed for; `first_seq` only a new one can be given."""
_NANOSECONDS = frozenset({"max_age", "duplicate_window", "subject_delete_marker_ttl"})
_MIB, _DAY = 1 << 20, 86_400 * 1_000_000_000


@dataclass(frozen=True, slots=True)
class Difference:
    """A field in which a stream is not as the table has it, and what comes of it.

    `extended`: `want` is less strict, or adds to what there is. `kept`: an operator, or a newer version, keeps more
    than the table asks for. `refused`: no update can change it.
    """

    stream: str
    field: str
    have: Any
    want: Any
    outcome: Outcome

    def __str__(self) -> str:
        """Return it as a line for people."""
        return self.told()

    def told(self, *, shrink: bool = False) -> str:
        """Return it as a line for people; with `shrink` what is kept otherwise is taken away."""
        want = _shown(self.field, self.want)
        texts: dict[Outcome, str] = {
            "extended": f"becomes {want}",
            "kept": f"becomes {want}, no more" if shrink else f"{want} is enough here: kept, --shrink takes it away",
            "refused": f"must be {want}: no update changes that, see Upgrade in docs/operations.md",
        }
        return f"{self.stream}: {self.field} is {_shown(self.field, self.have)}, {texts[self.outcome]}"


class StreamConflict(Exception):
    """A stream is such that only another one in its place would do, which would lose what it holds."""

    def __init__(self, differences: Iterable[Difference]) -> None:
        self.differences = list(differences)
        super().__init__("; ".join(f"stream {one}" for one in self.differences))


def differences(have: Config, want: Config) -> list[Difference]:
    """Return in what a stream, as the server tells it, differs from what the table says of it."""
    return [one for field in want if field not in _BY_THE_WAY for one in _compared(have, want, field)]


def becomes(have: Config, want: Config, found: Iterable[Difference], *, shrink: bool = False) -> Config:
    """Return the whole configuration to send: all that somebody else has set in it stays.

    With `shrink` what is `kept` is brought down to the table, too; messages may be lost by that.
    """
    wanted: tuple[Outcome, ...] = ("extended", "kept") if shrink else ("extended",)
    changed = {one.field: one.want for one in found if one.outcome in wanted}
    return have | changed | ({"description": want["description"]} if changed and "description" in want else {})


def _compared(have: Config, want: Config, field: str) -> Iterator[Difference]:
    name, old, new = str(want["name"]), have.get(field), want[field]
    if field == "subjects":
        yield from _subjects(name, old or [], new)
    elif field in _FIXED:
        if old != new:
            yield Difference(name, field, old, new, "refused")
    elif field in _LIMITS or field in _NUMBERS:
        before, after = (_size(field, value) for value in (old, new))
        if before != after:
            yield Difference(name, field, old, new, "extended" if after > before else "kept")
    elif (old or False) != new:
        yield Difference(name, field, old, new, "kept" if old is True else "extended")


def _subjects(name: str, old: list[str], new: list[str]) -> Iterator[Difference]:
    """Yield what is lacking, and what is beyond. The server takes no two subjects of which one covers the other."""
    if added := [subject for subject in new if not _within(subject, old)]:
        yield Difference(name, "subjects", old, [*(one for one in old if not _within(one, added)), *added], "extended")
    if not all(_within(subject, new) for subject in old):
        yield Difference(name, "subjects", old, new, "kept")


def _within(subject: str, patterns: Iterable[str]) -> bool:
    return any(covers(pattern, subject) for pattern in patterns)


def _size(field: str, value: int | None) -> float:
    number = value or 0
    return float("inf") if field in _LIMITS and number <= 0 else number


def _shown(field: str, value: Any) -> str:
    if _size(field, value if isinstance(value, int) else 1) == float("inf"):
        return "without limit"
    if field in _NANOSECONDS:
        return f"{value // _DAY} days" if value and value % _DAY == 0 else f"{(value or 0) / 1e9:g} s"
    if field == "max_bytes":
        return f"{value / _MIB:g} MiB"
    return ", ".join(value) if isinstance(value, list) and value and isinstance(value[0], str) else str(value)
