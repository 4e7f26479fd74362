"""Bytes as they are written where only text is expected: base64, hexadecimal digits, escapes, transfer encodings."""

import base64
import binascii
import quopri
import re
from collections.abc import Iterator

_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{44,}")
_HEX = re.compile(rb"(?:[0-9a-fA-F]{2}){32,}")
_FOLDED = re.compile(rb"(?<=[A-Za-z0-9+/])\r?\n(?=[A-Za-z0-9+/=])")
"""Where base64 goes on in the next line (RFC 2045 §6.8)."""
_ESCAPE = re.compile(rb"\\(?:(?:x|u00)([0-9a-fA-F]{2})|([0-7]{3})|(.))", re.DOTALL)
_BYTE = re.compile(rb"\\x([0-9a-fA-F]{2})")
"""As Python decodes what is no text (`backslashreplace`), which leaves backslashes alone."""
_PERCENT = re.compile(rb"%([0-9a-fA-F]{2})")
_SHORT = dict(zip(b"abfnrtv", b"\a\b\f\n\r\t\v", strict=True))
"""What a letter behind a backslash stands for (ISO C, Python, JSON); any other sign stands for itself."""
_NUMBERS = re.compile(rb"(?:\b\d{1,3}\b[,;\s]{1,4}){31,}\d{1,3}\b")
_URLSAFE = bytes.maketrans(b"-_", b"+/")


def forms(data: bytes) -> Iterator[bytes]:
    """Yield the bytes themselves, and whatever they may stand for as text: what was found is found in any of them."""
    yield data
    if b"\\" in data:
        yield _unescaped(data)
        yield _BYTE.sub(_byte, data)
    if b"%" in data or b"=" in data:
        yield from _quoted(data)
    for match in _BASE64.finditer(_FOLDED.sub(b"", data)):
        yield from _from_base64(match[0])
    for match in _HEX.finditer(data):
        yield bytes.fromhex(match[0].decode())
    for match in _NUMBERS.finditer(data):
        numbers = [int(one) for one in re.findall(rb"\d+", match[0])]
        if max(numbers) < 256:
            yield bytes(numbers)


def _unescaped(data: bytes) -> bytes:
    def byte(match: re.Match[bytes]) -> bytes:
        if match[3]:
            return bytes([_SHORT.get(match[3][0], match[3][0])])
        return bytes([int(match[1], 16) if match[1] else int(match[2], 8) & 0xFF])

    return _ESCAPE.sub(byte, data)


def _quoted(data: bytes) -> Iterator[bytes]:
    """As in URLs and forms (RFC 3986 §2.1), and in mails (RFC 2045 §6.7)."""
    yield _PERCENT.sub(_byte, data)
    yield quopri.decodestring(data)


def _byte(match: re.Match[bytes]) -> bytes:
    return bytes([int(match[1], 16)])


def _from_base64(run: bytes) -> Iterator[bytes]:
    """All four places at which a group may begin: what stands before the run may be of the same letters."""
    for start in range(4):
        part = run[start:].translate(_URLSAFE)
        try:
            yield base64.b64decode(part[: len(part) // 4 * 4])
        except binascii.Error:
            continue
