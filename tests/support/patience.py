"""Waiting for something that happens: one way in a coroutine, one outside, and one knob for all their limits.

MORETTA_PATIENCE multiplies every limit (3 unless set): a limit that is not reached costs nothing, and a machine that
does something else takes longer. A limit says when to give up. Where a test asserts how long something takes at most
(a takeover, a pause), that is as patient, and less than what goes wrong would take.
"""

import asyncio
import contextlib
import inspect
import os
import time
from collections.abc import Awaitable, Callable
from typing import Any

PATIENCE = float(os.environ.get("MORETTA_PATIENCE", "3"))
LIMIT_S = 20.0
EVERY_S, SELDOM_S = 0.02, 0.2
"""How often a condition is looked at, at first and after a second or so: a look may cost a process its time."""

Said = str | Callable[[], object]
"""What was waited for; a function is asked when time is up, for what it looked like then."""


def patient(limit_s: float = LIMIT_S) -> float:
    """Return a limit in seconds as long as this machine needs it."""
    return limit_s * PATIENCE


async def until(
    condition: Callable[[], Any],
    what: Said = "a condition",
    limit_s: float = LIMIT_S,
    *,
    every_s: float = EVERY_S,
    ignoring: tuple[type[Exception], ...] = (),
) -> Any:
    """Return what `condition` says, once that is true; it may be a coroutine function. AssertionError past the limit.

    `ignoring` are errors that only mean "not yet", such as those of a server that is just coming back.
    """
    end = time.monotonic() + patient(limit_s)
    while True:
        found: Any = None
        with contextlib.suppress(*ignoring):
            look = condition()
            found = await _in_time(look, end) if inspect.isawaitable(look) else look
        if found:
            return found
        assert time.monotonic() < end, _too_late(what, limit_s, found)
        await asyncio.sleep(every_s)
        every_s = max(every_s, min(every_s * 1.2, SELDOM_S))


async def _in_time(awaitable: Awaitable[Any], end: float) -> Any:
    """Await one look; a look that hangs must not outlast the limit."""
    try:
        async with asyncio.timeout(max(1.0, end - time.monotonic())) as limit:
            return await awaitable
    except TimeoutError:
        if not limit.expired():  # the look's own: see `ignoring`
            raise
        return None


def wait_until(
    condition: Callable[[], Any],
    what: Said = "a condition",
    limit_s: float = LIMIT_S,
    *,
    every_s: float = EVERY_S,
    ignoring: tuple[type[Exception], ...] = (),
) -> Any:
    """The same outside a coroutine."""
    end = time.monotonic() + patient(limit_s)
    while True:
        found: Any = None
        with contextlib.suppress(*ignoring):
            found = condition()
        if found:
            return found
        assert time.monotonic() < end, _too_late(what, limit_s, found)
        time.sleep(every_s)
        every_s = max(every_s, min(every_s * 1.2, SELDOM_S))


def _too_late(what: Said, limit_s: float, found: object) -> str:
    return f"not within {patient(limit_s):g} s: {what if isinstance(what, str) else what()}; last: {found!r}"
