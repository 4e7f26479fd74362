"""Two replicas of notify, frozen and killed at random for more than a minute: nobody is missed, nobody told twice.

By hand: `MORETTA_SEED=1 MORETTA_SEEDS=20 .venv/bin/pytest -n 3 -m long tests/integration/notify/test_notify_chaos.py`.
"""

import random

import pytest
from notify_replicas import HASHES
from patience import patient
from seeds import seeds
from strikes import Strike, Strikes

from proto.subjects import NOTIFICATIONS

FEED_S = 70
NAMES = ("one", "two")


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", seeds(1))
async def test_two_replicas_at_random(notify, seed):
    """Each decision once, everyone told, and a mail again only where a replica was stopped just then (ADR 8).

    The mail server hangs up now and then while replicas are struck, and is well afterwards.
    """
    rng = random.Random(seed)
    notify.spoil(random.Random(f"{seed}/mail"))
    notify.start(*NAMES)
    await notify.until(notify.holder, "a holder")
    strikes = Strikes(random.Random(f"{seed}/strikes"), notify.replicas, notify.start)
    async with strikes.going_on():
        fired, over = await notify.feed(rng, FEED_S)
    notify.spoil(rng, hang_up=0.0)  # each hang-up holds a person's next mails up for some 15 s
    await notify.until(lambda: notify.all_told(fired, over), "everyone told of everything")
    await notify.end()
    sent, again = await notify.sent(), notify.again()
    how = [strike.how for strike in strikes.done]
    print(
        f"seed {seed}: {how.count('freeze')} freezes, {how.count('kill')} kills, {len(notify.drops)} hang-ups;"
        f" {len(fired)} alerts, {len(notify.accepted)} mails, {len(again)} of them again"
    )
    assert {len(records) for records in sent.values()} == {1}, "recorded twice"
    decided = {s.message.notification for s in await notify.bus.history(NOTIFICATIONS) if s.message.reason}
    assert {records[0][0] for records in sent.values()} == decided
    for who, address in HASHES.items():
        told = {records[0][0] for (_, _, one), records in sent.items() if one == who}
        assert len(told) == len({message for recipient, message in notify.accepted if recipient == address})
    unexplained = [pair for pair in again if not any(explains(strike, *pair) for strike in strikes.done)]
    assert not unexplained, (unexplained, strikes.done)
    assert len(how) >= 8, "it proves little"


def explains(strike: Strike, first: float, second: float) -> bool:
    """Whether a replica was stopped before it had recorded a mail, or went on in the midst of handing it over."""
    near = patient(1)
    return abs(strike.began - first) < near or (strike.how == "freeze" and abs(strike.ended - second) < near)
