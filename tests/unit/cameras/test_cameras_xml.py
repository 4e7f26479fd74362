"""A camera's XML: read into a small tree, or refused before it can do harm."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operate.cameras.core.xml import MAX_BYTES, MAX_DEPTH, MAX_ELEMENTS, XmlError, parsed, shown

LAUGHS = b"""<?xml version="1.0"?><!DOCTYPE a [<!ENTITY l0 "ha">%s]><a>&l9;</a>""" % b"".join(
    b'<!ENTITY l%d "%s">' % (n, b"&l%d;" % (n - 1) * 10) for n in range(1, 10)
)


def test_it_is_read_by_local_names():
    """Prefixes and namespaces are left out, text is joined, attributes are kept."""
    root = parsed(b'<s:E xmlns:s="urn:a" xmlns="urn:b"><A s:token="x"> one <B>two</B> three </A><A/></s:E>')
    assert root.name == "E"
    assert [one.name for one in root.children] == ["A", "A"]
    first = root.children[0]
    assert (first.attributes, first.text_at(), first.text_at("B")) == ({"token": "x"}, "one  three", "two")
    assert root.text_at("A", "B") == "two"
    assert root.at("A", "C", "D") is None
    assert root.text_at("none") == ""
    assert len(list(root.all("A"))) == 2
    assert [one.text for one in root.all("B")] == ["two"]


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (LAUGHS, "document type"),
        (b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>', "document type"),
        (b'<!DOCTYPE a SYSTEM "http://127.0.0.1:9/a.dtd"><a/>', "document type"),
        (b"<a>&l9;</a>", "no XML"),
        (b"", "no XML"),
        (b"<a>", "no XML"),
        (b"<a/><b/>", "no XML"),
        (b"\xff\xfe\x00", "no XML"),
        (b'<?xml version="1.0" encoding="no-such"?><a/>', "no XML"),
        (b"<html><body><p>hello</body></html>", "no XML"),
        (b"<a>" * (MAX_DEPTH + 1) + b"</a>" * (MAX_DEPTH + 1), "more elements"),
        (b"<a>" + b"<b/>" * MAX_ELEMENTS + b"</a>", "more elements"),
        (b"<a>" + b" " * MAX_BYTES + b"</a>", "larger than 1 MiB"),
    ],
)
def test_what_could_harm_is_refused(document, why):
    """Entities, whatever they are for, are refused with the declaration that would define them; so is size."""
    with pytest.raises(XmlError, match=why):
        parsed(document)


def test_what_is_just_allowed():
    """The limits themselves are allowed."""
    assert parsed(b"<a>" * MAX_DEPTH + b"</a>" * MAX_DEPTH).name == "a"
    assert len(parsed(b"<a>" + b"<b/>" * (MAX_ELEMENTS - 1) + b"</a>").children) == MAX_ELEMENTS - 1
    assert parsed(b"<a>" + b" " * (MAX_BYTES - 7) + b"</a>").name == "a"


@given(st.binary(max_size=400) | st.text(alphabet='<>&!/="a []DOCTYPE%;', max_size=80).map(str.encode))
def test_any_bytes_are_a_tree_or_refused(data):
    """Nothing but XmlError comes out of it."""
    try:
        assert parsed(data).name
    except XmlError as error:
        assert str(error)  # noqa: PT017 - either is right


@given(st.text(max_size=200), st.integers(2, 60))
def test_a_text_is_shown_on_one_line(text, most):
    """Nothing in it can move a terminal's cursor, and it is no longer than asked for."""
    found = shown(text, most)
    assert found.isprintable()
    assert len(found) <= most
    assert shown(found, most) == found


def test_a_short_text_is_shown_as_it_is():
    """Spaces are joined, what cannot be printed is a question mark, the rest of a long text a dot."""
    assert shown(" North \n gate ") == "North gate"
    assert shown("a\x1b[2Jb") == "a?[2Jb"
    assert shown("abcdef", 4) == "abc…"
    assert shown("abcd", 4) == "abcd"
