"""Checks and adapts WHIP offers, adapts the WebRTC library's answers, and recognises key frames. Pure.

Session descriptions are lines of text (RFC 8866), with a new section at each `m=`. The rules are those of RFC 9725
§4.4.
"""

import ipaddress
import re
from collections.abc import Iterator
from typing import Literal

from services.destinations import refusal
from services.ingest.core.ice import MAX_OFFERED

Codec = Literal["h264", "vp8"]
_START = b"\x00\x00\x01"
_SLICES = range(1, 6)
_IDR = 5


def is_key(codec: Codec, data: bytes) -> bool:
    """Return whether a decoder can start here: an IDR picture (H.264, Annex B), a VP8 key frame (RFC 6386 §9.1)."""
    if codec == "vp8":
        return bool(data) and not data[0] & 1
    at = data.find(_START)
    while 0 <= at < len(data) - len(_START):
        kind = data[at + len(_START)] & 0x1F
        if kind in _SLICES:  # the first slice decides; parameter sets may come before
            return kind == _IDR
        at = data.find(_START, at + len(_START))
    return False


START_KBPS, LEAST_KBPS = 2500, 1500
"""Chromium begins at 300 kbit/s and scales the picture down; with these rates it keeps 1280x720 (measured)."""
_BASELINE = "42"
_FINGERPRINT = re.compile(r"a=fingerprint:sha-(256|384|512) ", re.IGNORECASE)
_CANDIDATE = re.compile(
    r"(?P<head>a=candidate:\S+ (?P<component>\d+) (?P<transport>\S+) \d+) (?P<address>\S+)"
    r"(?P<tail> (?P<port>\d{1,5}) typ .+)"
)
_PORTS = range(1024, 65_536)
"""The ports that an offer may name: below are servers of others, which libwebrtc refuses, too."""
_MAX_LINES = 300
"""Limit per section; Chromium sends 123. aiortc's time, on the loop, grows with codecs times feedback lines."""
_TRANSPORT = ("a=ice-ufrag:", "a=ice-pwd:", "a=ice-options:", "a=fingerprint:", "a=setup:", "a=rtcp-mux")
_NEEDED = "a=ice-ufrag, a=ice-pwd, a=setup, a=rtcp-mux and a SHA-2 a=fingerprint"
_DIRECTIONS = ("a=sendrecv", "a=sendonly", "a=recvonly", "a=inactive")


class OfferError(Exception):
    """A refused offer, with the HTTP status that RFC 9725 asks for."""

    def __init__(self, status: int, detail: str) -> None:
        self.status, self.detail = status, detail
        super().__init__(detail)


def check_offer(offer: str) -> Codec:
    """Return the codec to answer with, H.264 where it is offered; OfferError says what is wrong with the offer."""
    session, *sections = sections_of(offer)
    if session[:1] != ["v=0"] or not sections:
        raise OfferError(400, "the body is no SDP offer: it begins with v=0 and has an m= line")
    if max(map(len, sections)) > _MAX_LINES:
        raise OfferError(400, f"an m= section has more than {_MAX_LINES} lines")
    if not all(map(_mid, sections)):
        raise OfferError(400, "every m= section needs an a=mid")
    kinds = [_kind(section) for section in sections]
    if kinds.count("video") != 1 or kinds.count("audio") > 1 or set(kinds) - {"video", "audio"}:
        raise OfferError(406, "offer one video track, with at most one audio track beside it, and no data channel")
    if not _is_whole([*session, *_tagged(session, sections)]):
        raise OfferError(400, f"the first m= section of the BUNDLE group needs {_NEEDED}")
    video = sections[kinds.index("video")]
    if _direction(session, video) in {"a=recvonly", "a=inactive"}:
        raise OfferError(406, "the video track must be sent: a=sendonly")
    codec = _best(video)
    if codec is None:
        raise OfferError(406, "offer H.264 (baseline, packetization-mode=1) or VP8; nothing else is taken")
    return codec


def sections_of(text: str) -> list[list[str]]:
    """Return the lines before the first `m=`, then those of each section."""
    sections: list[list[str]] = [[]]
    for line in text.splitlines():
        if line.startswith("m="):
            sections.append([])
        sections[-1].append(line)
    return sections


def with_addresses_only(offer: str, *, link_local: bool = False) -> str:
    """Return the offer with no candidates but a few UDP addresses that Moretta may send to; see `refusal`.

    Browsers hide their addresses behind mDNS names, and resolving those would ask the whole network. The peer's checks
    come anyway and show its address. The offer then also doesn't say that the candidates are complete: without any,
    aioice would give up.
    """
    left = MAX_OFFERED
    lines = []
    for line in offer.splitlines():
        if line.startswith("a=candidate:"):
            if not left or not _is_usable(line, link_local=link_local):
                continue
            left -= 1
        if line != "a=end-of-candidates":
            lines.append(line)
    return _text(lines)


def candidates_of(offer: str) -> list[tuple[str, int]]:
    """Return the addresses and ports of the candidates that `with_addresses_only` left, in the offer's order."""
    found = filter(None, map(_CANDIDATE.fullmatch, offer.splitlines()))
    return [(str(ipaddress.ip_address(one["address"])), int(one["port"])) for one in found]


def spelled_out(offer: str) -> str:
    """Return the offer with each section's direction and with the group's transport, which aiortc doesn't infer.

    A direction may stand before the sections, for all of them, or nowhere (RFC 8866 §6.7). The transport is that of the
    group's first section; sections that are bundle-only have none of their own (RFC 9143 §7.1.3, RFC 9429 §5.2.1).
    """
    session, *sections = sections_of(offer)
    transport = [line for line in _tagged(session, sections) if line.startswith(_TRANSPORT)]
    lines = list(session)
    for section in sections:
        lines += [line for line in section if not line.startswith((*_TRANSPORT, *_DIRECTIONS))]
        lines += [*transport, _direction(session, section)]
    return _text(lines)


