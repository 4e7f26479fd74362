"""Where the camera page is, for people at the terminal: its address, a QR code of it, the certificate's fingerprint."""

import io

import msgspec
import segno


class _PageLogged(msgspec.Struct):
    """What ingest logs when it serves the page."""

    event: str
    url: str
    fingerprint: str


def page_sign(line: str) -> str | None:
    """Return what to show for this log line of ingest; None if it is about something else."""
    try:
        told = msgspec.json.decode(line, type=_PageLogged)
    except msgspec.MsgspecError:
        return None
    if told.event != "camera page":
        return None
    drawn = io.StringIO()
    segno.make(told.url, micro=False).terminal(drawn, compact=True, border=2)
    return (
        f"{drawn.getvalue()}camera page: {told.url}\n"
        f"a browser that warns must show this certificate (SHA-256): {told.fingerprint}"
    )
