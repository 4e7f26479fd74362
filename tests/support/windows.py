"""Published windows of a market in Cannes: one by one, and days of them."""

from collections.abc import Iterator
from functools import partial
from math import sin
from typing import Any

import messages
from messages import HOUR, MINUTE, SECOND
from msgspec import structs

from proto.public import WindowV1

__all__ = ["HOUR", "MINUTE", "SECOND", "decree", "hidden", "market_day", "window"]

window = partial(messages.window, site="cannes")
"""An ordinary window of the market; see `messages.window`."""


def hidden(start: int, why: str = "small-count", **changes: Any) -> WindowV1:
    """A window that shows no figure of people."""
    people = dict.fromkeys(
        ("persons", "masked", "unmasked", "incorrect", "unknown", "rate", "interval", "sampling_interval")
    )
    return structs.replace(window(start), **people, suppressed=why, late_total=None, **changes)


def decree(start: int, persons: int, rate: float | None) -> WindowV1:
    """A window under the profile that publishes persons and rate and nothing else."""
    bare = {name: None for name in WindowV1.__struct_fields__ if name not in _KEPT} | {"gaps": []}
    return structs.replace(window(start), **bare | {"profile": "fr-2021-269", "persons": persons, "rate": rate})


_KEPT = {"site", "zone", "profile", "start", "end", "suppressed", "adjusted"}


def market_day(first: int) -> Iterator[WindowV1]:
    """A made-up day of 72 windows from midnight on: empty at night, an outage at noon, a camera down in the evening.

    Before 6 and after 21 o'clock nearly nobody comes; from 11:40 to 13:20 nothing is published.
    """
    for number in range(72):
        start, hour = first + number * 20 * MINUTE, number / 3
        if 11.5 < hour < 13.3:
            continue
        if hour < 6 or hour >= 21:
            yield hidden(start)
            continue
        people = round(40 + 60 * max(0.0, 1 - abs(hour - 10) / 5))
        masked = round(people * (0.86 - 0.012 * (hour - 6) + 0.03 * sin(1.7 * number)))
        down = 16.5 < hour < 19
        changes: dict[str, Any] = {"coverage": 0.5, "gaps": ["camera-down"]} if down else {}
        people = people // 2 if down else people
        masked = masked // 2 if down else masked
        yield window(start, masked, (people - masked - people // 12, people // 12, people // 15), **changes)