def held(answer: str, codec: Codec) -> str:
    """Return the answer with bit rates that keep the peer's resolution, and with RTCP only on RTP's port (RFC 8858)."""
    lines: list[str] = []
    for section in sections_of(answer):
        types = _types(section, codec)
        for line in section:
            lines.append(_faster(line, types))
            if line == "a=rtcp-mux":
                lines.append("a=rtcp-mux-only")
            lines += [
                f"a=fmtp:{t} {_RATES}" for t in types if line.startswith(f"a=rtpmap:{t} ") and not _has(section, t)
            ]
    return _text(lines)


def announcing(answer: str, addresses: list[str]) -> str:
    """Return the answer with candidates of these addresses only; without addresses it stays as it is.

    An address that this machine does not have must forward to it, port by port. It replaces one of the machine's own.
    """
    if not addresses:
        return answer
    lines: list[str] = []
    for section in sections_of(answer):
        mine = [match for line in section if (match := _CANDIDATE.fullmatch(line))]
        made = [f"{one['head']} {address}{one['tail']}" for address in addresses for one in _for(address, mine)]
        default = "c=IN IP6 " if ":" in addresses[0] else "c=IN IP4 "
        for line in section:
            if line.startswith("c=") and mine:
                lines.append(default + addresses[0])
            elif mine and line == mine[0].string:
                lines += made
            elif not line.startswith("a=candidate:"):
                lines.append(line)
    return _text(lines)


_RATES = f"x-google-start-bitrate={START_KBPS};x-google-min-bitrate={LEAST_KBPS}"
_NAMES: dict[Codec, str] = {"h264": "H264/90000", "vp8": "VP8/90000"}


def _for(address: str, mine: list[re.Match[str]]) -> list[re.Match[str]]:
    same = [one for one in mine if one["address"] == address]
    family = [one for one in mine if (":" in one["address"]) == (":" in address)]
    return same or family[:1]


def _faster(line: str, types: list[str]) -> str:
    return f"{line};{_RATES}" if any(line.startswith(f"a=fmtp:{t} ") for t in types) else line


def _has(section: list[str], payload_type: str) -> bool:
    return any(line.startswith(f"a=fmtp:{payload_type} ") for line in section)


def _kind(section: list[str]) -> str:
    return section[0].removeprefix("m=").split(" ")[0]


def _tagged(session: list[str], sections: list[list[str]]) -> list[str]:
    """Return the section whose transport all share: the first of the BUNDLE group, or the only one (RFC 9143 §7.1.3).

    OfferError if the group does not contain all sections: the others would have their own transports.
    """
    groups = [line.removeprefix("a=group:").split() for line in session if line.startswith("a=group:")]
    bundles = [mids for kind, *mids in filter(None, groups) if kind == "BUNDLE"]
    mids = [_mid(section) for section in sections]
    if len(sections) == 1 and not bundles:
        return sections[0]
    if len(bundles) != 1 or len(set(mids)) != len(mids) or sorted(bundles[0]) != sorted(mids):
        raise OfferError(406, "the m= sections must be of one BUNDLE group, which names the a=mid of each")
    return sections[mids.index(bundles[0][0])]


def _mid(section: list[str]) -> str:
    """Return a section's last `a=mid`, which is the one that aiortc takes too; empty without one."""
    return next((line.removeprefix("a=mid:") for line in reversed(section) if line.startswith("a=mid:")), "")


def _direction(session: list[str], section: list[str]) -> str:
    stated = (line for line in [*reversed(section), *reversed(session)] if line in _DIRECTIONS)
    return next(stated, "a=sendrecv")


def _is_whole(lines: list[str]) -> bool:
    needed = ("a=ice-ufrag:", "a=ice-pwd:", "a=setup:", "a=rtcp-mux")
    return all(any(line.startswith(n) for line in lines) for n in needed) and any(map(_FINGERPRINT.match, lines))


def _best(video: list[str]) -> Codec | None:
    if any(_is_baseline(video, t) for t in _types(video, "h264")):
        return "h264"
    return "vp8" if _types(video, "vp8") else None


def _types(section: list[str], codec: Codec) -> list[str]:
    """Return the payload types of this codec."""
    return [
        line.removeprefix("a=rtpmap:").split(" ")[0]
        for line in _maps(section)
        if line.split(" ")[1:] == [_NAMES[codec]]
    ]


def _maps(section: list[str]) -> Iterator[str]:
    return (line for line in section if line.startswith("a=rtpmap:"))


def _is_baseline(video: list[str], payload_type: str) -> bool:
    head = f"a=fmtp:{payload_type} "
    parameters = next((line.removeprefix(head) for line in video if line.startswith(head)), "")
    given = dict(pair.strip().partition("=")[::2] for pair in parameters.split(";"))
    profile = given.get("profile-level-id", "42e01f")  # RFC 6184 §8.1, as WebRTC reads its absence
    return given.get("packetization-mode") == "1" and profile.startswith(_BASELINE)


def _is_usable(line: str, *, link_local: bool) -> bool:
    match = _CANDIDATE.fullmatch(line)
    if match is None or match["transport"].lower() != "udp" or match["component"] != "1":
        return False
    try:
        ipaddress.ip_address(match["address"])
    except ValueError:
        return False
    return int(match["port"]) in _PORTS and refusal(match["address"], link_local=link_local) is None


def _text(lines: list[str]) -> str:
    return "".join(f"{line}\r\n" for line in lines)
