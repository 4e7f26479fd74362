"""What stored decisions say of who knows what: a fold over them."""

from itertools import count

import pytest

from proto.notifications import NotificationV1
from services.notify.dispatch.replay import KnownAlerts

A, B = "a" * 16, "b" * 16
NUMBERS = count(1)


def decision(reason: str | None = "first", withheld: str | None = None, **told: list[str]) -> NotificationV1:
    """Return a decision about these alerts, `firing` and `resolved`."""
    name = f"{next(NUMBERS):016x}"
    return NotificationV1(
        site="forville", receiver="staff", notification=name, group="0" * 16, number=1, root=name, reason=reason,
        withheld=withheld, at=1, **told,
    )  # fmt: skip


def test_what_was_told_is_no_news_until_its_end_was_told():
    """Of each receiver: what fires is new once, and again after its end."""
    told = KnownAlerts()
    assert told.news(decision(firing=[A])) == {A}
    assert told.news(decision("new-alerts", firing=[A, B])) == {B}
    assert told.knows("staff") == {A, B}
    assert told.knows("boss") == set()
    assert told.news(decision("some-resolved", firing=[B], resolved=[A])) == set()
    assert told.knows("staff") == {B}
    assert told.news(decision(firing=[A])) == {A}


@pytest.mark.parametrize("why", ["capped", "muted", "silenced", "inhibited"])
def test_only_what_the_cap_held_back_waits_for_a_digest(why: str):
    """It is told of though it has ended; what was withheld for another reason is not. Nothing withheld is known."""
    told = KnownAlerts()
    assert told.news(decision(None, why, firing=[A], resolved=[B])) == set()
    assert told.waits("staff") == ({A, B} if why == "capped" else set())
    assert told.knows("staff") == set()
    told.news(decision("digest", firing=[A]))
    assert told.waits("staff") == ({B} if why == "capped" else set())
