"""What anyone may read: neither pictures, nor geometry, nor words, but what was permitted field by field."""

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import msgspec
import pytest
from golden import encodings
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta, Struct, inspect
from privacy import GEOMETRY, NOT_PERMITTED, dangers, held, permits, unpermitted

from proto.aiming import AimRecordV1, AimReplyV1, AimReportV1
from proto.frames import FrameQualityV1, FrameReplyV1
from proto.stats import StatsRequestV1
from proto.subjects import TABLE
from proto.types import Box, Count, Fraction, Sha256, SiteId
from schemas import public_messages

PUBLIC = public_messages()


def texts(info: inspect.Type) -> list[inspect.StrType]:
    """Return the texts that a type holds."""
    return [one for _, one in leaves(info, "$") if isinstance(one, inspect.StrType)]


def leaves(info: inspect.Type, path: str, within: tuple[type, ...] = ()) -> Iterator[tuple[str, inspect.Type]]:
    """Yield every part of a type that has no parts, by the names that are sent."""
    match info:
        case inspect.Metadata():
            yield from leaves(info.type, path, within)
        case inspect.StructType() if info.cls not in within:
            for field in info.fields:
                yield from leaves(field.type, f"{path}.{field.encode_name}", (*within, info.cls))
        case inspect.UnionType():
            for option in info.types:
                yield from leaves(option, path, within)
        case inspect.ListType():
            yield from leaves(info.item_type, f"{path}[]", within)
        case inspect.TupleType():
            for item in info.item_types:
                yield from leaves(item, f"{path}[]", within)
        case _:
            yield path, info


def harmless(path: str, info: inspect.Type) -> bool:
    """A bounded text, a number, a choice: nothing that could hold a picture, a place in one, or a sentence."""
    return not any(word in path for word in GEOMETRY) and not [*dangers(info)]


def test_the_public_rows():
    """What is public was decided; a new row has to be entered here, too."""
    events = ["WindowV1", "AlertV1", "RuleStateV1", "OperationalAlertV1", "CameraV1", "DeliveryV1", "NotificationV1"]
    assert [kind.__name__ for kind in PUBLIC] == [*events, "StatsRequestV1", "StatsReplyV1"]


@pytest.mark.parametrize("kind", PUBLIC)
def test_public_types_hold_what_was_permitted(kind: type[msgspec.Struct]):
    """Field by field, each for a reason: no bytes, no box, no track id, no row of numbers, no free text. And JSON."""
    assert len(held(kind)) >= (5 if kind is StatsRequestV1 else 8)
    assert unpermitted(kind, permits()) == []
    assert encodings()[kind] == "json"


def test_nothing_is_permitted_that_is_not_there():
    """A permission that nobody needs is one for whoever comes next."""
    assert permits().keys() == {place for kind in PUBLIC for place in held(kind)}


class Corners(Struct):
    """A box without its name."""

    left: Fraction
    top: Fraction


class Ring(Struct):
    """A type that holds itself."""

    value: "Ring | None" = None


SMUGGLED: dict[str, tuple[Any, str]] = {
    "anything by any name": (dict[str, Any], "it may hold anything: DictType"),
    "raw bytes of a message": (msgspec.Raw, "it may hold anything: RawType"),
    "bytes": (bytes, "it may hold anything: BytesType"),
    "anything": (Any, "it may hold anything: AnyType"),
    "an embedding": (list[int], "it is a row of numbers, or of rows"),
    "an embedding of 128": (Annotated[list[float], Meta(max_length=128)], "it is a row of numbers, or of rows"),
    "rows of numbers": (list[list[float]], "it is a row of numbers, or of rows"),
    "pairs of numbers": (list[tuple[float, float]], "it is a row of numbers, or of rows"),
    "a box": (Box, "it is a row of numbers, or of rows"),
    "a tuple without end": (tuple[float, ...], "it may hold anything: VarTupleType"),
    "a text": (str, "it takes 'two words'"),
    "a sentence": (Annotated[str, Meta(pattern=r"^[ -~]{0,99}\Z")], "it takes 'two words'"),
    "any text beside a word": (Annotated[str, Meta(pattern=r"^a|.*|b\Z")], "it takes 'two words'"),
    "an address": (Annotated[str, Meta(pattern=r"^[a-z.@]{1,64}\Z")], "it takes 'a@b.org'"),
    "a picture in letters": (Annotated[str, Meta(pattern=r"^[a-z]*\Z")], "it takes 'aaaaaaaaaaaa'"),
    "a sentence as a choice": (Literal["Ana, at the gate"], "'Ana, at the gate' is no word"),
    "two kinds": (int | list[str], "it may hold anything: UnionType"),
}


