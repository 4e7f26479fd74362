"""The dispatcher: alerts in, decisions to tell or to withhold out (ADR 17). Alertmanager's terms and semantics."""

from collections.abc import Iterable
from dataclasses import dataclass

from proto.notifications import NotificationV1, SilenceV1
from proto.types import SilenceId
from services.notify.core.decision import Output
from services.notify.core.notification import Notice
from services.notify.core.routing import Plan


@dataclass(frozen=True, slots=True)
class SilenceGone:
    """An operator took a silence back, or the bus forgot it."""

    silence: SilenceId


Input = Notice | SilenceV1 | SilenceGone | Plan
"""An alert in a new state; a silence set or changed; one gone; other settings."""


class Dispatcher:
    """Decides for one site or for several. Instants are ns; the same inputs give the same decisions."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def restore(
        self, notices: Iterable[Notice], records: Iterable[NotificationV1], silences: Iterable[SilenceV1], now: int
    ) -> None:
        """Take up where an earlier one was: all stored alerts and decisions, each in the order of its stream.

        What was decided and not stored is decided again, with the same ids, by the next `step`.
        """
        raise NotImplementedError

    def step(self, now: int, *inputs: Input) -> list[Output]:
        """Take inputs in and return what follows from them and from the time, in the order in which to store it."""
        raise NotImplementedError

    def next_deadline(self) -> int | None:
        """Return when `step` has to be called at the latest, without any input; None: not before there is one."""
        raise NotImplementedError
