"""`moretta notify status|test|replay` and `moretta silence` as people type them, with the real service."""

import asyncio
import json
import time

import pytest
import yaml
from command_line import moretta
from patience import until
from site_process import Site

from operate.identities import settings_file
from proto.notifications import SilenceHeldReplyV1
from proto.subjects import ALERTS, DELIVERIES, NOTIFICATIONS, REPLAY_RECORD, SILENCE_HELD, SILENCES

ANNA, BOB = "anna@example.org", "bob@example.org"


class TypedSite:
    """A site with its service, an operator's file and the commands."""

    def __init__(self, site, path, box):
        self.site, self.path, self.box = site, path, box
        self.said: list[str] = []

    async def say(self, *arguments, code=0, config=None):
        """Run a command beside the loop; returns what it said, on either output."""
        run = await asyncio.to_thread(moretta, *arguments, "-c", config or self.path)
        self.said.append(run.stdout + run.stderr)
        assert run.returncode == code, run.stdout + run.stderr
        return (run.stdout + run.stderr).rstrip("\n")


@pytest.fixture(name="typed")
async def _typed(tmp_path, serve_mail):
    site, box = Site(tmp_path), await serve_mail()
    site.server.start()
    path = site.identities.write("operator.yaml", settings_file(site.server.url, "operator"))
    site.write(
        {
            "sites": [{"id": "market"}],
            "log": {"format": "json"},
            "notify": {
                "smtp": {"port": box.port, "security": "none", "sender": "alerts@example.org"},
                "receivers": [{"id": "field-staff", "email": [ANNA, BOB]}],
                "routes": [{"receiver": "field-staff", "group_wait_s": 0, "group_interval_s": 1}],
                "salt": "0123456789abcdef",
            },
        }
    )
    try:
        typed = TypedSite(site, path, box)
        yield typed
        everything = "".join(typed.said) + str([service.lines for service in site.services])
        assert not [needle for needle in (ANNA, BOB) if needle in everything]
    finally:
        site.close()


async def test_status_replay_and_the_dead(typed, make_alert, eventually):
    """A mailbox that is unknown: seen as failed, with a dead letter that is tried again once the mailbox is there."""
    unknown = [BOB]

    async def refuse(server, recipient: str) -> str | None:
        return "550 5.1.1 <bob@example.org> unknown" if recipient in unknown else None

    typed.box.at_rcpt = refuse
    assert "notify has never run here" in await typed.say("notify", "status", code=2)
    typed.site.start("notify")
    async with typed.site.bus("operator") as bus, typed.site.bus("aggregate") as aggregate:
        await until(lambda: ready(typed.site.services[0]), "ready")
        assert "nobody was told" in await typed.say("notify", "status", "market")
        await aggregate.store(ALERTS, make_alert(site="market", zone="hall"))
        await eventually(lambda: bus.history(DELIVERIES), lambda found: len(found) == 2)

        async def status():
            found = json.loads(await typed.say("notify", "status", "--json"))
            return [(g["firing"], g["reason"], g["sent"], g["failed"], g["pending"]) for g in found["groups"]], found

        _, found = await eventually(status, lambda f: f[0] == [(1, "first", 1, 1, 0)] and len(f[1]["alarms"]) == 1)
        said = await typed.say("notify", "status", "markte", code=2)
        assert said == "moretta notify status: SITE: no such site 'markte'; known are market"
        assert json.loads(await typed.say("notify", "status", "market", "--json"))["groups"] == found["groups"]
        assert found["groups"][0]["about"] == ["hall/mask-rate"]
        assert (found["alarms"][0]["kind"], found["dead"][0]["receiver"]) == ("undelivered", "field-staff")
        shown = await typed.say("notify", "status")
        assert "hall / mask-rate" in shown
        assert "failed (recipient)" in shown
        dead = found["dead"][0]["id"]
        unknown.clear()
        told = await typed.say("notify", "replay", dead, "--operator", "ana@example.org", "--why", "it is there now")
        assert told == "market: 1 recipient is tried again"
        await eventually(status, lambda f: f[0] == [(1, "first", 2, 0, 0)] and f[1]["alarms"] == [])
        assert len(typed.box.to(ANNA)) == len(typed.box.to(BOB)) == 1
        [audit] = [stored.message for stored in await bus.history(REPLAY_RECORD)]
        assert (audit.operator, audit.why, audit.recipients) == ("ana@example.org", "it is there now", 1)
        [line] = typed.site.services[0].said("replayed")
        assert (line["operator"], line["why"]) == ("ana@example.org", "it is there now"), "the log says who"
        assert "is no dead letter of notify" in await typed.say("notify", "replay", 99, "--operator", "ana", code=2)
    assert await asyncio.to_thread(typed.site.services[0].stop) == 0
    assert "no notify is connected" in await typed.say("notify", "replay", dead, "--operator", "ana", code=2)


