"""What ends a recipe of docs/recipes, with which exit code and words, and what it waits for: in each language.

The programs of a test run at the same time: each language has a durable consumer of its own.
"""

import asyncio
import contextlib
import json
import re
import shutil
import signal
import socket
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path

import pytest
from patience import patient, until
from recipe_place import TODAY, Place, acknowledged, alert, environment, in_each_language, restart, some, store
from recipes import COMPILE_S, FOLDER, Recipe, published
from small_disk import small_disk
from windows import HOUR, window

from operate.identities import Identities
from proto.public import WindowV1
from proto.subjects import ALERTS

WATCHERS = ("alerts", "csv_log", "follow", "latest", "nothing_missed")
"""Those that run until somebody ends them."""
DURABLE = {"nothing_missed": ("mine", "mine-js", "mine-go")}
TWO = some("end")[:2]
REDELIVERED_S = 90
"""The server gives what was not acknowledged to the next program 30 s after the first one had it."""
SILENT_S = 45
"""Go's client ends a consumer after 30 s without a sign of its server, unless it knows that the server is away."""
PAGE = 4096
pytestmark = [pytest.mark.usefixtures("needs_recipes"), pytest.mark.timeout(COMPILE_S + 300)]


@contextlib.contextmanager
def running(commands: Sequence[str], folder: Path, site: Place) -> Iterator[list[Recipe]]:
    """Run programs at the same time."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Recipe(command, folder, environment(site))) for command in commands]


async def ended(recipes: Sequence[Recipe]) -> list[tuple[int, list[str]]]:
    """Wait for the end of all; their exit codes and what they said of errors."""
    return [(code, words) for code, _, words in [await asyncio.to_thread(one.result) for one in recipes]]


async def publish_until(site: Place, recipes: Sequence[Recipe], condition) -> None:
    """Publish windows and alerts until each program fulfils a condition: `follow` misses what was before it."""
    for number in count():
        assert number < patient(60), [one.last_words() for one in recipes]
        await store(site, window(TODAY + number * HOUR, site="end"))
        await store(site, alert("end", zone=f"zone-{number}"), row=ALERTS)
        with contextlib.suppress(AssertionError):
            await until(lambda: all(map(condition, recipes)), limit_s=0.3)
            return


async def printed(recipes: Sequence[Recipe], lines: int) -> None:
    """Wait until each program has printed so many lines."""
    for one in recipes:
        await asyncio.to_thread(one.until, lambda one=one: len(one.printed) >= lines, f"{lines} lines", COMPILE_S)


async def stored(site: Place, *windows: WindowV1) -> None:
    """Publish windows, and wait until the reader's mirror has them: `replay` prints what is there."""
    await store(site, *windows)
    async with site.bus("subscriber") as bus:

        async def arrived() -> bool:
            answer = json.loads(await bus.ask("$JS.API.STREAM.INFO.WINDOWS", timeout=patient(5)))
            return answer["state"]["messages"] >= len(windows)

        await until(arrived, "the reader's copies")


def shown(recipe: Recipe) -> list[str]:
    """The end, site and zone of each printed window."""
    return [" ".join(line.split()[:3]) for line in recipe.printed]


@pytest.mark.parametrize("name", [*WATCHERS, "replay"])
async def test_output_without_room(own_site, folder, name):
    """Exit code 2 and one line."""
    await own_site.mirrored()
    await stored(own_site, *TWO)
    with running([f"{one} > /dev/full" for one in in_each_language(name)], folder, own_site) as recipes:
        await publish_until(own_site, recipes, lambda one: one.is_over)
        for code, words in await ended(recipes):
            assert (code, len(words), "no space left" in words[0].lower()) == (2, 1, True), words


async def test_a_window_that_was_not_written_is_not_lost(own_site, folder, tmp_path):
    """It isn't acknowledged: the next program has it, once there is room. Half a row is removed first."""
    commands = [one for name in ("csv_log", "nothing_missed") for one in in_each_language(name)]
    await own_site.mirrored()
    await stored(own_site, *TWO)
    with small_disk(tmp_path / "disk", str(len(commands) * PAGE)) as disk:
        logs = [disk / f"{number}.log" for number in range(len(commands))]
        into = [f"{command} >> {log}" for command, log in zip(commands, logs, strict=True)]
        for log in logs:
            log.write_bytes(b"#" * (PAGE - 7) + b"\n")
        with running(into, folder, own_site) as recipes:
            assert [(code, len(words)) for code, words in await ended(recipes)] == [(2, 1)] * len(commands)
        assert {log.read_bytes()[-6:] for log in logs} == {published(TWO[0])[:6].encode()}
        for log in logs:
            log.write_text("")
        with running(into, folder, own_site):
            said = lambda: [_windows(log) for log in logs]  # noqa: E731
            await until(lambda: said() == [sorted(map(published, TWO))] * len(logs), said, REDELIVERED_S)


def _windows(log: Path) -> list[str]:
    lines = log.read_text().replace(",", " ").splitlines()
    return sorted(" ".join(line.split()[:3]) for line in lines if not line.startswith("end "))


@pytest.mark.parametrize("name", WATCHERS)
async def test_a_key_that_is_taken_away(own_site, folder, tmp_path, name):
    """A server that comes back and does not know the key any more: exit code 2, and the last line says so."""
    await own_site.mirrored()
    with running(in_each_language(name), folder, own_site) as recipes:
        await publish_until(own_site, recipes, lambda one: len(one.printed) > 1)  # of csv_log a row, too
        await asyncio.to_thread(restart, own_site, identities=Identities.make(tmp_path / "new"))
        for code, words in await ended(recipes):
            said = ["authorization violation" in one.lower() for one in words]
            assert (code, said[-1], sum(said), any("Traceback" in one for one in words)) == (2, True, 1, False), words


