"""What happens to a recipe that runs: a server that goes, a seed that is withdrawn, messages that are none."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

import aiohttp
import msgspec
import pytest
from authority import Authority
from http_peer import HttpPeer
from patience import patient
from recipe_place import PYTHON, TODAY, alert, environment, forge, name_of, some, store
from recipes import COMPILE_S, COMPILED, Recipe, published, told
from windows import HOUR, MINUTE, window

from operate.identities import Identities, nats_config
from operate.identities.server import Tls
from proto.subjects import ALERTS

pytestmark = [pytest.mark.usefixtures("needs_recipes"), pytest.mark.timeout(COMPILE_S + 60)]

LISTENING = [
    f"{PYTHON} windows.py", f"{PYTHON} alerts.py cannes", f"{PYTHON} nothing_missed.py", "node windows.mjs", COMPILED,
]  # fmt: skip
LIVE = [LISTENING[0], *LISTENING[2:]]
SUBJECT = "moretta.v1.windows.{}._site"


async def ended(recipe: Recipe) -> list[str]:
    """What it said until it ended by itself, with code 2."""
    code, _, words = await asyncio.to_thread(recipe.result)
    assert code == 2, words
    assert not any("Traceback" in one for one in words)
    return words


@pytest.mark.parametrize("command", LISTENING, ids=name_of)
async def test_a_server_that_is_away(own_site, folder, command):
    """It is waited for, which is said once, and what comes afterwards is printed."""
    site = own_site
    await store(site, window(TODAY))
    with Recipe(command, folder, environment(site)) as recipe:
        await asyncio.to_thread(recipe.listening, COMPILE_S)
        before = len(recipe.printed)
        await asyncio.to_thread(site.server.stop)
        await asyncio.to_thread(recipe.until, lambda: any("waiting for it" in one for one in recipe.words), "a word")
        await asyncio.to_thread(site.server.start)
        await asyncio.to_thread(recipe.until, lambda: any("is back" in one for one in recipe.words), "a word")
        await store(site, window(TODAY + HOUR))
        await store(site, alert("cannes"), row=ALERTS)
        await asyncio.to_thread(recipe.until, lambda: len(recipe.printed) > before, "a line")
        assert sum("waiting for it" in one for one in recipe.words) == 1


@pytest.mark.parametrize("command", LISTENING, ids=name_of)
async def test_a_box_that_is_started_again(own_site, folder, command):
    """It comes back with other keys, whose seeds are in the same files: each time it is waited for, and nobody ends."""
    site = own_site
    await store(site, window(TODAY))
    with Recipe(command, folder, environment(site)) as recipe:
        await asyncio.to_thread(recipe.listening, COMPILE_S)
        for times in (1, 2):
            before = len(recipe.printed)
            await asyncio.to_thread(site.server.stop)
            site.identities = Identities.make(site.identities.folder)
            await asyncio.to_thread(site.server.start)
            await asyncio.to_thread(recipe.until, lambda n=times: _said(recipe, "is back") == n, "that it is back")
            await store(site, window(TODAY + times * HOUR))
            await store(site, alert("cannes", rule=f"rule-{times}"), row=ALERTS)
            await asyncio.to_thread(recipe.until, lambda n=before: len(recipe.printed) > n, "a line")
            assert _said(recipe, "waiting for it") == times


def _said(recipe: Recipe, words: str) -> int:
    return sum(words in one for one in recipe.words)


@pytest.mark.parametrize("command", LISTENING, ids=name_of)
async def test_a_seed_that_is_withdrawn(own_site, folder, tmp_path, command):
    """Who is refused ends with a line that says what to get."""
    site = own_site
    await store(site, window(TODAY))
    with Recipe(command, folder, environment(site)) as recipe:
        await asyncio.to_thread(recipe.listening, COMPILE_S)
        await asyncio.to_thread(site.server.stop)
        site.identities = Identities.make(tmp_path / "new")
        await asyncio.to_thread(site.server.start)
        words = await ended(recipe)
        assert "NATS_NKEY" in words[-1]
        assert sum("NATS_NKEY" in one for one in words) == 1


class StandIn:
    """Stands in for a server, and says that it speaks no TLS.

    `heard` is what a client says to it nevertheless; empty where it went away, or tried once more, without a word.
    """

    def __init__(self) -> None:
        self.heard: asyncio.Queue[bytes] = asyncio.Queue()
        self._came = 0
        self._clients: set[asyncio.StreamWriter] = set()
        self._is_over = False

    @contextlib.asynccontextmanager
    async def listening(self, port: int) -> AsyncIterator[None]:
        """Listen there; at the end hang up, since a server's own end waits for its clients from Python 3.12.1 on."""
        server = await asyncio.start_server(self.greet, "127.0.0.1", port)
        try:
            yield
        finally:
            server.close()
            self._is_over = True
            for client in self._clients:
                client.transport.abort()

    async def greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Greet a client, and hear it until it goes."""
        self._clients.add(writer)
        if self._is_over:  # it came in just before the end
            writer.transport.abort()
            return
        if (came := self._came) > 0:
            self.heard.put_nowait(b"")
        self._came = came + 1
        info = {"server_id": "X", "version": "2.15.1", "proto": 1, "auth_required": True, "nonce": "abc"}
        writer.write(b"INFO " + json.dumps(info | {"headers": True, "max_payload": 1 << 20}).encode() + b"\r\n")
        with contextlib.suppress(ConnectionError):
            self.heard.put_nowait(await reader.read(4096))
        writer.close()


@pytest.mark.parametrize("command", [f"{PYTHON} windows.py", "node windows.mjs", COMPILED], ids=name_of)
async def test_tls_that_is_gone(own_site, folder, command):
    """Who stands in for a server that went, and speaks no TLS, hears nothing."""
    site, authority = own_site, Authority()
    both, ca = folder / "both.pem", folder / "ca.pem"
    both.write_bytes(authority.issue("localhost"))
    ca.write_bytes(authority.pem)
    site.server.stop()
    tls = Tls(str(both), str(both), str(ca))
    site.server.made = lambda: None  # it would speak without
    site.server.whole = lambda port, kept: nats_config(port, kept, site.identities.public, tls=tls)
    site.server.start()
    files = {"NATS_CA": str(ca), "NATS_CERT": str(both), "NATS_KEY": str(both)}
    env = environment(site) | files | {"NATS_URL": f"tls://localhost:{site.server.port}"}
    with Recipe(command, folder, env) as recipe:
        await asyncio.to_thread(recipe.listening, COMPILE_S)
        await asyncio.to_thread(site.server.stop)
        there = StandIn()
        async with there.listening(site.server.port), asyncio.timeout(patient(30)):
            assert await there.heard.get() == b""
        assert any("waiting for it" in one for one in recipe.words)


def none_of(name: str) -> list[bytes]:
    """What is no window at the subject of a site: an answer of the server's, or nearly one."""
    good = msgspec.to_builtins(window(TODAY + HOUR, site=name))
    changed: list[object] = [
        {"type": "io.nats.jetstream.api.v1.stream_info_response"}, [], 1, None, good | {"type": "StatsReplyV1"},
        good | {"site": "elsewhere"}, good | {"zone": "fish"}, good | {"end": "now"}, good | {"end": 1 << 70},
        good | {"end": None},
    ]  # fmt: skip
    return [b"", b"{", b"\xff\xfe", b"[" * 100_000, *(json.dumps(one).encode() for one in changed)]