async def test_a_silence_is_kept_and_holds(typed, make_alert, eventually):
    """What is silenced is withheld, said to be, and told once the silence is ended; all of it with a name."""
    service = typed.site.start("notify")
    await until(lambda: ready(service), "ready")
    assert "would silence everything" in await typed.say("silence", "add", "--for", "2h", code=2)
    about = ("--site", "market", "--zone", "hall", "--for", "2h")
    made = await typed.say("silence", "add", *about, "--why", "closed", "--operator", "ana@example.org")
    name = made[:8]
    assert made.startswith(f"{name}: site market, zone hall until 20")
    async with typed.site.bus("operator") as bus, typed.site.bus("aggregate") as aggregate:
        await eventually(lambda: bus.latest(SILENCES), lambda found: len(found) == 1)
        [listed] = json.loads(await typed.say("silence", "list", "--json"))
        assert (listed["silence"], listed["operator"], listed["why"]) == (name, "ana@example.org", "closed")
        await aggregate.store(ALERTS, make_alert(site="market", zone="hall"))
        [held] = await eventually(lambda: bus.history(NOTIFICATIONS), lambda found: len(found) == 1)
        assert (held.message.withheld, typed.box.mails) == ("silenced", [])
        assert name in await typed.say("silence", "expire", name, "--operator", "bob", "--why", "open again")
        await eventually(lambda: bus.history(DELIVERIES), lambda found: len(found) == 2)
        assert len(typed.box.mails) == 2
        assert "(over)" in await typed.say("silence", "list", "--all")
        assert "is over already" in await typed.say("silence", "expire", name, "--operator", "bob", code=2)
        both = [stored.message for stored in await bus.history(SILENCES)]
        assert [(one.operator, one.why, one.ends > time.time_ns()) for one in both] == [
            ("ana@example.org", "closed", True), ("bob", "open again", False),
        ]  # fmt: skip
        await until(lambda: len(service.said("silence")) == 2, "the log says who")
        assert [(line["operator"], line["why"]) for line in service.said("silence")] == [
            ("ana@example.org", "closed"), ("bob", "open again"),
        ]  # fmt: skip


SILENCE = ("silence", "add", "--site", "market", "--for", "2h", "--operator", "ana")


async def test_a_silence_is_answered_once_notify_holds_to_it(typed, make_alert, eventually):
    """What comes after the command's answer is held back."""
    service = typed.site.start("notify")
    await until(lambda: ready(service), "ready")
    async with typed.site.bus("operator") as bus, typed.site.bus("aggregate") as aggregate:
        assert "warning" not in await typed.say(*SILENCE, "--zone", "hall")
        await aggregate.store(ALERTS, make_alert(site="market", zone="hall"))
        [held] = await eventually(lambda: bus.history(NOTIFICATIONS), lambda found: len(found) == 1)
        assert held.message.withheld == "silenced"


class Answering:
    """A notify that answers as it is told: whether it holds to a silence, or nothing at all (None).

    The real one cannot be frozen for this: NATS lets go of who answers no ping for four seconds.
    """

    def __init__(self):
        self.holds, self.asked = False, 0

    async def answer(self, question, request):
        self.asked += 1
        if self.holds is not None:
            await request.reply(SilenceHeldReplyV1(site=question.site, held=self.holds))


async def test_the_command_waits_for_notify(typed, eventually):
    """For one that was away for a moment, or does not hold to it yet; it warns where one says nothing, and of none."""
    service = typed.site.start("notify")  # it makes the buckets
    await until(lambda: ready(service), "ready")
    assert await asyncio.to_thread(service.stop) == 0
    said = await typed.say(*SILENCE, "--zone", "door")
    assert "warning: no notify of this version is connected to this NATS; the silence is stored" in said

    notify = Answering()
    async with typed.site.bus("notify") as back, typed.site.bus("operator") as bus:
        adding = asyncio.create_task(typed.say(*SILENCE, "--zone", "hall"))
        await eventually(lambda: bus.latest(SILENCES), lambda found: len(found) == 2)
        await back.serve(SILENCE_HELD, notify.answer)
        await until(lambda: notify.asked > 2, "asked again")
        assert not adding.done()
        notify.holds = True
        assert "warning" not in await adding

        notify.holds = None
        said = await typed.say(*SILENCE, "--zone", "yard")
        assert "warning: no notify confirmed it for site 'market' in 5 s; `moretta doctor` shows" in said


async def test_a_test_message_goes_by_every_channel_of_a_receiver(typed):
    """From the settings alone, without NATS: a line for each, with what would be right, and the exit code."""
    file = typed.site.file
    lines = (await typed.say("notify", "test", "field-staff", config=file)).splitlines()
    assert [line.rpartition(": ")[2] for line in lines] == ["accepted", "accepted"]
    assert lines[0].startswith("email to field-staff-")
    assert [recipient for recipient, _ in typed.box.mails] == [ANNA, BOB]
    await typed.box.close()
    said = await typed.say("notify", "test", "field-staff", code=1, config=file)
    assert "failed at connect: connect (connection refused); notify.smtp.host and port" in said
    assert "there are: field-staff" in await typed.say("notify", "test", "nobody", code=2, config=file)
    assert "there are: market" in await typed.say("notify", "test", "field-staff", "--site", "x", code=2, config=file)
    settings = yaml.safe_load(file.read_text())
    settings["notify"]["receivers"] = [{"id": "hook", "webhooks": [{"url": f"http://127.0.0.1:{typed.box.port}/"}]}]
    del settings["notify"]["routes"]
    hook = typed.site.folder / "hook.yaml"
    hook.write_text(yaml.safe_dump(settings))
    said = await typed.say("notify", "test", "hook", code=1, config=hook)
    assert "connect (connection refused); its URL must name a server" in said
    wrong = typed.site.folder / "wrong.yaml"
    wrong.write_text(yaml.safe_dump({"notify": {"receivers": [{"id": "x", "email": ["anna at b"]}]}}))
    assert "anna" not in await typed.say("notify", "test", "x", code=2, config=wrong)
    assert "-c: is missing" in moretta("notify").stderr


def ready(service) -> bool:
    return service.running and service.get("/readyz")[0] == 200
