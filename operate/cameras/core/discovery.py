"""WS-Discovery: the question to all cameras of a network, and what their answers say (WS-Discovery, April 2005)."""

from collections.abc import Collection, Sequence
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from operate.cameras.core.addresses import AddressError, CameraAddress, camera_address
from operate.cameras.core.xml import Element, XmlError, parsed, shown
from services.destinations import refusal

GROUP, PORT = "239.255.255.250", 3702
TYPES = ("dn:NetworkVideoTransmitter", "tds:Device")
"""What a camera says it is; some answer to one of them only."""
_SCOPE = "onvif://www.onvif.org/"
_NAMESPACES = (
    'xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing"'
    ' xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery" xmlns:dn="http://www.onvif.org/ver10/network/wsdl"'
    ' xmlns:tds="http://www.onvif.org/ver10/device/wsdl"'
)


class Found(Struct, frozen=True, kw_only=True, order=True):
    """A camera that answered."""

    host: str
    """The address from which it answered."""
    address: str | None
    """What `moretta cameras show` takes; None if it named no usable address there."""
    name: str = ""
    model: str = ""
    refused: str = ""
    """Why there is no address."""


def probe(message_id: str, kind: str) -> bytes:
    """Return the question for devices of a kind."""
    action = "http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe"
    to = "urn:schemas-xmlsoap-org:ws:2005:04:discovery"
    head = f"<a:Action>{action}</a:Action><a:MessageID>{message_id}</a:MessageID><a:To>{to}</a:To>"
    body = f"<d:Probe><d:Types>{kind}</d:Types></d:Probe>"
    text = f"<s:Envelope {_NAMESPACES}><s:Header>{head}</s:Header><s:Body>{body}</s:Body></s:Envelope>"
    return f'<?xml version="1.0" encoding="UTF-8"?>{text}'.encode()


def answers(datagram: bytes, sender: str, asked: Collection[str], *, link_local: bool) -> list[Found]:
    """Return what a datagram from `sender` says; nothing if it answers none of our questions, by their message ids.

    Only addresses at the sender itself are taken: anybody in the network may answer, and name any host.
    """
    try:
        root = parsed(datagram)
    except XmlError:
        return []
    related = root.text_at("Header", "RelatesTo")
    if root.name != "Envelope" or related not in asked:
        return []
    return [_found(match, sender, link_local=link_local) for match in _matches(root)]


def _matches(root: Element) -> list[Element]:
    return list(root.all("ProbeMatch"))[:1]  # one device answers for itself


def _found(match: Element, sender: str, *, link_local: bool) -> Found:
    scopes = match.text_at("Scopes").split()[:64]
    name, model = _scope(scopes, "name"), _scope(scopes, "hardware")
    if why := refusal(sender, link_local=link_local):
        return Found(host=sender, address=None, name=name, model=model, refused=why)
    named = match.text_at("XAddrs").split()[:16]
    here = [one for one in map(_address, named) if one is not None and one.host == sender]
    if not here:
        why = f"it names no address at {sender}" + (", only other hosts or unusable paths" if named else "")
        return Found(host=sender, address=None, name=name, model=model, refused=why)
    best = min(here, key=lambda one: one.secure)
    return Found(host=sender, address=_shown(best), name=name, model=model)


def _address(xaddr: str) -> CameraAddress | None:
    try:
        return camera_address(xaddr) if urlsplit(xaddr).scheme in {"http", "https"} else None
    except (AddressError, ValueError):
        return None


def _shown(one: CameraAddress) -> str:
    """Return an address as short as `camera_address` reads it back."""
    usual = not one.secure and one == camera_address(one.label)
    shortest = one.host if one.port == 80 else one.label
    return shortest if usual else f"http{'s' if one.secure else ''}://{one.label}{one.path}"


def _scope(scopes: Sequence[str], kind: str) -> str:
    start = f"{_SCOPE}{kind}/"
    return next((shown(unquote(one[len(start) :])) for one in scopes if one.lower().startswith(start)), "")


def together(found: Collection[Found]) -> list[Found]:
    """Return each camera once, in the order of their addresses; one with an address counts before one without."""
    kept: dict[str, Found] = {}
    hosts: set[str] = set()
    for one in sorted(found, key=lambda each: (each.address is None, each)):
        if one.address or one.host not in hosts:
            kept.setdefault(one.address or one.host, one)
            hosts.add(one.host)
    return sorted(kept.values(), key=_order)


def _order(one: Found) -> tuple[list[int], str]:
    return [int(part) for part in one.host.split(".") if part.isdigit()], one.address or ""
