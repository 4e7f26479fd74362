"""Whether a stream keeps up with what it copies (`mirror`, `sources`), by what JetStream says of it.

The server hears from a stream that is copied each second, and counts since when (`active`). For a copy that hears
nothing it asks again every 10 s, and counts from 0 again. Three looks 3 s apart find it whenever that happens.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from itertools import pairwise
from typing import Any

INTERVAL_S = 3.0
"""How long after a look the next one is made."""
_LOOKS = 3
_NS = 1_000_000_000
Info = dict[str, Any]
"""A stream's `state`, and `mirror` or `sources` where it copies."""


async def late(look: Callable[[str], Awaitable[Info]], names: Iterable[str]) -> dict[str, list[str]]:
    """Return the streams that do not keep up, each with phrases (see `behind`). It takes a while if any is a copy."""
    seen = [{name: await look(name) for name in sorted(names)}]
    copies = [name for name, info in seen[0].items() if _copied(info)]
    for _ in range(_LOOKS - 1 if copies else 0):
        await asyncio.sleep(INTERVAL_S)
        seen.append({name: await look(name) for name in copies})
    found = {name: behind([one[name] for one in seen]) for name in copies}
    return {name: phrases for name, phrases in found.items() if phrases}


def behind(looks: list[Info]) -> list[str]:
    """Return a phrase for each stream that this one copies and does not keep up with; the looks are `INTERVAL_S` apart.

    "hears nothing of COPY_WINDOWS", "has 12 messages of COPY_WINDOWS to come". One whose lag shrinks is on its way.
    """
    seen: dict[str, list[Info]] = {}
    for one in (one for info in looks for one in _copied(info)):
        seen.setdefault(_name(one), []).append(one)
    return [phrase for name, ones in seen.items() if (phrase := _phrase(name, ones))]


def _phrase(name: str, ones: list[Info]) -> str:
    if error := ones[-1].get("error"):
        return f"cannot copy {name}: {error.get('description', error)}"
    if any(_is_silent(*pair) for pair in pairwise(ones)):
        return f"hears nothing of {name}"
    stands_still = all(now["lag"] >= before["lag"] > 0 for before, now in pairwise(ones))
    return f"has {ones[-1]['lag']} messages of {name} to come" if stands_still and len(ones) > 1 else ""


def _is_silent(before: Info, now: Info) -> bool:
    """Return whether nothing was heard between two looks: `active` is the time since then, or -1 if never."""
    return bool(now["active"] < 0 or now["active"] - before["active"] > 0.8 * INTERVAL_S * _NS)


def _copied(info: Info) -> list[Info]:
    """Return what the server says of each stream that this one copies."""
    return [info["mirror"]] if info.get("mirror") else info.get("sources") or []


def _name(one: Info) -> str:
    """Return a source's name with its subjects: at a hub each leaf's streams have the same names."""
    subjects = one.get("filter_subject")
    return f"{one['name']} ({subjects})" if subjects else str(one["name"])