@pytest.mark.parametrize("command", LIVE, ids=name_of)
async def test_what_is_no_window(own_site, folder, command):
    """An empty, broken or foreign message is skipped with a line, also one whose headers say that it is an answer."""
    site, of, good = own_site, "cannes", window(TODAY + 2 * HOUR)
    await store(site, window(TODAY))
    with Recipe(command, folder, environment(site)) as recipe:
        await asyncio.to_thread(recipe.listening, COMPILE_S)
        await asyncio.to_thread(recipe.until, lambda: "windows." in command or len(recipe.printed) == 1, "the first")
        before = len(recipe.printed)
        foreign = none_of(of)
        await forge(site, SUBJECT.format(of), *foreign)
        answer = msgspec.json.encode(window(TODAY + HOUR))
        for header in ("Nats-Service-Error", "Nats-Service-Error-Code", "Status"):
            await forge(site, SUBJECT.format(of), answer, headers={header: "503"})
        await forge(site, SUBJECT.format(of), msgspec.json.encode(good))
        await asyncio.to_thread(recipe.until, lambda: len(recipe.printed) > before, "the good one")
        assert told(recipe.printed[-1]) == published(good)
        skipped = lambda: _said(recipe, "skipped: no WindowV1 at")  # noqa: E731
        await asyncio.to_thread(recipe.until, lambda: skipped() >= len(foreign) + 3, "a line for each")
        assert skipped() == len(foreign) + 3


@pytest.mark.parametrize("command", [f"{PYTHON} latest.py", "node latest.mjs", COMPILED], ids=name_of)
async def test_what_is_no_latest_window(site, run, command):
    """A message that is none in the place of the latest: it is said, and the others are printed."""
    of = f"forged-{name_of(command)[:12]}".rstrip("-")
    await store(site, *some(of))
    await forge(site, SUBJECT.format(of), b'{"type": "StatsReplyV1"}')
    recipe = run(f"{command} {of}")
    await asyncio.to_thread(recipe.until, lambda: len(recipe.printed) >= 1, "a line", COMPILE_S)
    assert [told(one) for one in recipe.printed] == [published(some(of)[2])]
    assert f"skipped: no WindowV1 at {SUBJECT.format(of)}" in recipe.words


