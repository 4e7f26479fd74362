"""A test's windows in their short form: `40 10` is 40 people of whom 10 wore a mask, `-` is no data, `x3` repeats."""

import re
from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from proto.model_errors import ModelErrors
from proto.public import WindowV1
from proto.types import Count, Fraction
from services.aggregate.core import policy
from services.aggregate.core.config import SiteConfig
from services.kernel.settings import Problem, convert, problems
from services.statistics.figures import rates
from services.statistics.rate_interval import Judged

_SHORT = re.compile(r"\s*(?:(?P<persons>\d{1,9})\s+(?P<masked>\d{1,9})|-)(?:\s+x(?P<times>[1-9]\d{0,3}))?\s*")
_RIGHT = "persons and masked such as 40 10, - for no data, or either repeated such as 40 10 x3"


class WindowPeople(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The people who passed in one window; those in no other category wore no mask."""

    persons: Count
    masked: Count
    incorrect: Count = 0
    unknown: Count = 0
    coverage: Fraction = 1.0


Entry = WindowPeople | None
"""One window; None if nothing was observed."""


def entries(values: Any, path: str, found: list[Problem]) -> list[Entry]:
    """Return the windows of a text, or of a list of texts and sections; problems are added to `found`."""
    if isinstance(values, str):
        return list(_of_text(values, path, found))
    if not isinstance(values, list) or not values:
        found.append((path, f"must be a text or a list of windows: {_RIGHT}"))
        return []
    return [entry for index, value in enumerate(values) for entry in _of_item(value, f"{path}[{index}]", found)]


def _of_item(value: Any, path: str, found: list[Problem]) -> Iterator[Entry]:
    if isinstance(value, str):
        yield from _of_text(value, path, found)
    elif wrong := list(problems(WindowPeople, value, path)):
        found += wrong
    else:
        yield _sound(convert(value, WindowPeople), path, found)


def _of_text(text: str, path: str, found: list[Problem]) -> Iterator[Entry]:
    for item in text.split(","):
        match = _SHORT.fullmatch(item)
        if match is None:
            found.append((path, f"{item.strip()[:40]!r} is no window; write {_RIGHT}"))
            continue
        entry: Entry = None
        if match["persons"] is not None:
            entry = _sound(WindowPeople(persons=int(match["persons"]), masked=int(match["masked"])), path, found)
        for _ in range(int(match["times"] or 1)):
            yield entry


def _sound(people: WindowPeople, path: str, found: list[Problem]) -> Entry:
    """Return the window, None if it is impossible; problems are added to `found`."""
    parts = people.masked + people.incorrect + people.unknown
    if parts > people.persons:
        found.append((path, f"{parts} masked, incorrect and unknown are more than the {people.persons} persons"))
        return None
    return people


def window(config: SiteConfig, zone: str, start: int, entry: Entry, errors: ModelErrors | None = None) -> WindowV1:
    """Return the window as it would be published; `errors` are those of the model that judged it."""
    people = entry or WindowPeople(persons=0, masked=0, coverage=0.0)
    judged = people.persons - people.unknown
    whole = WindowV1(
        site=config.site,
        zone=zone,
        profile=config.profile,
        start=start,
        end=start + config.window,
        persons=people.persons,
        masked=people.masked,
        unmasked=judged - people.masked - people.incorrect,
        incorrect=people.incorrect,
        unknown=people.unknown,
        **rates(people.masked, [Judged(judged, errors)])._asdict(),
        model_errors=errors,
        coverage=people.coverage,
        config_sha256=config.sha256,
    )
    return policy.withhold(whole, config.suppress_below)
