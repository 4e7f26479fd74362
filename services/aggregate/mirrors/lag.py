"""Whether readers' mirrors keep up with their originals, and whether an original was made again (ADR 45)."""

import contextlib
import time
from collections.abc import Collection
from datetime import datetime
from typing import Any, NamedTuple

import nats.errors
from nats.aio.client import Client
from nats.js.errors import APIError, NotFoundError

from proto.permissions import JETSTREAM_API, READER, REPAIRED, heard_by, mirrored
from services.bus.streams.stream_config import Config, ask

AFTER_S = 10.0
"""What an original had so long ago its mirrors have by now."""
Info = dict[str, Any]
_MADE_FROM = "moretta.original"
"""The key in a mirror's metadata for when its original was made, by that stream's own information (NATS ADR-33)."""


class _Known(NamedTuple):
    """A stream of the giver's account, as it was once."""

    created: str
    last: int
    reached: int
    """The last message that it has: `moretta repair` may have removed later ones."""


class Originals:
    """The streams that are mirrored, as they were a while ago."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._known: dict[str, _Known] = {}
        self._looked = -AFTER_S
        self._due: dict[str, int] = {}

    @property
    def is_due(self) -> bool:
        """Whether `behind` can say anything after the last look."""
        return bool(self._due)

    async def look(self) -> bool:
        """Look at all of them; return whether one was made again. One that can't be asked stays as it was known."""
        now = dict[str, _Known]()
        for stream in mirrored(heard_by(READER)):
            with contextlib.suppress(APIError, nats.errors.Error):
                now[stream.name] = _known(await info(self._client, JETSTREAM_API, stream.name))
        before = {name: one for name, one in self._known.items() if name in now}
        recreated = {n for n, one in before.items() if one.created != now[n].created or now[n].last < one.last}
        is_late = time.monotonic() - self._looked >= AFTER_S
        self._due = {name: one.reached for name, one in before.items() if name not in recreated} if is_late else {}
        if recreated or is_late:
            self._known, self._looked = self._known | now, time.monotonic()
        return bool(recreated)

    async def behind(self, api: str, names: Collection[str]) -> str | None:
        """Return which of these mirrors lacks what its original had `AFTER_S` ago; one made since then may lack it."""
        for name, reached in self._due.items():
            if name not in names:
                continue
            ours = await info(self._client, api, name)
            if ours["state"]["last_seq"] < reached and _age_s(ours) >= AFTER_S:
                return name
        return None


async def info(client: Client, api: str, name: str) -> Info:
    """Return what JetStream says of a stream, of one from which messages are removed with the removed ones."""
    return await ask(client, f"{api}STREAM.INFO.{name}", {"deleted_details": True} if name in REPAIRED else None)


async def marked(client: Client, config: Config) -> Config:
    """Return a mirror's configuration with the mark of its original as that is now; as it was if there is none yet.

    An original in memory is made again with its server, as its mirror is, and gets no mark.
    """
    try:
        theirs = await info(client, JETSTREAM_API, config["name"])
    except NotFoundError:
        return config
    is_kept = theirs["config"]["storage"] == "file"
    return config | {"metadata": {_MADE_FROM: theirs["created"]}} if is_kept else config


def is_of_another(ours: Info, theirs: Info) -> bool:
    """Return whether a mirror was made from another stream than its present original.

    Moments of the mirror's and of the original's creation are not compared: the clock may have been set back between.
    """
    mark = (ours["config"].get("metadata") or {}).get(_MADE_FROM)
    return mark not in (None, theirs["created"])


def _age_s(one: Info) -> float:
    asked, created = (datetime.fromisoformat(one[name]) for name in ("ts", "created"))
    return (asked - created).total_seconds()


def _known(found: Info) -> _Known:
    last, gone = found["state"]["last_seq"], set(found["state"].get("deleted") or ())
    reached = last
    while reached in gone:
        reached -= 1
    return _Known(found["created"], last, reached)