@pytest.mark.parametrize(("kind", "said"), SMUGGLED.values(), ids=SMUGGLED)
def test_what_may_not_be_permitted(kind: Any, said: str):
    """Whoever enters it in the list is refused all the same."""
    smuggler = msgspec.defstruct("CameraV1", [("value", kind)])
    assert f"CameraV1.value: {said}" in unpermitted(smuggler, {"CameraV1.value": kind})


@pytest.mark.parametrize(
    "kind", [int, Count, float, bool, Literal["masked", "unmasked"], Sha256, Corners, list[Sha256]]
)
def test_what_needs_a_reason(kind: Any):
    """A track's id, a verdict, a person's hash under any name: a type doesn't tell what it means."""
    smuggler = msgspec.defstruct("CameraV1", [("value", kind)])
    assert f"CameraV1.value: {NOT_PERMITTED}" in unpermitted(smuggler, permits())


def test_a_permission_is_for_one_place_and_one_type():
    """A count that a window may hold a camera's state may not, nor may the window hold more of it."""
    camera = msgspec.defstruct("CameraV1", [("persons", Count)])
    assert unpermitted(camera, permits()) == [f"CameraV1.persons: {NOT_PERMITTED}"]
    window = msgspec.defstruct("WindowV1", [("persons", int), ("profile", SiteId)])
    assert unpermitted(window, permits()) == [
        "WindowV1.persons: it is of another type than was permitted",
        "WindowV1.profile: it is no choice of words",
    ]


TEXTS = sorted({text.pattern for kind in PUBLIC for text in texts(inspect.type_info(kind)) if text.pattern})


@given(pattern=st.sampled_from(TEXTS), data=st.data())
def test_whatever_a_public_text_may_be_it_is_a_name(pattern: str, data: st.DataObject):
    """One short word, by the patterns themselves."""
    text = data.draw(st.from_regex(pattern))
    assert re.fullmatch(r"[A-Za-z0-9_./+-]{1,128}", text)


def test_what_is_sent_counts():
    """Not what the code calls it: another name for it, a type within a type, one without names, one in itself."""
    window = msgspec.defstruct("WindowV1", [("persons", Count, msgspec.field(name="track_id"))])
    assert "WindowV1.track_id: it names track" in unpermitted(window, permits())
    assert f"Corners.top: {NOT_PERMITTED}" in unpermitted(msgspec.defstruct("A", [("b", list[Corners])]), permits())
    bare = msgspec.defstruct("Lifetime", [("pictures", Count)], array_like=True)
    assert unpermitted(bare, permits()) == ["Lifetime: its fields are sent without their names"]
    assert unpermitted(Ring, {}) == [f"Ring.value: {NOT_PERMITTED}"]


VERDICTS = {"masked", "unmasked", "incorrect", "unknown", "verdict", "confidence", "score"}
COUNTS = ("count", "total", "number", "persons", "people", "faces", "seen")
WHOLE = {"at", "since", "left", "width", "height"}
"""Times and picture sizes: the only whole numbers there may be."""


@pytest.mark.parametrize("kind", [AimReportV1, AimReplyV1, AimRecordV1])
def test_aiming_tells_neither_verdicts_nor_counts(kind: type[msgspec.Struct]):
    """No box, no verdict, no number of faces or people: shares, sizes, and digits of a map relative to its maximum."""
    for path, info in leaves(inspect.type_info(kind), "$"):
        name = path.rsplit(".", 1)[-1].removesuffix("[]")
        assert name not in VERDICTS
        assert not any(word in name for word in COUNTS)
        assert not isinstance(info, inspect.IntType) or name in WHOLE
        assert not isinstance(info, inspect.LiteralType) or not VERDICTS & set(info.values)
        assert harmless(path, info) or name in {"error", "why", "operator"}


def test_the_quality_of_a_frame_holds_no_verdict():
    """Boxes stay in the account MORETTA_FRAMES, and even there a face says only why it got no verdict."""
    found = list(leaves(inspect.type_info(FrameQualityV1), "$"))
    assert not [path for path, _ in found if set(path.split(".")) & (VERDICTS - {"unknown"})]
    assert [set(i.values) for _, i in found if isinstance(i, inspect.LiteralType)] == [{"too-small", "unsure"}]
    assert [row.account for row in TABLE if row.reply is FrameReplyV1] == ["MORETTA_FRAMES"]
    others = {kind for row in TABLE for kind in (row.message, row.reply)} - {FrameReplyV1, None}
    assert not [kind for kind in others if FrameQualityV1.__name__ in str(inspect.type_info(kind))]


@pytest.mark.parametrize(
    "bad", [bytes, memoryview, str, object, dict[str, int], msgspec.defstruct("A", [("track_id", int)])]
)
def test_the_walk_would_find_it(bad: type):
    """The test above can fail."""
    assert not all(harmless(path, info) for path, info in leaves(inspect.type_info(bad), "$.x"))
