"""Silences: alerts that operators don't want to be told of for a while."""

from collections.abc import Collection

from proto.notifications import SilenceV1
from proto.types import ReceiverId, SilenceId, ZoneId
from services.notify.core.notification import Notice


def matches(silence: SilenceV1, notice: Notice, zones: Collection[ZoneId], receiver: ReceiverId) -> bool:
    """Return whether a silence is about an alert, which is about these zones, for this receiver."""
    return (
        (not silence.sites or notice.site in silence.sites)
        and (not silence.zones or any(zone in silence.zones for zone in zones))
        and (not silence.rules or notice.rule in silence.rules)
        and (not silence.receivers or receiver in silence.receivers)
    )


class Silences:
    """Those that are in force, or will be. Each holds from `starts` on, until before `ends`."""

    def __init__(self) -> None:
        self._known: dict[SilenceId, SilenceV1] = {}

    def put(self, silence: SilenceV1) -> None:
        """Take one in, in place of an earlier one of its name."""
        self._known[silence.silence] = silence

    def remove(self, silence: SilenceId) -> None:
        """Forget one; nothing happens if it isn't known."""
        self._known.pop(silence, None)

    def forget(self, now: int) -> None:
        """Forget those that have ended."""
        self._known = {name: one for name, one in self._known.items() if one.ends > now}

    def next_start(self, after: int) -> int | None:
        """Return when the next one begins after an instant (ns), None if none does."""
        return min((one.starts for one in self._known.values() if one.starts > after), default=None)

    def in_force(self, at: int) -> tuple[SilenceV1, ...]:
        """Return those in force at an instant (ns)."""
        return tuple(one for one in self._known.values() if one.starts <= at < one.ends)


def silenced_until(
    in_force: Collection[SilenceV1], notice: Notice, zones: Collection[ZoneId], receiver: ReceiverId
) -> int:
    """Return when the last of the matching ones ends, ns; 0 if none matches."""
    return max((one.ends for one in in_force if matches(one, notice, zones, receiver)), default=0)
