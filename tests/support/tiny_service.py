"""A service that does nothing but live: `ingest.mode` of its settings says what goes wrong."""

import asyncio
import sys
import threading
import time
from pathlib import Path
from typing import Literal

from msgspec import Struct

import services.kernel.app
import services.kernel.process
from services.kernel.app import App
from services.kernel.faults import StartError
from services.kernel.log import LogSettings, get_logger
from services.kernel.probes import ProbesSettings
from services.kernel.process import main
from services.kernel.settings import Secret

log = get_logger()
services.kernel.app.STEP_LIMIT_S = services.kernel.process.STEP_LIMIT_S = 0.5

Mode = Literal[
    "well", "task-returns", "task-raises", "task-ends-as-it-may", "step-hangs", "step-hangs-stubbornly", "step-fails",
    "step-is-cancelled", "start-error", "start-crashes", "start-hangs", "start-fault", "start-slowly",
    "task-never-ends", "thread-never-ends", "no-reload", "file-changes-meanwhile", "loop-is-cancelled",
]  # fmt: skip


class TinySettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    mode: Mode = "well"
    number: int = 0
    token: Secret | None = None


class TinyFile(Struct, kw_only=True):
    log: LogSettings = LogSettings()
    probes: ProbesSettings = ProbesSettings()
    ingest: TinySettings = TinySettings()


async def stubborn() -> None:
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            log.info("not me")


async def cancelled() -> None:
    raise asyncio.CancelledError


async def fails() -> None:
    raise ValueError("rtsp://u:hunter2@h is gone")


async def returns() -> None:
    await asyncio.sleep(0.05)
    log.info("may end")


STEPS = {
    "step-hangs": lambda: asyncio.sleep(3600),
    "step-hangs-stubbornly": stubborn,
    "step-fails": fails,
    "step-is-cancelled": cancelled,
}


async def wire(app: App, settings: TinyFile) -> None:
    mode = settings.ingest.mode

    def step(name: str) -> None:
        async def say() -> None:
            log.info("step", step=name)

        app.on_stop(name, say)

    step("first")
    if mode in STEPS:
        app.on_stop(mode, STEPS[mode])
    if mode in {"task-returns", "task-raises", "task-ends-as-it-may", "start-fault"}:
        app.spawn(mode, fails() if mode == "task-raises" else returns(), may_end=mode == "task-ends-as-it-may")
    if mode == "task-never-ends":
        app.spawn(mode, stubborn())
    if mode == "thread-never-ends":
        app.spawn(mode, asyncio.to_thread(time.sleep, 3600))
    if mode == "loop-is-cancelled":
        threading.Thread(target=time.sleep, args=(3600,), name="camera").start()
        for task in asyncio.all_tasks():
            task.cancel()
    if mode == "start-error":
        raise StartError("ingest.mode: cannot start; take another mode")
    if mode == "start-crashes":
        raise ValueError("rtsp://u:hunter2@h is gone")
    step("second")
    if mode in {"start-hangs", "start-fault"}:
        log.info("hanging")
        await asyncio.sleep(3600)

    if mode == "start-slowly":
        log.info("hanging")
        await asyncio.sleep(1)

    async def apply(new: TinyFile) -> None:
        if new.ingest.number < 0:
            raise StartError("ingest.number: is negative; take a positive one")
        log.info("applied", number=new.ingest.number)

    if mode != "no-reload":
        app.on_reload(apply)


def before(file: Path, settings: TinyFile) -> None:
    if settings.ingest.mode == "file-changes-meanwhile":
        file.write_text("ingest: {number: 7}")


if __name__ == "__main__":
    sys.exit(main("tiny", TinyFile, wire, before=before))
