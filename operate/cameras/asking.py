"""From what somebody typed to a camera's answers; what cannot be used is one clear error."""

import ssl
from pathlib import Path

from operate import output
from operate.cameras.camera import CameraAnswers, CameraError, OnvifCamera
from operate.cameras.core.addresses import AddressError, CameraAddress, Login, camera_address
from operate.cameras.core.video_streams import Choice, choose, named
from operate.cameras.exchange import Exchange
from services.destinations import refusal
from services.ingest.sources.http_camera import context_of
from services.kernel.settings import SettingsError

_COMMAND = "moretta cameras"


def camera(
    host: str, user: str | None, password_file: Path | None, ca_file: str | None, *, link_local: bool
) -> OnvifCamera:
    """Return the camera to ask; SettingsError names the option that is wrong."""
    try:
        address = camera_address(host)
    except AddressError as error:
        raise SettingsError(_COMMAND, [("HOST", str(error))]) from None
    _require_allowed(address, link_local=link_local)
    login = _login(user, password_file)
    exchange = Exchange(address, login, _context(address, ca_file), link_local=link_local)
    return OnvifCamera(address, login, exchange, link_local=link_local)


def _require_allowed(address: CameraAddress, *, link_local: bool) -> None:
    if why := refusal(address.host, link_local=link_local):
        hint = "; --allow-link-local allows such" if "link-local" in why else ""
        raise SettingsError(address.label, [("", f"{why}{hint}")])


def _login(user: str | None, password_file: Path | None) -> Login | None:
    if user is None and password_file is None:
        return None
    if user is None or password_file is None:
        missing, given = ("--user", "--password-file") if user is None else ("--password-file", "--user")
        raise SettingsError(_COMMAND, [(missing, f"is missing; it goes with {given}")])
    try:
        password = password_file.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        why = f"cannot read {str(password_file)!r}: {getattr(error, 'strerror', None) or 'not a text file'}"
        raise SettingsError(_COMMAND, [("--password-file", f"{why}; name a readable file with the password")]) from None
    if not user or not password:
        empty = "--user" if not user else "--password-file"
        raise SettingsError(_COMMAND, [(empty, "is empty; it must hold what the camera knows")])
    return Login(user, password)


def _context(address: CameraAddress, ca_file: str | None) -> ssl.SSLContext:
    if ca_file is not None and not address.secure:
        raise SettingsError(_COMMAND, [("--ca-file", f"is for https; write https://{address.label} as HOST")])
    try:
        return context_of({"tls_verify": "1", **({"ca_file": ca_file} if ca_file else {})})
    except (OSError, ssl.SSLError):
        why = f"{ca_file!r} cannot be read as certificates; name a PEM file"
        raise SettingsError(_COMMAND, [("--ca-file", why)]) from None


def seen(one: OnvifCamera, host: str) -> CameraAnswers:
    """Return what a camera says, with progress; SettingsError if it cannot be asked."""
    try:
        with output.stages() as on_step:
            return one.look(on_step)
    except CameraError as error:
        raise SettingsError(camera_address(host).label, [("", str(error))]) from None


def chosen(found: CameraAnswers, host: str, stream: str | None, *, long_side: int, fps: float) -> Choice:
    """Return the stream to take; SettingsError if there is none, or none of that name."""
    usable = choose(found.streams, long_side=long_side, fps=fps)
    wanted = usable if stream is None else named(found.streams, stream, fps=fps)
    if wanted is not None:
        return wanted
    if stream is not None:
        known = ", ".join(one.token for one in found.streams if one.refused is None)
        raise SettingsError(_COMMAND, [("--stream", f"no usable stream {stream!r}; the camera has {known or 'none'}")])
    why = f"none of its streams can be taken; `moretta cameras show {host}` says why"
    raise SettingsError(found.address.label, [("", why)])
