"""`moretta notify test`: a message that says it is a test, by every channel of a receiver."""

import secrets
import time
from pathlib import Path

from proto.public import AlertV1
from proto.types import WHOLE_SITE
from services.kernel.faults import StartError
from services.kernel.settings import SettingsError, load
from services.notify.channels import channels_of
from services.notify.core.notification import Group, Notification, notice_of
from services.notify.core.outcome import Failure, advice, judge
from services.notify.core.recipient import Recipient
from services.notify.directory import Directory
from services.notify.settings import NotifyFile
from services.sites.profiles import TRIAL

_COMMAND = "moretta notify test"
_WINDOW = 20 * 60 * 10**9


async def send(file: Path, receiver: str, site: str | None) -> tuple[list[str], bool]:
    """Send it and return a line for each recipient, without an address, and whether all were told."""
    settings = load(file, NotifyFile)
    directory = Directory.of(settings)
    if receiver not in directory.receivers:
        known = ", ".join(directory.receivers) or "none"
        raise SettingsError(_COMMAND, [("RECEIVER", f"{receiver!r} is no receiver in {file}; there are: {known}")])
    if site is not None and site not in directory.sites:
        known = ", ".join(directory.sites) or "none"
        raise SettingsError(_COMMAND, [("--site", f"{site!r} is no site in {file}; there are: {known}")])
    told = example(receiver, site or next(iter(directory.sites), "site"), time.time_ns())
    try:
        channels = channels_of(directory, None)
    except StartError as error:  # a certificate that can't be read
        raise SettingsError(file, [("", str(error))]) from None
    lines, good = [], True
    try:
        for recipient in directory.recipients(receiver):
            channel = channels.get(recipient.channel)
            failure = _NONE if channel is None else await channel.send(told, recipient)
            lines.append(_line(recipient, failure))
            good = good and failure is None
    finally:
        for channel in channels.values():
            await channel.close()
    return lines, good


_NONE = Failure("other", "connect", detail="no such channel is set up")


def example(receiver: str, site: str, now: int) -> Notification:
    """Return a notification of an alert that never was; its profile and its reason say so."""
    name = secrets.token_hex(8)
    end = now // _WINDOW * _WINDOW
    alert = AlertV1(
        site=site,
        zone=WHOLE_SITE,
        rule="test",
        profile=TRIAL,
        alert=name,
        state="firing",
        severity="info",
        since=end - _WINDOW,
        start=end - _WINDOW,
        end=end,
        rate=0.62,
        interval=(0.54, 0.69),
        persons=143,
        coverage=0.97,
        fire_below=0.7,
        clear_above=0.75,
    )
    notice = notice_of(alert, now)
    return Notification(name, Group(receiver, site, "field"), "test", 1, name, now, (notice,), (), frozenset({name}))


def _line(recipient: Recipient, failure: Failure | None) -> str:
    what = f"{recipient.channel} to {recipient.name}: "
    if failure is None:
        return f"{what}accepted"
    code = f" {failure.code}" if failure.code is not None else ""
    detail = f" ({failure.detail})" if failure.detail else ""
    return (
        f"{what}failed at {failure.stage}: {judge(failure).reason}{code}{detail}; {advice(failure, recipient.channel)}"
    )
