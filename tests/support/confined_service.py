"""ingest or inference, with an enemy inside: `ENEMY` says what it does, and a log line what became of it."""

import asyncio
import ctypes
import importlib
import json
import mmap
import os
import socket
import subprocess
import sys
import tempfile
import threading
from multiprocessing import shared_memory
from pathlib import Path
from types import SimpleNamespace

import services.kernel.process
import services.sandbox.sandbox
from services.kernel.log import get_logger

log = get_logger()
ENEMY, PLACE = os.environ.get("ENEMY", ""), Path(os.environ.get("PLACE", "/nowhere"))
VICTIM = PLACE / "victim"
"""A file that is there already, in the folder of the settings; `outside` is in one that no setting names."""


def memory_file() -> None:
    number = os.memfd_create("picture")
    try:
        os.write(number, b"picture")
    finally:
        os.close(number)


def mapped_memory_file() -> None:
    number = os.memfd_create("picture")
    try:
        os.ftruncate(number, 4096)
        mmap.mmap(number, 4096)
    finally:
        os.close(number)


def child() -> None:
    """What a forked process writes: 0 if it could."""
    pid = os.fork()
    if pid == 0:
        try:
            (PLACE / "of-child").write_bytes(b"picture")
        except OSError:
            os._exit(1)
        os._exit(0)
    if os.waitpid(pid, 0)[1]:
        raise OSError("the child could not")


def listen_at_a_path() -> None:
    with socket.socket(socket.AF_UNIX) as ours:
        ours.bind(str(PLACE / "socket"))


def peek() -> None:
    with Path(f"/proc/{os.getppid()}/mem").open("rb", buffering=0):
        pass


def temporary() -> None:
    with tempfile.TemporaryFile() as file:
        file.write(b"picture")


def shared() -> None:
    memory = shared_memory.SharedMemory(f"moretta-{os.getpid()}", create=True, size=4096)
    memory.close()
    memory.unlink()


ATTACKS = {
    "create": lambda: (PLACE / "new").write_bytes(b"picture"),
    "create empty": (PLACE / "empty").touch,
    "temporary": temporary,
    "overwrite": lambda: VICTIM.write_bytes(b"picture"),
    "append": lambda: os.write(os.open(VICTIM, os.O_WRONLY | os.O_APPEND), b"picture"),
    "truncate": lambda: os.truncate(VICTIM, 1),
    "link": lambda: (PLACE / "hard").hardlink_to(VICTIM),
    "name as data": lambda: (PLACE / "soft").symlink_to("a picture in a name"),
    "folder": (PLACE / "folder").mkdir,
    "pipe": lambda: os.mkfifo(PLACE / "pipe"),
    "socket": listen_at_a_path,
    "shared memory": shared,
    "memory file": memory_file,
    "mapped memory file": mapped_memory_file,
    "program": lambda: subprocess.run(["/bin/true"], check=True),
    "child": child,
    "read outside": Path(os.environ.get("OUTSIDE", "/nowhere")).read_bytes,
    "another's memory": peek,
    "rename": lambda: VICTIM.rename(PLACE / "picture"),
    "remove": (PLACE / "settings.yaml").unlink,
}


def attack() -> dict[str, str]:
    """Return what became of each attempt: the error, or `done`."""
    found = {}
    for name, act in ATTACKS.items():
        try:
            act()
            found[name] = "done"
        except OSError as error:
            found[name] = f"refused: {error}"
    return found


async def enemy(_app, _settings) -> None:
    """In the loop's thread and in one that is new."""
    dumpable = ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)
    log.info(
        "attacked", dumpable=dumpable, loop=json.dumps(attack()), thread=json.dumps(await asyncio.to_thread(attack))
    )


def with_enemy(wire):
    async def wired(app, settings) -> None:
        await wire(app, settings)
        await enemy(app, settings)

    return wired


if __name__ == "__main__":
    if ENEMY == "free":  # what it does where there is no sandbox
        print(json.dumps(attack()))
        sys.exit(0)
    real = services.kernel.process.main
    if ENEMY == "thread":
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    if ENEMY == "elsewhere":
        streams = {"stdout": sys.stdout, "stderr": sys.stderr}
        services.sandbox.sandbox.sys = SimpleNamespace(platform="darwin", **streams)
    module = importlib.import_module(f"services.{sys.argv[1]}.__main__")
    if ENEMY == "attack":
        module.main = lambda name, schema, wire, *more: real(name, schema, with_enemy(wire), *more)
    sys.exit(module.run(sys.argv[2:]))
