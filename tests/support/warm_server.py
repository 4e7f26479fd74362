"""Forks processes of a Python that has imported what they need; `warm` asks for them.

    python -P warm_server.py FD MODULE ...

Reads requests from the socket FD: JSON, with the three standard streams and a socket for the answer beside it. The
answer is the process's id, and its exit status (as waitpid has it) once it has ended. It ends when FD is closed.
"""

import contextlib
import gc
import importlib
import json
import os
import random
import runpy
import select
import signal
import socket
import sys
import threading
import time
import traceback
import warnings
from typing import Any, NoReturn


def serve(requests: socket.socket) -> None:
    """Fork for each request until nobody asks any more, and say of each process how it ended."""
    gc.collect()
    gc.freeze()  # or each child's first collection copies all of this
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    running: dict[int, socket.socket] = {}
    while True:
        ready, _, _ = select.select([requests, woken], [], [])
        if woken in ready:
            os.read(woken, 4096)
            _reap(running)
        if requests in ready:
            data, files, _, _ = socket.recv_fds(requests, 1 << 20, 4)
            if not data:
                return
            _fork(json.loads(data), files, running)


def _fork(request: dict[str, Any], files: list[int], running: dict[int, socket.socket]) -> None:
    answer = socket.socket(fileno=files.pop())
    if (pid := os.fork()) == 0:
        _become(request, files)
    for file in files:
        os.close(file)
    running[pid] = answer
    answer.send(f"{pid}\n".encode())


def _reap(running: dict[int, socket.socket]) -> None:
    for pid in list(running):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            with running.pop(pid) as answer, contextlib.suppress(OSError):
                answer.send(f"{status}\n".encode())


def _become(request: dict[str, Any], files: list[int]) -> NoReturn:
    """Be a new process that runs a module as `python -m` does."""
    code = 1
    try:
        if request["group"]:
            os.setsid()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for number, file in enumerate(files):
            os.dup2(file, number)
        os.closerange(3, 1024)
        os.chdir(request["folder"])
        os.environ.clear()
        os.environ.update(request["environment"])
        time.tzset()
        random.seed()
        if request["strict"]:
            warnings.simplefilter("error")
        sys.argv = ["", *request["arguments"]]
        code = _run(request["module"])
    finally:
        os._exit(code)


def _run(module: str) -> int:
    """Return the exit code of a module, after all that an interpreter does at its end."""
    code = 0
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException:
        traceback.print_exc()
        code = 1
    threading._shutdown()
    __import__("atexit")._run_exitfuncs()
    try:
        sys.stdout.flush()
    except OSError as error:  # as an interpreter does, whose output nobody reads any more
        print(f"Exception ignored in: {sys.stdout!r}\n{type(error).__name__}: {error}", file=sys.stderr)
        code = 120
    sys.stderr.flush()
    return code


if __name__ == "__main__":
    for name in sys.argv[2:]:
        importlib.import_module(name)
    threads = len(os.listdir("/proc/self/task"))  # noqa: PTH208
    if threads != 1:
        sys.exit(f"{sys.argv[2:]} have started {threads - 1} threads, which a forked process would lack")
    with socket.socket(fileno=int(sys.argv[1])) as asked:
        asked.send(b"ready\n")
        serve(asked)
