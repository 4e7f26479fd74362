"""`moretta notify replay`: a dead letter is tried again."""

import asyncio
import time
from pathlib import Path
from typing import cast

from operate.orders import ANSWER_S, checked, operator_bus
from proto.codec import ContractError, decode
from proto.control import DeadV1
from proto.notifications import NotificationV1, ReplayReplyV1, ReplayRequestV1
from proto.subjects import DEAD, NOTIFICATIONS, REPLAY
from services.bus import Bus, NoWorkers
from services.kernel.settings import SettingsError

_COMMAND = "moretta notify replay"


async def replay(file: Path, dead: int, *, operator: str, why: str) -> ReplayReplyV1:
    """Order it and return what came of it; SettingsError if it can't be ordered. It is audited when this returns."""
    bus = await operator_bus(file)
    try:
        letter = await _letter(bus, dead)
        given = ReplayRequestV1(
            site=letter.site, notification=letter.notification, operator=operator, why=why, at=time.time_ns()
        )
        reply = await bus.request(REPLAY, checked(_COMMAND, given), timeout=ANSWER_S)
    except TimeoutError:
        why_not = (
            "no notify confirmed it, perhaps nobody tells of its site; `moretta notify status` shows what is tried"
        )
        raise SettingsError(_COMMAND, [("", why_not)]) from None
    except NoWorkers:
        raise SettingsError(_COMMAND, [("", "no notify is connected to this NATS; nothing was changed")]) from None
    finally:
        await bus.close()
    assert isinstance(reply, ReplayReplyV1)
    if reply.error is not None:
        raise SettingsError(_COMMAND, [("DEAD-ID", reply.error)])
    return reply


async def _letter(bus: Bus, dead: int) -> NotificationV1:
    """Return the notification that is in a dead letter."""
    async with asyncio.timeout(ANSWER_S):
        found = {one.sequence: cast("DeadV1", one.message) for one in await bus.history(DEAD, service="notify")}
    if dead not in found:
        known = ", ".join(str(number) for number in list(found)[-10:]) or "none"
        raise SettingsError(_COMMAND, [("DEAD-ID", f"{dead} is no dead letter of notify; there are: {known}")])
    try:
        return cast("NotificationV1", decode(NOTIFICATIONS, found[dead].payload or b""))
    except ContractError:
        raise SettingsError(_COMMAND, [("DEAD-ID", f"{dead} holds no notification: {found[dead].reason}")]) from None
