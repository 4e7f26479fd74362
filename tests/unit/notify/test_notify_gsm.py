"""Segments of an SMS: 3GPP TS 23.038 and 23.040. Kannel's own split is compared in tests/integration."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notify.channels.sms.shortening import encoding, segments, simplified, split

EXTENSION = "\f^{}\\[~]|€"


@pytest.mark.parametrize(
    ("text", "code", "parts"),
    [
        ("", "gsm-7", 1),
        ("a" * 160, "gsm-7", 1),
        ("a" * 161, "gsm-7", 2),
        ("a" * 306, "gsm-7", 2),
        ("a" * 307, "gsm-7", 3),
        ("€" * 80, "gsm-7", 1),
        ("€" * 81, "gsm-7", 2),
        ("€" * 152, "gsm-7", 2),
        ("€" * 153, "gsm-7", 3),  # 76 of two septets in a part of 153
        ("é" * 160, "gsm-7", 1),
        ("ê" * 70, "ucs-2", 1),
        ("ê" * 71, "ucs-2", 2),
        ("ê" * 134, "ucs-2", 2),
        ("ê" * 135, "ucs-2", 3),
        ("\uffff" * 70, "ucs-2", 1),  # the last one of a single code unit
        ("\U00010000" * 36, "ucs-2", 2),  # the first one of two
        ("😀" * 35, "ucs-2", 1),
        ("😀" * 66, "ucs-2", 2),
        ("😀" * 67, "ucs-2", 3),  # 33 pairs in a part of 67
    ],
)
def test_segments_are_those_of_the_standard(text: str, code: str, parts: int):
    """160 and 153 septets, 70 and 67 code units."""
    assert (encoding(text), segments(text)) == (code, parts)


def test_the_alphabet_is_the_whole_one():
    """128 places, one of which is the escape, and ten signs behind it."""
    known = [chr(code) for code in range(0x10000) if encoding(chr(code)) == "gsm-7"]
    assert len(known) == 127 + len(EXTENSION)
    assert set("àèéùìòÇÉ") < set(known)
    assert not set("êçôîâœ") & set(known)


texts = st.text(st.sampled_from("aé€[Ωê😀 \n9") | st.characters(codec="utf-8"), max_size=400)


@given(texts)
def test_parts_are_the_text_and_each_fits(text: str):
    """Nothing is lost, no character is torn, no part is longer than its room."""
    parts = split(text)
    assert "".join(parts) == text
    for part in parts:
        if encoding(text) == "gsm-7":
            size, room = len(part) + sum(part.count(sign) for sign in EXTENSION), 153 if len(parts) > 1 else 160
        else:
            size, room = len(part.encode("utf-16-be")) // 2, 67 if len(parts) > 1 else 70
        assert size <= room


@pytest.mark.parametrize(
    ("text", "simple"),
    [
        ("Forêt, Façade – « Œuvre »…", 'Foret, Facade - " OEuvre "...'),
        ("62\u00a0%, 1\u202f200", "62 %, 1 200"),
        ("L’Hôpital Łódź", "L'Hopital Lodz"),
        ("Èze É é à ù Ç", "Eze É é à ù Ç"),
        ("سوق ê", "سوق ê"),
        ("Αγορά", "Αγορά"),
    ],
)
def test_what_the_alphabet_lacks_is_written_alike(text: str, simple: str):
    """Or left as it is, where there is no likeness: then it costs 16 bits anyway."""
    assert simplified(text) == simple


@given(texts)
def test_simplifying_never_costs_more(text: str):
    """And does nothing the second time."""
    assert encoding(simplified(text)) == "gsm-7" or simplified(text) == text
    assert simplified(simplified(text)) == simplified(text)
