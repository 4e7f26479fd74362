"""Killed and frozen at random, notify tells of every alert; a mail comes twice in the stated gap alone, and is counted.

By hand: `MORETTA_SEEDS=50 .venv/bin/pytest -n 0 -m long tests/integration/notify/test_notify_crash.py -k seed`.
"""

import asyncio
import os
import random
import signal
import time

import pytest
from notify_replicas import HASHES, settings
from patience import patient

from proto.subjects import NOTIFICATIONS, NOTIFY_LEASES
from services.bus import Fenced
from services.notify.delivery.outbox import AT_ONCE

SEEDS = (
    0,
    1,
    *(pytest.param(seed, marks=pytest.mark.long) for seed in range(2, int(os.environ.get("MORETTA_SEEDS", "3")))),
)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.first
async def test_seed_of_kills_and_freezes(notify, seed):
    """One replica (even seeds) or two (odd ones), struck every other second, also while they start and restore."""
    rng = random.Random(seed)
    names = ["one", "two"][: 1 + seed % 2]
    notify.spoil(random.Random(f"{seed}/mail"))
    notify.start(*names)
    await notify.until(notify.holder, "a holder")
    striking = [asyncio.create_task(notify.disturb(random.Random(f"{seed}/{name}"), name)) for name in names]
    fired, over = await notify.feed(rng, strikes=2)
    for task in striking:
        task.cancel()
    await asyncio.gather(*striking)
    notify.start(*[name for name in names if notify.replicas[name].process.poll() is not None])
    await notify.until(lambda: notify.all_told(fired, over), "everyone told of everything")
    await notify.end()
    await once_but_for_the_gap(notify)


async def once_but_for_the_gap(notify) -> None:
    """One decision for each change, one record of its acceptance, no mail more than strikes and hang-ups explain."""
    kills, freezes = notify.struck["kills"], notify.struck["freezes"]
    sent = await notify.sent()
    assert {len(records) for records in sent.values()} == {1}
    decided = {s.message.notification for s in await notify.bus.history(NOTIFICATIONS) if s.message.reason}
    assert {records[0][0] for records in sent.values()} == decided
    per_mail = {who: len({records[0][0] for (_, _, w), records in sent.items() if w == who}) for who in HASHES}
    for who, count in per_mail.items():
        assert len({message for recipient, message in notify.accepted if recipient == HASHES[who]}) == count
    again = len(notify.again())
    struck = f"{kills} kills, {freezes} freezes, {len(notify.drops)} hang-ups"
    print(f"{len(notify.accepted)} mails, {again} of them again; {struck}")
    assert again <= (kills + freezes) * AT_ONCE["email"]


@pytest.mark.alone
async def test_a_frozen_holder_sends_nothing_after_the_other_took_over(notify):
    """Within 5 s of SIGSTOP the other one tells; the first, back, sees that its lease has run out and is silent."""
    notify.spoil(random.Random(2))
    notify.start("one", "two")
    first = await notify.until(notify.holder, "a holder")
    (second,) = {"one", "two"} - {first}
    frozen, other = notify.replicas[first], notify.replicas[second]
    await notify.until(lambda: frozen.running and other.running, "both up")
    await notify.fire(0)
    await notify.until(lambda: len(frozen.said("delivery")) == 2, "told, and that is stored")
    frozen.process.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    for number in range(1, 9):
        await notify.fire(number)
    await notify.until(lambda: other.said("site in service"), "taken over")
    taken_s = time.monotonic() - began
    await notify.until(lambda: len(notify.box.mails) >= 18, "told by the other")
    frozen.process.send_signal(signal.SIGCONT)
    await notify.until(lambda: frozen.said("site out of service"), "given up")
    await notify.fire(9)
    await notify.until(lambda: len(notify.box.mails) >= 20, "told of what came later")
    await notify.until(lambda: frozen.get("/readyz")[0] == 200, "ready, without a site")
    assert len(notify.box.mails) == 20
    assert len([line for line in frozen.said("delivery") if line["outcome"] == "sent"]) == 2
    assert taken_s < patient(10)
    await notify.end()


async def test_a_frozen_holder_reads_what_another_decided_who_is_gone_by_then(notify):
    """The other took over, told, and died; its lease is nobody's when the first is back: nobody is told again."""
    notify.start("one", "two")
    first = await notify.until(notify.holder, "a holder")
    (second,) = {"one", "two"} - {first}
    frozen, other = notify.replicas[first], notify.replicas[second]
    await notify.until(lambda: frozen.said("restored") and other.running, "one has the site, both are up")
    frozen.process.send_signal(signal.SIGSTOP)
    for number in range(4):
        await notify.fire(number)
    await notify.until(lambda: len(other.said("delivery")) == 8, "told by the other")
    notify.replicas.pop(second).process.kill()
    await notify.until(lambda: free(notify), "nobody's")
    frozen.process.send_signal(signal.SIGCONT)
    await notify.until(lambda: len(frozen.said("restored")) >= 2, "read again")
    await notify.fire(9)
    await notify.until(lambda: len(notify.box.mails) >= 10, "told of what came later")
    await notify.end()
    assert len(notify.box.mails) == 10
    assert {len(records) for records in (await notify.sent()).values()} == {1}


