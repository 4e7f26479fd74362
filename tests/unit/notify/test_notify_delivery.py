"""The delivery agent with channels of the test's own: who holds whom, and what happens at the edges."""

import asyncio
import time
from collections import defaultdict

import pytest
from patience import until

from services.kernel.app import end_tasks
from services.notify.delivery.agent import DeliveryAgent
from services.notify.delivery.ledger import Attempts
from services.notify.delivery.outbox import AT_ONCE, Envelope, Outbox
from services.notify.notification import Group, Notification, notice_of
from services.notify.outcome import Failure
from services.notify.recipient import Recipient

LATER = Failure("response", "recipient", 450)


class Scripted:
    """A channel that does for each recipient what the test says, else accepts."""

    def __init__(self, name):
        self.name, self.taken, self.closed = name, [], False
        self.gates = defaultdict(lambda: None)
        self.answers = defaultdict(list)
        self.now = self.most = 0

    async def send(self, notification, recipient):
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            if (gate := self.gates[recipient.address]) is not None:
                await gate.wait()
            await asyncio.sleep(0)
            answer = self.answers[recipient.address].pop(0) if self.answers[recipient.address] else None
            if isinstance(answer, Exception):
                raise answer
            self.taken.append((recipient.address, notification.number))
            return answer
        finally:
            self.now -= 1

    async def close(self):
        self.closed = True


class Ledger:
    """What a site's ledger is to the agent: a list of outcomes."""

    def __init__(self):
        self.valid, self.breaks, self.known = True, False, {}
        self.outcomes = []

    def held(self):
        return self.valid

    def attempts(self, envelope):
        return self.known.get((envelope.notification.id, envelope.recipient.digest), Attempts())

    async def record(self, due, now, failure):
        await asyncio.sleep(0)
        if self.breaks:
            raise BrokenPipeError
        self.known[due.envelope.notification.id, due.envelope.recipient.digest] = now
        self.outcomes.append((due.envelope.recipient.address, due.envelope.notification.number, now.outcome))


@pytest.fixture(name="letter")
def _letter(make_alert):
    """`letter(1, "anna", "sms")`: the first notification for Anna by SMS."""

    def make(number, who, channel="email", site="forville"):
        notice = notice_of(make_alert(site=site), 1)
        told = Notification(f"{number:016x}", Group("staff", site, "field"), "first", number, "0" * 16, 1, (notice,))
        return Envelope(told, Recipient("staff", who, (who.encode().hex() * 16)[:64], channel=channel))

    return make


@pytest.fixture(name="scene")
async def _scene(monkeypatch):
    """An agent at work with e-mail and SMS, and the ledger of a site."""
    monkeypatch.setattr("services.notify.deadlines.FIRST_S", 0.05)
    monkeypatch.setattr("services.notify.deadlines.SLOW_FIRST_S", 0.05)

    class Scene:
        email, sms, ledger = Scripted("email"), Scripted("sms"), Ledger()
        ahead = 0
        agent: DeliveryAgent

    scene = Scene()
    scene.agent = DeliveryAgent(Outbox(1e9 * 100), lambda: time.time_ns() + scene.ahead)
    await scene.agent.use({"email": scene.email, "sms": scene.sms}, 1e9 * 100)
    scene.agent.open("forville", scene.ledger)
    task = asyncio.create_task(scene.agent.run())
    yield scene
    await end_tasks([task])
    await scene.agent.stop()


