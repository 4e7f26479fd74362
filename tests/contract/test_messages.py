"""What messages.md says of fields is true of the types, and of what each profile publishes."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from golden import BY_TYPE
from msgspec import Struct, structs

from proto import public
from proto.public import AlertV1, CameraV1, DeliveryV1, OperationalAlertV1, RuleStateV1, WindowV1
from proto.stats import PeriodV1
from proto.types import AlertState, Channel, Profile, Severity
from services.aggregate.core.policy import withhold
from services.sites.profiles import PROFILES

PREFACE, *PARTS = re.split(
    "^## ", (Path(__file__).parents[2] / "docs/messages.md").read_text("utf-8"), flags=re.MULTILINE
)
SECTIONS = {part.partition("\n")[0]: part for part in PARTS}
FIELDS: dict[str, tuple[type[Struct], ...]] = {
    "Reading a window": (WindowV1,),
    "Reading an alert": (AlertV1,),
    "Reading a camera": (CameraV1,),
    "Reading a rule": (RuleStateV1, OperationalAlertV1),
    "Reading a delivery": (DeliveryV1,),
    "Reading a period": (PeriodV1,),
}
WORDS: dict[str, tuple[Any, ...]] = {
    "Reading a window": (public.GapReason, public.Suppression),
    "Reading an alert": (AlertState, Severity),
    "Reading a rule": (public.RuleStateName, public.RuleReason, public.OperationalKind, AlertState),
    "Reading a delivery": (public.DeliveryKind, public.DeliveryOutcome, public.DeliveryReason, Channel),
}
EXAMPLE = BY_TYPE[WindowV1]
WHOLE = {"persons": 3, "masked": 1, "unmasked": 1, "incorrect": 0, "unknown": 1}


def named(text: str) -> set[str]:
    """Return the names between backquotes; of `lifetime.start` the first part."""
    return set(re.findall(r"`([\w-]+)(?:\.\w+)?`", text))


def rows() -> Iterator[tuple[set[str], str, str]]:
    """Yield the fields of each row of the window's table, when they are null, and what fr-2021-269 makes of them."""
    for line in SECTIONS["Reading a window"].splitlines():
        cells = line.strip("| ").split(" | ")
        if line.startswith("| `") and len(cells) == 4:
            yield named(cells[0]), cells[2], cells[3]


def nulls(window: WindowV1) -> set[str]:
    """Return the fields that a profile leaves null in a window, `suppressed` aside."""
    told = withhold(window)
    return {name for name in WindowV1.__struct_fields__ if getattr(told, name) is None} - {"suppressed"}


@pytest.mark.parametrize("heading", FIELDS)
def test_each_field_is_named_where_its_message_is_told(heading: str):
    """And each word that it may hold."""
    fields = {name for kind in FIELDS[heading] for name in kind.__struct_fields__}
    words = {word for kind in WORDS.get(heading, ()) for part in get_args(kind) for word in get_args(part) or (part,)}
    assert fields - named(PREFACE + SECTIONS[heading]) == set()
    assert words - named(SECTIONS[heading]) == set()


@pytest.mark.parametrize("profile", PROFILES)
def test_what_a_profile_never_publishes_is_in_the_table(profile: Profile):
    """Of a window with all figures: null where the table says it, and nowhere else."""
    said = {
        name
        for fields, null, decree in rows()
        for name in fields
        if (decree == "null" if profile == "fr-2021-269" else f"`{profile}`" in null)
    }
    window = structs.replace(EXAMPLE, profile=profile)
    assert isinstance(window, WindowV1)
    assert nulls(window) == said
    assert withhold(window).gaps == ([] if profile == "fr-2021-269" else window.gaps)


def test_what_is_never_null_is_there_in_any_window():
    """Of few people under a profile that shows none, of nobody, and of a time that no camera saw."""
    never = {name for fields, null, _ in rows() if null == "never" for name in fields}
    assert never | {"suppressed"} < {*WindowV1.__struct_fields__}
    empty = dict.fromkeys(WHOLE, 0)
    for change in (WHOLE, empty, empty | {"coverage": 0.0, "model": None}):
        window = structs.replace(EXAMPLE, profile="stats-only", **change)
        assert isinstance(window, WindowV1)
        assert nulls(window) & never == set()


def test_null_beside_people_says_that_nobody_was_judged():
    """`suppressed` says nothing then."""
    window = structs.replace(EXAMPLE, persons=2, masked=0, unmasked=0, incorrect=0, unknown=2)
    assert isinstance(window, WindowV1)
    told = withhold(window)
    assert (told.persons, told.rate, told.interval, told.suppressed) == (2, None, None, None)
