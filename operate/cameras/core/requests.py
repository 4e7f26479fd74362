"""What is sent to a camera: SOAP 1.2 requests of ONVIF, and the login in their header (WS-Security UsernameToken)."""

import base64
import hashlib
from datetime import datetime
from typing import Final, Literal
from xml.sax.saxutils import escape, quoteattr

from operate.cameras.core.addresses import Login

DEVICE = "http://www.onvif.org/ver10/device/wsdl"
MEDIA: Final = "http://www.onvif.org/ver10/media/wsdl"
MEDIA2: Final = "http://www.onvif.org/ver20/media/wsdl"
"""The second version of the media service; the first one has no word for H.265."""
MediaService = Literal["http://www.onvif.org/ver10/media/wsdl", "http://www.onvif.org/ver20/media/wsdl"]
_WSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss"
_DIGEST = f"{_WSSE}-username-token-profile-1.0#PasswordDigest"
_BASE64 = f"{_WSSE}-soap-message-security-1.0#Base64Binary"

DATE_AND_TIME = f'<GetSystemDateAndTime xmlns="{DEVICE}"/>'
INFORMATION = f'<GetDeviceInformation xmlns="{DEVICE}"/>'
SERVICES = f'<GetServices xmlns="{DEVICE}"><IncludeCapability>false</IncludeCapability></GetServices>'
CAPABILITIES = f'<GetCapabilities xmlns="{DEVICE}"><Category>All</Category></GetCapabilities>'


def profiles(service: MediaService) -> str:
    """Return the request for the profiles of this version of the media service."""
    wanted = "<Type>VideoEncoder</Type>" if service == MEDIA2 else ""
    return f'<GetProfiles xmlns="{service}">{wanted}</GetProfiles>'


def stream_address(service: MediaService, token: str) -> str:
    """Return the request for a profile's address over RTSP."""
    profile = f"<ProfileToken>{escape(token)}</ProfileToken>"
    if service == MEDIA2:
        return f'<GetStreamUri xmlns="{MEDIA2}"><Protocol>RTSP</Protocol>{profile}</GetStreamUri>'
    schema = 'xmlns="http://www.onvif.org/ver10/schema"'
    how = f"<Stream {schema}>RTP-Unicast</Stream><Transport {schema}><Protocol>RTSP</Protocol></Transport>"
    return f'<GetStreamUri xmlns="{MEDIA}"><StreamSetup>{how}</StreamSetup>{profile}</GetStreamUri>'


def envelope(body: str, header: str = "") -> bytes:
    """Return a whole request."""
    named = 'xmlns:s="http://www.w3.org/2003/05/soap-envelope"'
    head = f"<s:Header>{header}</s:Header>" if header else ""
    text = f'<?xml version="1.0" encoding="UTF-8"?><s:Envelope {named}>{head}<s:Body>{body}</s:Body></s:Envelope>'
    return text.encode()


def security(login: Login, nonce: bytes, at: datetime) -> str:
    """Return the header that proves the password without showing it; `at` is by the camera's clock, in UTC.

    The digest is SHA-1, as the profile fixes it (UsernameToken Profile 1.0, §3.1).
    """
    created = f"{at:%Y-%m-%dT%H:%M:%S}.000Z"
    digest = hashlib.sha1(nonce + created.encode() + login.password.encode(), usedforsecurity=False).digest()
    extension, utility = f"{_WSSE}-wssecurity-secext-1.0.xsd", f"{_WSSE}-wssecurity-utility-1.0.xsd"
    parts = [
        f"<Username>{escape(login.user)}</Username>",
        f"<Password Type={quoteattr(_DIGEST)}>{base64.b64encode(digest).decode()}</Password>",
        f"<Nonce EncodingType={quoteattr(_BASE64)}>{base64.b64encode(nonce).decode()}</Nonce>",
        f'<Created xmlns="{utility}">{created}</Created>',
    ]
    token = f"<UsernameToken>{''.join(parts)}</UsernameToken>"
    return f'<Security s:mustUnderstand="1" xmlns="{extension}">{token}</Security>'