async def test_a_slow_channel_and_a_slow_recipient_hold_nobody_else(scene, letter):
    """All slots of e-mail hang: SMS goes. One recipient hangs: the others' mails go, never too many at once."""
    hang = scene.email.gates["anna"] = asyncio.Event()
    scene.agent.put([letter(1, "anna"), letter(2, "anna"), letter(1, "bob"), letter(1, "carl", "sms")])
    await until(lambda: len(scene.ledger.outcomes) == 2)
    assert {who for who, _, _ in scene.ledger.outcomes} == {"bob", "carl"}
    for who in (gated := [f"r{n}" for n in range(8)]):
        scene.email.gates[who] = hang
    scene.agent.put([*(letter(1, who) for who in gated), letter(2, "carl", "sms")])
    await until(lambda: ("carl", 2, "sent") in scene.ledger.outcomes)
    assert scene.email.now == AT_ONCE["email"]
    hang.set()
    await until(lambda: len(scene.ledger.outcomes) == 13)
    assert scene.email.most == AT_ONCE["email"]
    assert [number for who, number, _ in scene.ledger.outcomes if who == "anna"] == [1, 2]


async def test_a_fault_of_ours_holds_nobody_and_is_tried_again(scene, letter):
    """A channel that raises, against its promise: recorded, tried again, and the others' mails go meanwhile."""
    scene.email.answers["anna"] = [RuntimeError("boom"), LATER]
    scene.agent.put([letter(1, "anna"), letter(1, "bob")])
    await until(lambda: len(scene.ledger.outcomes) == 4)
    assert [outcome for who, _, outcome in scene.ledger.outcomes if who == "anna"] == ["retrying", "retrying", "sent"]
    assert ("bob", 1, "sent") in scene.ledger.outcomes[:2]


async def test_what_was_accepted_is_not_sent_again_because_something_broke_after_it(scene, letter):
    """The record fails in a way that nobody foresaw (standard error is gone): in this life it stays sent."""
    scene.ledger.breaks = True
    scene.agent.put([letter(1, "anna"), letter(2, "anna")])
    await until(lambda: len(scene.email.taken) == 2)
    await asyncio.sleep(0.3)
    assert scene.email.taken == [("anna", 1), ("anna", 2)]


async def test_who_is_cut_off_while_it_asks_a_failed_server_opens_it_to_nobody(scene, letter, monkeypatch):
    """The mail server is down; a site leaves while its mail, the one that asks again, hangs: one more asks, alone."""
    monkeypatch.setattr("services.notify.delivery.agent.LEAVE_S", 0.05)
    other, hang = Ledger(), asyncio.Event()
    scene.agent.open("quay", other)
    scene.email.answers["anna"], scene.email.gates["anna"] = [Failure("connect", "connect")], hang
    scene.agent.put([letter(1, "anna")])
    await until(lambda: scene.email.now == 1)
    # The second try may come at once: it reads its gate as it begins.
    scene.email.gates["anna"] = scene.email.gates["bob"] = scene.email.gates["carl"] = asyncio.Event()
    hang.set()
    await until(lambda: scene.ledger.outcomes == [("anna", 1, "retrying")])
    await until(lambda: scene.email.now == 1)
    scene.agent.put([letter(1, who, site="quay") for who in ("bob", "carl")])
    await scene.agent.leave("forville")
    await until(lambda: scene.email.now == 1)
    await asyncio.sleep(0.3)
    assert scene.email.now == 1
    scene.email.gates["bob"].set()
    await until(lambda: len(other.outcomes) == 2)


async def test_nothing_is_sent_while_the_lease_is_not_ours(scene, letter):
    """Frozen and back, or without NATS: it waits, and goes on when the lease is renewed."""
    scene.ledger.valid = False
    scene.agent.put([letter(1, "anna")])
    await asyncio.sleep(0.3)
    assert scene.email.taken == []
    scene.ledger.valid = True
    await until(lambda: scene.ledger.outcomes == [("anna", 1, "sent")])


async def test_a_site_that_leaves_finishes_what_is_in_flight_and_starts_nothing(scene, letter):
    """The mail on its way is recorded, the one behind it is left to whoever has the site next; another site goes on."""
    other = Ledger()
    scene.agent.open("quay", other)
    hang = scene.email.gates["anna"] = asyncio.Event()
    scene.agent.put([letter(1, "anna"), letter(2, "anna"), letter(1, "bob", site="quay")])
    await until(lambda: scene.email.now == 1 and other.outcomes)
    leaving = asyncio.create_task(scene.agent.leave("forville"))
    await asyncio.sleep(0.05)
    assert not leaving.done()
    hang.set()
    await leaving
    assert scene.ledger.outcomes == [("anna", 1, "sent")]
    scene.agent.put([letter(2, "bob", site="quay")])
    await until(lambda: len(other.outcomes) == 2)


