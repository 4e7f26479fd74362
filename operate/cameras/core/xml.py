"""Reads a camera's XML into a small tree, and refuses what could harm the reader.

A document type declaration is refused unread, and with it every entity that a document could define: billion laughs,
external entities (CWE-776, CWE-611). SOAP forbids it anyway (SOAP 1.2 part 1, §5).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

MAX_BYTES = 1 << 20
"""No answer of a camera is larger: a profile takes 2 to 6 kB."""
MAX_ELEMENTS = 20_000
MAX_DEPTH = 50


class XmlError(ValueError):
    """An answer that is not read; the text says why, and quotes nothing of it."""


@dataclass
class Element:
    """An element by its local name: prefixes and namespaces are left out, since cameras mix them up."""

    name: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list["Element"] = field(default_factory=list)
    text: str = ""

    def all(self, name: str) -> Iterator["Element"]:
        """Yield every element of this name below, in the document's order; nothing below one of them."""
        for child in self.children:
            if child.name == name:
                yield child
            else:
                yield from child.all(name)

    def at(self, *path: str) -> "Element | None":
        """Return the first element on this path of children; None if there is none."""
        found: Element | None = self
        for name in path:
            found = next((child for child in found.children if child.name == name), None) if found else None
        return found

    def text_at(self, *path: str) -> str:
        """Return the text at this path of children, without space around it; empty if there is none."""
        found = self.at(*path)
        return found.text.strip() if found else ""


class _Builder:
    """Expat's handlers: they build the tree, and raise XmlError at what is refused."""

    def __init__(self) -> None:
        self.root = Element("")
        self._open = [self.root]
        self._count = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if self._count > MAX_ELEMENTS or len(self._open) > MAX_DEPTH:
            raise XmlError("its XML has more elements than any camera's")
        one = Element(_local(name), {_local(key): value for key, value in attributes.items()})
        self._open[-1].children.append(one)
        self._open.append(one)

    def end(self, _name: str) -> None:
        self._open.pop()

    def text(self, data: str) -> None:
        self._open[-1].text += data

    def doctype(self, *_: object) -> None:
        raise XmlError("its XML has a document type declaration, which SOAP forbids")


def _local(name: str) -> str:
    return name.rpartition(" ")[2]


def parsed(data: bytes) -> Element:
    """Return the root of an XML document; XmlError if it is none, or is refused."""
    if len(data) > MAX_BYTES:
        raise XmlError(f"its answer is larger than {MAX_BYTES >> 20} MiB")
    builder, parser = _Builder(), expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = builder.start, builder.end
    parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = builder.text, builder.doctype
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, LookupError, ValueError) as error:
        if isinstance(error, XmlError):
            raise
        raise XmlError("its answer is no XML") from None
    return builder.root.children[0]


def shown(text: str, most: int = 48) -> str:
    """Return a camera's text as a terminal may show it: on one line, printable, of limited length."""
    plain = "".join(letter if letter.isprintable() else "?" for letter in " ".join(text.split()))
    return plain if len(plain) <= most else f"{plain[: most - 1]}…"
