"""What a WHIP peer's offer must say, and what its answer says beside the WebRTC library's own words. Pure.

Session descriptions are text (RFC 8866): lines, a new section at each `m=`. The rules are those of RFC 9725 §4.4.
"""

import ipaddress
import re
from collections.abc import Iterator

from services.ingest.core.encoded import Codec

START_KBPS, LEAST_KBPS = 2500, 1500
"""Chromium begins at 300 kbit/s and scales the picture down; with these it holds 1280x720 (measured)."""
_BASELINE = "42"
_FINGERPRINT = re.compile(r"a=fingerprint:sha-(256|384|512) ", re.IGNORECASE)
_CANDIDATE = re.compile(r"(?P<head>a=candidate:\S+ \d+ (?P<transport>\S+) \d+) (?P<address>\S+)(?P<tail> \d+ typ .+)")
_MOST_CANDIDATES = 64
_MOST_LINES = 300
"""Of one section; Chromium sends 123. aiortc takes the time of codecs times their feedback lines, on the loop."""
_TRANSPORT = ("a=ice-ufrag:", "a=ice-pwd:", "a=ice-options:", "a=fingerprint:", "a=setup:", "a=rtcp-mux")
_NEEDED = "a=ice-ufrag, a=ice-pwd, a=setup, a=rtcp-mux and a SHA-2 a=fingerprint"
_DIRECTIONS = ("a=sendrecv", "a=sendonly", "a=recvonly", "a=inactive")


class OfferError(Exception):
    """An offer that is refused, with the status of HTTP that RFC 9725 asks for."""

    def __init__(self, status: int, detail: str) -> None:
        self.status, self.detail = status, detail
        super().__init__(detail)


def check_offer(offer: str) -> Codec:
    """Return the codec to answer with, H.264 where it is offered; OfferError says what is wrong with the offer."""
    session, *sections = sections_of(offer)
    if session[:1] != ["v=0"] or not sections:
        raise OfferError(400, "the body is no SDP offer: it begins with v=0 and has an m= line")
    if max(map(len, sections)) > _MOST_LINES:
        raise OfferError(400, f"an m= section has more than {_MOST_LINES} lines")
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


def with_addresses_only(offer: str) -> str:
    """Return the offer without the candidates that are no UDP address.

    Browsers hide theirs behind mDNS names, for which the whole network would be asked; the peer's checks come anyway,
    and show its address. Nor does the offer say then that these are all: aioice would give up without any.
    """
    left = _MOST_CANDIDATES
    lines = []
    for line in offer.splitlines():
        if line.startswith("a=candidate:"):
            left -= 1
            if left < 0 or not _is_usable(line):
                continue
        if line != "a=end-of-candidates":
            lines.append(line)
    return _text(lines)


def spelled_out(offer: str) -> str:
    """Return the offer with what aiortc doesn't infer for each section: its direction, and the transport of the group.

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
    """Return the answer with rates that keep the peer's resolution, and with RTCP on RTP's port alone (RFC 8858)."""
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
    """Return the answer with candidates of these addresses only; without any it stays as it is.

    An address that this machine hasn't is one that forwards to it, port by port: it takes the place of another.
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
    """The section whose transport is everybody's: the first of the BUNDLE group, or the only one (RFC 9143 §7.1.3).

    OfferError if the group is not one of all sections: those outside would have transports of their own.
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
    """The last one counts, for aiortc too; empty without one."""
    return next((line.removeprefix("a=mid:") for line in reversed(section) if line.startswith("a=mid:")), "")


def _direction(session: list[str], section: list[str]) -> str:
    said = (line for line in [*reversed(section), *reversed(session)] if line in _DIRECTIONS)
    return next(said, "a=sendrecv")


def _is_whole(lines: list[str]) -> bool:
    needed = ("a=ice-ufrag:", "a=ice-pwd:", "a=setup:", "a=rtcp-mux")
    return all(any(line.startswith(n) for line in lines) for n in needed) and any(map(_FINGERPRINT.match, lines))


def _best(video: list[str]) -> Codec | None:
    if any(_is_baseline(video, t) for t in _types(video, "h264")):
        return "h264"
    return "vp8" if _types(video, "vp8") else None


def _types(section: list[str], codec: Codec) -> list[str]:
    """The payload types of this codec."""
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


def _is_usable(line: str) -> bool:
    match = _CANDIDATE.fullmatch(line)
    if match is None or match["transport"].lower() != "udp":
        return False
    try:
        ipaddress.ip_address(match["address"])
    except ValueError:
        return False
    return True


def _text(lines: list[str]) -> str:
    return "".join(f"{line}\r\n" for line in lines)