async def test_a_site_that_leaves_tries_nothing_again_while_something_hangs(scene, letter):
    """Anna's fails for now while Bob's hangs: her next try is the next holder's, though it comes due meanwhile."""
    hang = scene.email.gates["bob"] = asyncio.Event()
    slow = scene.email.gates["anna"] = asyncio.Event()
    scene.email.answers["anna"] = [LATER]
    scene.agent.put([letter(1, "anna"), letter(1, "bob")])
    await until(lambda: scene.email.now == 2)
    leaving = asyncio.create_task(scene.agent.leave("forville"))
    await asyncio.sleep(0)
    slow.set()
    await until(lambda: scene.ledger.outcomes == [("anna", 1, "retrying")])
    await asyncio.sleep(0.3)  # as long as several of its pauses here
    assert not leaving.done()
    hang.set()
    await leaving
    assert sorted(scene.ledger.outcomes) == [("anna", 1, "retrying"), ("bob", 1, "sent")]
    assert sorted(scene.email.taken) == [("anna", 1), ("bob", 1)]
    scene.agent.open("forville", scene.ledger)
    scene.agent.put([letter(1, "anna")])
    await until(lambda: ("anna", 1, "sent") in scene.ledger.outcomes)


async def test_who_is_let_go_of_is_told_no_more_but_of_what_is_in_flight(scene, letter):
    """Anna leaves the settings with a mail on its way and one behind it; Bob's go on."""
    hang = scene.email.gates["anna"] = asyncio.Event()
    mails = [letter(1, "anna"), letter(2, "anna"), letter(1, "bob")]
    scene.agent.put(mails)
    await until(lambda: scene.email.now == 1 and ("bob", 1, "sent") in scene.ledger.outcomes)
    assert scene.agent.let_go("forville", [mails[2].recipient]) == [mails[1]]
    hang.set()
    scene.agent.put([letter(2, "bob")])
    await until(lambda: len(scene.ledger.outcomes) == 3)
    assert sorted(scene.email.taken) == [("anna", 1), ("bob", 1), ("bob", 2)]


async def test_new_settings_close_the_old_channels_once_they_are_idle(scene, letter):
    """What is in flight ends on the channel it began on; what comes later goes by the new one."""
    hang = scene.email.gates["anna"] = asyncio.Event()
    scene.agent.put([letter(1, "anna")])
    await until(lambda: scene.email.now == 1)
    new = Scripted("email")
    using = asyncio.create_task(scene.agent.use({"email": new}, 1e9 * 100))
    await asyncio.sleep(0.05)
    assert not scene.email.closed
    hang.set()
    await using
    assert (scene.email.closed, scene.sms.closed) == (True, True)
    scene.agent.put([letter(2, "anna"), letter(1, "carl", "sms")])
    await until(lambda: new.taken == [("anna", 2)] and ("carl", 1, "retrying") in scene.ledger.outcomes)


async def test_a_clock_that_is_put_forward_is_noticed(scene, letter, monkeypatch):
    """By an hour, as when the machine slept: what is to be tried again then is tried soon, and not in an hour."""
    monkeypatch.setattr("services.notify.deadlines.FIRST_S", 3600.0)
    monkeypatch.setattr("services.notify.deadlines.LONGEST_S", 3600.0)
    monkeypatch.setattr("services.notify.deadlines.LOOK_S", 0.05)
    scene.email.answers["anna"] = [LATER]
    scene.agent.put([letter(1, "anna")])
    await until(lambda: scene.ledger.outcomes == [("anna", 1, "retrying")])
    scene.ahead = 5000 * 10**9
    await until(lambda: scene.ledger.outcomes[1:] == [("anna", 1, "sent")])
