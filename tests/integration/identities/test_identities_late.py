"""A service that starts before the server has its version's rights: it says so, and begins when they are there."""

import asyncio
import json
import signal
from pathlib import Path

from nats.aio.subscription import Subscription
from nats_process import NatsProcess
from patience import patient, until
from program import Program
from site_process import Site

from proto.control import PauseRequestV1
from proto.subjects import PAUSE
from services.bus import Connection, NatsSettings
from services.kernel.settings import Secret


def older(config: str) -> str:
    """The configuration of a version whose ingest may not hear of a pause."""
    whole = json.loads(config)
    for user in whole["accounts"]["MORETTA"]["users"]:
        heard = user["permissions"]["subscribe"]["allow"]
        if PAUSE.wildcard() in heard and "_INBOX_ingest.>" in heard:
            heard.remove(PAUSE.wildcard())
    return json.dumps(whole)


async def told(service: Program, *readiness: object) -> None:
    async def is_told() -> bool:
        return await asyncio.to_thread(service.get, "/readyz") == readiness

    await until(is_told, f"{readiness}", 30, every_s=0.1)


async def test_a_right_that_comes_later_is_used(tmp_path: Path):
    """Not ready meanwhile, with the subject, so that a rollout waits; the server is reloaded, and an order is heard."""
    rights = [older]
    site = Site(tmp_path, extend=lambda config: rights[0](config))  # noqa: PLW0108 - what it is then
    site.server.start()
    try:
        site.write({"log": {"format": "json"}, "sites": [{"id": "market"}]})
        ingest = site.start("ingest")
        await until(lambda: ingest.running, "running", 30)
        why = "rights: NATS refuses moretta.v1.control.market.pause: reload it with this version's rights\n"
        await told(ingest, 503, why)
        rights[0] = str
        assert site.server.whole
        (tmp_path / "nats.conf").write_text(site.server.whole(site.server.port, f"{tmp_path}/js"))
        site.server.signal(signal.SIGHUP)
        await told(ingest, 200, "ok\n")
        async with site.bus("operator") as operator:
            order = PauseRequestV1(site="market", action="pause", operator="ana", why="try")
            assert (await operator.request(PAUSE, order, timeout=patient(10))).paused
    finally:
        await asyncio.to_thread(site.close)


async def test_a_refused_subject_with_capitals_stays_refused(tmp_path: Path):
    """nats-py tells refusals in small letters: it is asked for all the same, and named as it is."""
    users = '[{user: ingest, password: p, permissions: {subscribe: {deny: "$SRV.>"}}}]'
    server = NatsProcess(tmp_path, config=f"authorization {{ users: {users} }}").start()
    settings = NatsSettings(url=server.url, user="ingest", password=Secret("p"))
    connection = await Connection.connect(settings, "ingest")
    try:
        connection._refused._retry_s = 0.1
        asked, real = list[str](), connection.client._send_subscribe

        async def counted(subscription: Subscription) -> None:
            asked.append(subscription.subject)
            await real(subscription)

        connection.client._send_subscribe = counted  # type: ignore[method-assign]
        await connection.client.subscribe("$SRV.PING")
        await until(lambda: len(asked) > 3 and connection.refused == {"$SRV.PING"}, "asked again and again", 30)
    finally:
        await connection.close()
        await asyncio.to_thread(server.stop)
