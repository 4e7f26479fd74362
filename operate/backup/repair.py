"""Removes what was published about the future while a clock was wrong: no site publishes beside it (ADR 38).

It can't tell the windows of recordings, which may be ahead: it must not read a site's settings. So people are asked.
"""

import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from nats.js import JetStreamContext

from operate.backup.backup import connected
from operate.backup.snapshots import asked, good
from operate.output import Advance
from proto.permissions import JETSTREAM_API
from proto.public import WindowV1
from proto.subjects import ALERTS, OPERATIONS, RULES, WINDOWS
from proto.types import WHOLE_SITE
from services.aggregate.core.restart.resume import Message, is_ahead, moment_of
from services.bus import NatsSettings, Stored
from services.bus.clock import FAR_NS, Offset, ask
from services.bus.streams.polling import read
from services.kernel.settings import SettingsError

_ROWS = (ALERTS, RULES, OPERATIONS, WINDOWS)


class Repair:
    """The messages of one site that are ahead of now."""

    def __init__(self, settings: NatsSettings, file: Path, site: str) -> None:
        self._settings, self._file, self._site = settings, file, site

    async def find(self, advance: Advance) -> list[Stored]:
        """Return the messages that are ahead of now; SettingsError if this machine's clock is not the server's."""
        async with connected(self._settings, self._file) as client:
            _fair(await ask(client, str(WINDOWS.stream)))
            js, passed, found = client.jetstream(), 0, list[Stored]()
            subjects = [(str(row.stream), row.wildcard(site=self._site)) for row in _ROWS]
            total = sum([await _count(js, *one) for one in subjects])
            now = time.time_ns() + FAR_NS
            for stream, subject in subjects:
                async for stored in read(js, stream, [subject]):
                    advance(passed := passed + 1, total)
                    found += [stored] if is_ahead(cast("Message", stored.message), now) else []
        return found

    async def remove(self, found: list[Stored], advance: Advance) -> None:
        """Remove these messages; BackupError if the server does not.

        The whole site's last window goes last: aggregate reads it always, and publishes nothing while it is ahead. So
        breaking off leaves nothing that neither aggregate nor the next run sees.
        """
        async with connected(self._settings, self._file) as client:
            for done, stored in enumerate(sorted(found, key=_turn), 1):
                subject = f"{JETSTREAM_API}STREAM.MSG.DELETE.{stored.row.stream}"
                good(await asked(client, subject, {"seq": stored.sequence}), str(stored.row.stream))
                advance(done, len(found))


def described(found: list[Stored]) -> list[str]:
    """Return a line for each stream: how many messages, and of which times."""
    counts = Counter(str(stored.row.stream) for stored in found)
    return [f"{name}: {count}, {_span(found, name)} UTC" for name, count in counts.items()]


def _span(found: list[Stored], stream: str) -> str:
    moments = [moment_of(cast("Message", one.message)) for one in found if one.row.stream == stream]
    first, last = (datetime.fromtimestamp(at / 1e9, UTC) for at in (min(moments), max(moments)))
    return f"from {first:%Y-%m-%d %H:%M:%S} to {last:%Y-%m-%d %H:%M:%S}"


def _turn(stored: Stored) -> tuple[bool, bool, int]:
    """Return a message's place in the order of removal."""
    whole = isinstance(stored.message, WindowV1) and stored.message.zone == WHOLE_SITE
    return stored.row is WINDOWS, whole, stored.sequence


async def _count(js: JetStreamContext, stream: str, subject: str) -> int:
    """Return how many messages a stream holds of some subjects."""
    return sum(((await js.stream_info(stream, subjects_filter=subject)).state.subjects or {}).values())


def _fair(offset: Offset) -> None:
    if not offset.is_fair:
        raise SettingsError("moretta repair", [("", f"{offset.in_words}; only then can it tell what is in the future")])