async def test_what_is_no_alert(site, run):
    """The same of alerts, and one that is older than what is known is not told."""
    of = "no-alert"
    recipe = await asyncio.to_thread(run(f"{PYTHON} alerts.py {of}").listening)
    subject, firing = f"moretta.v1.alerts.{of}._site.low", alert(of)
    other = msgspec.to_builtins(firing) | {"rule": "high"}
    await forge(site, subject, b"", b"{", json.dumps(other).encode(), msgspec.json.encode(firing))
    await forge(site, subject, msgspec.json.encode(firing), msgspec.json.encode(alert(of, state="resolved", end=TODAY)))
    await forge(site, subject, msgspec.json.encode(alert(of, state="resolved", end=TODAY + 40 * MINUTE)))
    await asyncio.to_thread(recipe.until, lambda: len(recipe.printed) >= 2, "two lines")
    assert [one.split()[0] for one in recipe.printed] == ["firing", "resolved"]
    assert recipe.words.count(f"skipped: no AlertV1 at {subject}") == 3


async def test_latest_never_goes_backwards(own_site, folder):
    """Go's program shows a zone's windows in their order, whatever comes again."""
    site, now = own_site, window(TODAY + HOUR)
    await store(site, now)
    with Recipe(COMPILED, folder, environment(site)) as recipe:
        await asyncio.to_thread(recipe.listening, COMPILE_S)
        later = window(TODAY + 2 * HOUR)
        await forge(site, SUBJECT.format("cannes"), *(msgspec.json.encode(one) for one in (window(TODAY), now, later)))
        await asyncio.to_thread(recipe.until, lambda: len(recipe.printed) >= 2, "two lines")
        assert [told(one) for one in recipe.printed] == [published(now), published(later)]


UNREAD = "mkfifo unread && exec 3<>unread 4>unread 3>&- && exec env -u PYTHONUNBUFFERED {} >&4 4>&-"
"""Runs a command whose standard output is a pipe that nobody reads any more, whenever it writes."""


@pytest.mark.parametrize("command", [f"{PYTHON} latest.py", f"{PYTHON} replay.py", "node latest.mjs"], ids=name_of)
async def test_output_that_is_closed_early(site, run, command):
    """`| head` ends a recipe without a word."""
    of = f"head-{name_of(command)}".replace("_", "-")
    await store(site, *some(of))
    assert await asyncio.to_thread(run(UNREAD.format(f"{command} {of}")).result) == (0, [], [])


@pytest.mark.parametrize(
    "command",
    [f"{PYTHON} windows.py", f"{PYTHON} alerts.py", f"{PYTHON} nothing_missed.py", "node windows.mjs"],
    ids=name_of,
)
async def test_a_listener_whose_output_is_closed(site, run, command):
    """The same of what never ends by itself: at the next line."""
    of = f"head-{name_of(command)}".replace("_", "-")
    recipe = await asyncio.to_thread(run(UNREAD.format(f"{command} {of}")).listening)
    await store(site, *some(of))
    await store(site, alert(of), row=ALERTS)
    code, _, words = await asyncio.to_thread(recipe.result)
    assert (code, [one for one in words if "listening" not in one and "no window" not in one]) == (0, [])


@pytest.mark.parametrize("command", [f"{PYTHON} latest.py", f"{PYTHON} replay.py"], ids=name_of)
async def test_a_full_disk(site, run, command):
    """What can't be written is said, and not taken for the server's fault."""
    of = f"full-{name_of(command)}"
    await store(site, *some(of))
    code, _, words = await asyncio.to_thread(run(f"{command} {of} > /dev/full").result)
    assert (code, words) == (2, ["standard output: No space left on device"])


async def test_help_that_nobody_reads(run):
    """Neither is its own help a reason to complain."""
    assert await asyncio.to_thread(run(UNREAD.format(f"{PYTHON} history.py --help")).result) == (0, [], [])


async def test_alerts_that_nobody_sees_are_handed_on(run):
    """A server whose lines nobody reads any more answers 200 once Alertmanager has an alert: it is not told twice."""
    alert = {"status": "resolved", "labels": {}, "annotations": {}, "startsAt": "", "endsAt": "", "generatorURL": ""}
    async with HttpPeer() as peer, aiohttp.ClientSession() as session:
        recipe = run(UNREAD.format(f"{PYTHON} to_alertmanager.py"), PORT="0", ALERTMANAGER_URL=peer.url().rstrip("/"))
        (word, *_) = (await asyncio.to_thread(recipe.listening)).words
        async with session.post(f"http://127.0.0.1:{word.split()[-1]}/", json={"alerts": [alert]}) as answer:
            assert answer.status == 200
    assert [one.path for one in peer.got] == ["/api/v2/alerts"]
    assert recipe.words == [word]