async def free(notify) -> bool:
    return await notify.holder() is None


async def test_sites_are_shared_and_handed_over(notify):
    """Four sites, two replicas: two each; one that is drained hands its own over, and every site is told of."""
    names = ["market", "quay", "square", "station"]
    notify.site.write(settings(notify.box.port, *names))
    notify.start("one", "two")

    async def shared(*holders):
        held = [await notify.holder(name) for name in names]
        return sorted(held.count(name) for name in holders) == [4 // len(holders)] * len(holders)

    await notify.until(lambda: shared("one", "two"), "an even share")
    assert await asyncio.to_thread(notify.replicas.pop("two").stop) == 0
    await notify.until(lambda: shared("one"), "handed over")
    for number, name in enumerate([*names, "elsewhere"]):  # the last one is in nobody's settings
        await notify.fire(number, site=name)
    await notify.until(lambda: len(notify.box.mails) == 10, "told of every site")
    await notify.end()


async def test_a_replica_that_comes_takes_its_share_and_nobody_is_told_twice(notify):
    """Four sites at one replica with mails on their way; a second one comes: two each, all told, each mail once."""
    names = ["market", "quay", "square", "station"]
    notify.site.write(settings(notify.box.port, *names))
    notify.spoil(random.Random(1), hang_up=0.0)
    notify.start("one")

    async def shared(*holders):
        held = [await notify.holder(name) for name in names]
        return sorted(held.count(name) for name in holders) == [4 // len(holders)] * len(holders)

    await notify.until(lambda: shared("one"), "all at one")
    notify.start("two")
    number = 0
    while not await shared("one", "two"):
        for name in names:
            await notify.fire(number, site=name)
            number += 1
        await asyncio.sleep(0.1)
    for name in names:
        await notify.fire(number, site=name)
        number += 1
    await notify.until(lambda: len(notify.box.mails) >= 2 * number, "everyone told of everything")
    await notify.end()
    assert len(notify.box.mails) == 2 * number == len(notify.accepted)
    assert {len(records) for records in (await notify.sent()).values()} == {1}


async def test_what_is_on_its_way_is_finished_before_another_takes_the_site(notify):
    """The mail server takes a second for its answer while the holder is told to end: one mail each, not two."""
    notify.start("one", "two")
    first = await notify.until(notify.holder, "a holder")
    await notify.until(lambda: all(replica.running for replica in notify.replicas.values()), "both up")

    async def slow(server, recipient: str) -> None:
        await asyncio.sleep(1)

    notify.box.after_data = slow
    await notify.fire(0)
    await notify.until(lambda: len(notify.box.mails) == 2, "on its way")
    assert await asyncio.to_thread(notify.replicas.pop(first).stop) == 0
    await notify.fire(1)
    await notify.until(lambda: len(notify.box.mails) >= 4, "told by the other")
    await notify.end()
    assert len(notify.box.mails) == 4
    assert {len(records) for records in (await notify.sent()).values()} == {1}


async def test_a_lease_that_ends_before_its_time(notify):
    """The server's clock is set forward: it lets a lease go in which its holder believes for a second more.

    Nobody is missed; what both hand over in such a moment is the same mail, with the same Message-ID (ADR 8).
    """
    notify.spoil(random.Random(3), hang_up=0.0)
    notify.start("one", "two")
    await notify.until(notify.holder, "a holder")
    await notify.until(lambda: all(replica.running for replica in notify.replicas.values()), "both up")
    feeding, ended = asyncio.create_task(notify.feed(random.Random(3), 20)), []
    while not feeding.done():
        await asyncio.sleep(4)
        ended += [time.time()] if await end_lease(notify) else []
    fired, over = feeding.result()
    await notify.until(lambda: notify.all_told(fired, over), "everyone told of everything")
    await notify.end()
    again, sent = notify.again(), await notify.sent()
    print(f"{len(ended)} leases ended, {len(notify.accepted)} mails, {len(again)} of them again")
    assert len(ended) >= 3, "it proves little"
    assert all(len({notification for notification, _ in records}) == 1 for records in sent.values())
    assert all(any(-patient(1) < at - end < patient(4) for end in ended) for _, at in again), (again, ended)


async def end_lease(notify) -> bool:
    """Take the lease away as the server does when it has expired; False if its holder renewed it in that moment."""
    subject = NOTIFY_LEASES.subject(site="market")
    revision, entry = await notify.bus.streams.entry(NOTIFY_LEASES, subject)
    if entry is None:
        return False
    try:
        await notify.bus.streams.remove(NOTIFY_LEASES, subject, expected=revision)
    except Fenced:
        return False
    return True