def _delete_while_it_runs(site: Place, name: str) -> None:
    async def delete() -> None:
        async with site.bus("subscriber") as bus:
            await bus.ask(f"$JS.API.CONSUMER.DELETE.WINDOWS.{name}", timeout=patient(5))

    asyncio.run(delete())


def _lose_while_the_server_is_away(site: Place) -> None:
    """As after a restore of a backup that was made before."""
    site.server.stop()
    for name in DURABLE["nothing_missed"]:
        (lost,) = site.folder.glob(f"js/jetstream/*/streams/WINDOWS/obs/{name}")
        shutil.rmtree(lost)
    site.server.start()


@pytest.mark.parametrize("is_restored", [False, True], ids=["deleted", "restored"])
async def test_a_durable_consumer_that_is_gone(own_site, folder, is_restored):
    """Python makes it again and begins anew; Node.js and Go end, and begin anew when they are started again."""
    commands, both = in_each_language("nothing_missed"), sorted(map(published, TWO))
    await own_site.mirrored()
    await stored(own_site, *TWO)
    with running(commands, folder, own_site) as recipes:
        await printed(recipes, 2)
        await acknowledged(own_site)
        if is_restored:
            await asyncio.to_thread(_lose_while_the_server_is_away, own_site)
        else:
            for name in DURABLE["nothing_missed"]:
                await asyncio.to_thread(_delete_while_it_runs, own_site, name)
        python, *others = recipes
        await printed([python], 4)
        assert sorted(shown(python)[2:]) == both
        for code, words in await ended(others):
            assert code == 2, words
            assert is_restored or (len(words), "consumer deleted" in words[0]) == (1, True), words
    with running(commands[1:], folder, own_site) as again:
        await printed(again, 2)
        assert [sorted(shown(one)) for one in again] == [both] * 2


async def test_a_server_that_is_away_at_the_start(own_site, folder):
    """What misses nothing waits for it; others in Node.js and Go end with exit code 2 and one line."""
    await own_site.mirrored()
    await stored(own_site, *TWO)
    await asyncio.to_thread(own_site.server.stop)
    with running(in_each_language("nothing_missed"), folder, own_site) as recipes:
        with running(in_each_language("follow")[1:], folder, own_site) as others:
            found = await ended(others)  # by then the first have tried, too
        assert [(code, len(words)) for code, words in found] == [(2, 1)] * 2
        python, node, _ = recipes
        for one in (python, node):
            await asyncio.to_thread(one.until, lambda one=one: one.words, "what is wrong")
        await asyncio.to_thread(own_site.server.start)
        await printed(recipes, 2)
        assert [sorted(shown(one)) for one in recipes] == [sorted(map(published, TWO))] * 3


@pytest.mark.long
async def test_a_server_that_is_silent_at_the_start(own_site, folder):
    """One that takes connections and says nothing, as one that was stopped, is waited for, too."""
    await own_site.mirrored()
    await stored(own_site, *TWO)
    own_site.server.signal(signal.SIGSTOP)
    try:
        with running(in_each_language("nothing_missed"), folder, own_site) as recipes:
            python, node, _ = recipes
            for one in (python, node):
                await asyncio.to_thread(one.until, lambda one=one: one.words, "what is wrong")
            own_site.server.signal(signal.SIGCONT)
            await printed(recipes, 2)
            assert [sorted(shown(one)) for one in recipes] == [sorted(map(published, TWO))] * 3
    finally:
        own_site.server.signal(signal.SIGCONT)


@pytest.mark.long
async def test_a_server_that_is_silent(own_site, folder):
    """One that answers nobody and closes no connection, as behind a network that is gone, is waited for, too."""
    await own_site.mirrored()
    await store(own_site, TWO[0])
    with running(in_each_language("nothing_missed"), folder, own_site) as recipes:
        await printed(recipes, 1)
        own_site.server.signal(signal.SIGSTOP)
        await asyncio.sleep(SILENT_S)
        own_site.server.signal(signal.SIGCONT)
        await store(own_site, TWO[1])
        await printed(recipes, 2)
        assert [shown(one) for one in recipes] == [[published(one) for one in TWO]] * 3


async def test_the_loop_for_new_keys_leaves_a_port_at_which_nobody_answers(own_site, folder: Path, tmp_path: Path):
    """Word for word as the page has it, but for its five minutes: a box that was started again has another port."""
    [line] = re.findall(r"^while sleep 1; .*$", (FOLDER / "README.md").read_text("utf-8"), re.MULTILINE)
    await own_site.mirrored()
    await stored(own_site, *TWO)
    (there := tmp_path / "box/identities").mkdir(parents=True)
    shutil.copy(environment(own_site)["NATS_NKEY"], there)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        (file := there / "subscriber.yaml").write_text(f"nats:\n  url: nats://127.0.0.1:{silent.getsockname()[1]}\n")
        command = line.replace("DIR", str(tmp_path / "box")).replace(" 5m ", f" {patient(5):.0f} ")
        with Recipe(command, folder, {}) as loop:
            silent.settimeout(patient(20))
            peer, _ = await asyncio.to_thread(silent.accept)
            file.write_text(f"nats:\n  url: {own_site.server.url}\n")
            with peer:
                await asyncio.to_thread(loop.until, lambda: len(loop.printed) >= len(TWO), "the windows")
            assert shown(loop) == [published(one) for one in TWO]
