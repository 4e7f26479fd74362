"""`moretta notify test` sends a message that says it is a test; `moretta notify replay` tries a dead letter again."""

import asyncio
import secrets
import time
from pathlib import Path
from typing import cast

from operate.orders import ANSWER_S, checked, operator_bus
from proto.codec import ContractError, decode
from proto.control import DeadV1
from proto.notifications import NotificationV1, ReplayReplyV1, ReplayRequestV1
from proto.public import AlertV1
from proto.subjects import DEAD, NOTIFICATIONS, REPLAY
from proto.types import WHOLE_SITE
from services.bus import Bus, NoWorkers
from services.kernel.faults import StartError
from services.kernel.settings import SettingsError, load
from services.notify.delivery.channels import channels_of
from services.notify.directory import Directory
from services.notify.notification import Group, Notification, notice_of
from services.notify.outcome import Failure, advice, judge
from services.notify.recipient import Recipient
from services.notify.settings import NotifyFile
from services.sites.profiles import TRIAL

_COMMAND = "moretta notify test"
_WINDOW = 20 * 60 * 10**9


async def send(file: Path, receiver: str, site: str | None) -> tuple[list[str], bool]:
    """Send the test message; return a line for each recipient, without an address, and whether all were told."""
    settings = load(file, NotifyFile)
    directory = Directory.of(settings)
    if receiver not in directory.receivers:
        known = ", ".join(directory.receivers) or "none; -c takes the settings of notify, with notify.receivers"
        raise SettingsError(_COMMAND, [("RECEIVER", f"{receiver!r} is no receiver in {file}; there are: {known}")])
    if site is not None and site not in directory.sites:
        known = ", ".join(directory.sites) or "none"
        raise SettingsError(_COMMAND, [("--site", f"{site!r} is no site in {file}; there are: {known}")])
    notification = example(receiver, site or next(iter(directory.sites), "site"), time.time_ns())
    try:
        channels = channels_of(directory, None)
    except StartError as error:  # a certificate that can't be read
        raise SettingsError(file, [("", str(error))]) from None
    lines, good = [], True
    try:
        for recipient in directory.recipients(receiver):
            channel = channels.get(recipient.channel)
            failure = _NONE if channel is None else await channel.send(notification, recipient)
            lines.append(_line(recipient, failure))
            good = good and failure is None
    finally:
        for channel in channels.values():
            await channel.close()
    return lines, good


_NONE = Failure("other", "connect", detail="no such channel is set up")


def example(receiver: str, site: str, now: int) -> Notification:
    """Return a notification of an invented alert; its profile and its reason say so."""
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
        rate=0.58,
        interval=(0.476, 0.693),  # as the shipped model's errors make it, of 83 of 143 people
        sampling_interval=(0.498, 0.659),
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


_REPLAY = "moretta notify replay"


async def replay(file: Path, dead: int, *, operator: str, why: str) -> ReplayReplyV1:
    """Order a replay and return the reply; SettingsError if it can't be ordered. It is audited when this returns."""
    bus = await operator_bus(file)
    try:
        letter = await _letter(bus, dead)
        given = ReplayRequestV1(
            site=letter.site, notification=letter.notification, operator=operator, why=why, at=time.time_ns()
        )
        reply = await bus.request(REPLAY, checked(_REPLAY, given), timeout=ANSWER_S)
    except TimeoutError:
        why_not = (
            "no notify confirmed it, perhaps nobody tells of its site; `moretta notify status` shows what is tried"
        )
        raise SettingsError(_REPLAY, [("", why_not)]) from None
    except NoWorkers:
        raise SettingsError(_REPLAY, [("", "no notify is connected to this NATS; nothing was changed")]) from None
    finally:
        await bus.close()
    assert isinstance(reply, ReplayReplyV1)
    if reply.error is not None:
        raise SettingsError(_REPLAY, [("DEAD-ID", reply.error)])
    return reply


async def _letter(bus: Bus, dead: int) -> NotificationV1:
    """Return the notification that is in a dead letter."""
    async with asyncio.timeout(ANSWER_S):
        found = {one.sequence: cast("DeadV1", one.message) for one in await bus.history(DEAD, service="notify")}
    if dead not in found:
        known = ", ".join(str(number) for number in list(found)[-10:]) or "none"
        raise SettingsError(_REPLAY, [("DEAD-ID", f"{dead} is no dead letter of notify; there are: {known}")])
    try:
        return cast("NotificationV1", decode(NOTIFICATIONS, found[dead].payload or b""))
    except ContractError:
        raise SettingsError(_REPLAY, [("DEAD-ID", f"{dead} holds no notification: {found[dead].reason}")]) from None
