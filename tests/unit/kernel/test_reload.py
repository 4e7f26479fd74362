"""Reloads of settings: services.kernel.app. As processes do them: tests/integration/kernel/test_app.py."""

import asyncio
import threading

import pytest
from msgspec import Struct
from patience import until

from services.kernel.app import App
from services.kernel.process import _watch

THREADS = []
"""On which settings were read."""


class Section(Struct, forbid_unknown_fields=True):
    number: int = 0


class File(Struct):
    ingest: Section

    def problems(self):
        THREADS.append(threading.current_thread())
        return []


@pytest.fixture(name="file")
def _file(tmp_path):
    (file := tmp_path / "moretta.yaml").write_text("ingest: {number: 1}")
    THREADS.clear()
    return file


@pytest.fixture(name="app")
def _app():
    app = App("tiny")
    app.applied = []

    async def apply(new):
        app.applied.append(new.ingest.number)

    app.on_reload(apply)
    app.started()
    return app


async def test_settings_are_read_and_checked_in_a_thread(app, file):
    """The event loop goes on meanwhile, /livez included; they are applied on it."""
    app.before_reload(lambda _: THREADS.append(threading.current_thread()))
    assert await app.reload(file, File)
    assert (len(THREADS), threading.main_thread() in THREADS, app.applied) == (2, False, [1])


async def test_reloads_that_are_asked_for_together_are_two_at_most(app, file):
    """A thousand at once: the first, and one for all that came while it ran. Each caller hears how it went."""
    assert await asyncio.gather(*(app.reload(file, File) for _ in range(1_000))) == [True] * 1_000
    assert app.applied == [1, 1]
    file.write_text("ingest: {number: one}")
    assert await asyncio.gather(*(app.reload(file, File) for _ in range(9))) == [False] * 9


async def test_a_change_while_settings_are_applied_is_not_missed(app, file):
    """Asked for after the running reload has read the file, so the file is read once more."""
    apply, others = app._apply, []

    async def slowly(new):
        if new.ingest.number == 1:
            file.write_text("ingest: {number: 2}")
            others.extend(asyncio.create_task(app.reload(file, File)) for _ in range(3))
            await asyncio.sleep(0)
        await apply(new)

    app.on_reload(slowly)
    assert await app.reload(file, File)
    assert await asyncio.gather(*others) == [True] * 3
    assert app.applied == [1, 2]


async def test_a_secret_that_comes_while_its_lack_is_reported_is_not_missed(app, file, monkeypatch):
    """Neither the settings' file nor what can be read changes afterwards, so only the failed load says to try again."""
    lacks, ready = [("ingest.token_file", "no such file")], app.probes.ready

    class Lacking(File):
        def problems(self):
            return list(lacks)

    def reported(*condition, **state):
        ready(*condition, **state)
        if condition == ("settings",):
            lacks.clear()

    def looked():
        (file.parent / "another").touch()  # each change is a look, and so are five seconds
        return app.applied

    monkeypatch.setattr(app.probes, "ready", reported)
    watching = asyncio.create_task(_watch(app, file, Lacking, content=None))
    assert await until(looked, "the settings are in force", every_s=0.3) == [1]
    app.stop()
    await watching
