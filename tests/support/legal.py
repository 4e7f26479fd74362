"""What a legal profile forbids, from the words of the design (§5) alone: nothing here asks the code's own policy.

It looks at messages as they are on the wire: JSON, parsed.
"""

from collections.abc import Iterable, Iterator
from typing import Any

MINUTE = 60 * 1_000_000_000
SHORTEST = {"fr-2021-269": 20 * MINUTE, "stats-only": 5 * MINUTE, "alerting": 5 * MINUTE, "lab": 0}
WITHOUT_RULES = {"fr-2021-269", "stats-only"}
SMALL = {"stats-only": 10}
ALERT_FROM = {"alerting": 20}
PEOPLE = (
    "persons",
    "masked",
    "unmasked",
    "incorrect",
    "unknown",
    "rate",
    "interval",
    "sampling_interval",
    "late_total",
)
TWO_FIGURES = {"persons", "rate"}
NO_FIGURES = {"type", "site", "zone", "profile", "profiles", "start", "end", "suppressed", "adjusted"}
PUBLISHING = {"windows_expected", "windows_published", "windows_suppressed"}
"""An answer's figures about windows, not about people."""


def breaches(message: dict[str, Any]) -> list[str]:
    """Return what of a window, an alert, a rule's state or a period of an answer its profile forbids."""
    profiles = message["profiles"] if "profiles" in message else [message["profile"]]
    return [f"{profile}: {why}" for profile in profiles for why in _breaches(profile, message)]


def _breaches(profile: str, message: dict[str, Any]) -> Iterator[str]:
    figures = {name for name, value in message.items() if value not in (None, [])} - NO_FIGURES
    if figures and message["end"] - message["start"] < SHORTEST[profile]:
        yield f"{message['end'] - message['start']} ns is too short"
    if "rule" in message and profile in WITHOUT_RULES:
        yield "there are no rules"
    if message["type"] == "AlertV1" and message["persons"] < ALERT_FROM.get(profile, 0):
        yield f"an alert about {message['persons']} people"
    if profile == "fr-2021-269":
        yield from _beyond_two_figures(figures, message)
    small = SMALL.get(profile, 0)
    if small and "rule" not in message:
        shown = [name for name in PEOPLE if message.get(name) is not None]
        if shown and (message["persons"] is None or message["persons"] < small or "late_total" in shown):
            yield f"{shown} of {message['persons']} people"


def _beyond_two_figures(figures: set[str], message: dict[str, Any]) -> Iterator[str]:
    nothing_out = message.get("windows_published") == 0  # then a coverage of nothing says no more than that
    if extra := figures - TWO_FIGURES - PUBLISHING - ({"coverage"} if nothing_out else set()):
        yield f"more than two figures: {sorted(extra)}"
    if figures and message["zone"] != "_site":
        yield f"the zone {message['zone']}"
    rate = message.get("rate")
    if message["type"] == "WindowV1" and rate is not None and round(rate, 2) != rate:
        yield f"{rate} is no percentage: its fraction tells how many were judged"


def subtraction(windows: Iterable[dict[str, Any]]) -> list[str]:
    """Return where the whole site minus its published zones tells of few people; all windows of one site."""
    by_start: dict[int, dict[str, Any]] = {}
    for window in windows:
        by_start.setdefault(window["start"], {})[window["zone"]] = window
    return [why for at in by_start.values() for why in _subtracted(at)]


def _subtracted(zones: dict[str, dict[str, Any]]) -> Iterator[str]:
    whole = zones.pop("_site")
    if whole["persons"] is None:
        return
    rest = whole["persons"] - sum(window["persons"] or 0 for window in zones.values())
    if 0 < rest < SMALL.get(whole["profile"], 0):
        yield f"{rest} people are left over at {whole['start']}"
