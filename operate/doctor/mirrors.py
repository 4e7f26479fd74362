"""Checks on readers' streams: whether all are there, and keep up with what they copy (ADR 45).

A reader sees its own. aggregate sees those of all readers; nobody else may look into a reader's account.
"""

import asyncio
import json
from collections.abc import Iterable
from typing import Any

from operate.doctor.core.findings import Finding, fail, left_out, ok
from operate.nats.copy_lag import Info, late
from proto.permissions import JETSTREAM_API, READER, READERS_API, USER_INFO, heard_by, mirrored
from proto.subjects import Subject
from services.aggregate.mirrors.configuration import readers_of, wanted
from services.aggregate.mirrors.consumer_limits import exceeded
from services.bus import Bus

_ANSWER_S = 3.0
_EVERY = tuple(stream.name for stream in mirrored(heard_by(READER)))
"""The streams that a reader may have."""
_ABSENT = "aggregate makes them soon after it starts, at a hub `moretta nats streams`: does it run?"
_ADVICE = "tell the operator of Moretta; MorettaReadersUnserved in docs/runbooks.md"

_BEYOND = (
    "aggregate removes it at its next look, each 15 s; if it comes back, talk to that reader, or remove the reader"
)


async def own(bus: Bus) -> list[Finding]:
    """Return whether a reader's account has streams, and whether they keep up.

    A reader can't see which of them `readers` of `nats.yaml` gives it.
    """
    found = await _names(bus, JETSTREAM_API)
    there = [name for name in _EVERY if name in found]
    if not there:
        return [fail("streams", "this reader's account has no streams", _ABSENT)]
    if troubled := await _late(bus, JETSTREAM_API, found):
        return [fail(f"stream {name}", why, _ADVICE) for name, why in troubled]
    others = [name for name in _EVERY if name not in found]
    beside = f"; not {', '.join(others)}: not given, or not made" if others else ""
    return [ok("streams", f"this reader's account has {', '.join(there)}, which keep up{beside}")]


async def of_all(bus: Bus) -> list[Finding]:
    """Return whether all readers' streams are there and keep up; aggregate and the operator may ask."""
    readers = readers_of(await bus.ask(USER_INFO, timeout=_ANSWER_S))
    if not readers:
        return [left_out("readers", "an open server has no accounts of readers")]
    found = await asyncio.gather(*(_of_one(bus, account, rows) for account, rows in readers.items()))
    troubled = [one for one in found if one is not None]
    count = sum(bool(rows) for rows in readers.values())
    return troubled or [ok("readers", f"{count} accounts have all their streams, which keep up")]


async def _of_one(bus: Bus, account: str, rows: tuple[Subject, ...]) -> Finding | None:
    api = f"{READERS_API}{account}."
    there = await _names(bus, api)
    due = [one["name"] for one in wanted(account, rows, 1)]
    if lacking := [name for name in due if name not in there]:
        return fail(f"reader {account}", f"lacks {', '.join(lacking)}", "aggregate makes them: what says its log?")
    if found := await _late(bus, api, due):
        return fail(f"reader {account}", "; ".join(f"{name} {why}" for name, why in found), _ADVICE)
    beyond = [why for one in mirrored(rows) for why in await _exceeding(bus, api, one.name)]
    return fail(f"reader {account}", "; ".join(beyond), _BEYOND) if beyond else None


async def _names(bus: Bus, api: str) -> set[str]:
    answer: dict[str, Any] = json.loads(await bus.ask(f"{api}STREAM.NAMES", timeout=_ANSWER_S))
    return {*(answer.get("streams") or ())}


async def _exceeding(bus: Bus, api: str, stream: str) -> list[str]:
    """Return a phrase for each consumer of a reader's stream that goes beyond a reader's limits."""
    answer: dict[str, Any] = json.loads(await bus.ask(f"{api}CONSUMER.LIST.{stream}", timeout=_ANSWER_S))
    found = ((one["name"], exceeded(one["config"])) for one in answer.get("consumers") or ())
    return [f"consumer {name} of {stream}: {', '.join(why)}" for name, why in found if why]


async def _late(bus: Bus, api: str, names: Iterable[str]) -> list[tuple[str, str]]:
    """Return each stream that does not keep up, with what is behind."""
    found = await late(lambda name: _info(bus, api, name), names)
    return [(name, "; ".join(problems)) for name, problems in found.items()]


async def _info(bus: Bus, api: str, name: str) -> Info:
    """Return what JetStream says of a stream; nothing of one that went meanwhile."""
    answer: Info = json.loads(await bus.ask(f"{api}STREAM.INFO.{name}", timeout=_ANSWER_S))
    return {} if "error" in answer else answer
