"""Forks processes of a Python that has imported what they need; `warm` asks for them.

    python -P warm_server.py FD MODULE ...

Says at FD, a socket, how many processor seconds it has used until it was ready. Reads requests there: JSON, with the
three standard streams and a socket for the answer beside it. The answer is the process's id; then, once it has ended,
its status (as waitpid has it) and the processor seconds that it and what it waited for have used. The server ends when
FD is closed, and what it has forked ends with it.
"""

import atexit
import contextlib
import ctypes
import gc
import importlib
import io
import json
import os
import random
import runpy
import select
import signal
import socket
import sys
import tempfile
import threading
import time
import traceback
import warnings
from typing import Any, NoReturn

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


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
    with contextlib.suppress(OSError):
        answer.send(f"{pid}\n".encode())


def _reap(running: dict[int, socket.socket]) -> None:
    for pid in list(running):
        ended, status, used = os.wait4(pid, os.WNOHANG)
        if ended:
            with running.pop(pid) as answer, contextlib.suppress(OSError):
                answer.send(f"{status} {used.ru_utime + used.ru_stime:.4f}\n".encode())


def _become(request: dict[str, Any], files: list[int]) -> NoReturn:
    """Be a new process that runs a module as `python -m` does."""
    code = 1
    try:
        if _LIBC is not None:
            _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if request["group"]:
            os.setsid()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(
            signal.SIGINT, signal.default_int_handler
        )  # ignored where a shell runs the tests in the background
        for number, file in enumerate(files):
            os.dup2(file, number)
        os.closerange(3, 1 + max(map(int, os.listdir("/proc/self/fd"))))  # noqa: PTH208
        os.chdir(request["folder"])
        _surround(request["environment"])
        if request["strict"]:
            warnings.simplefilter("error")
        sys.argv = ["", *request["arguments"]]
        code = _run(request["module"])
        if request["strict"]:
            gc.collect()  # what was left open is told, as at an interpreter's end
            sys.stderr.flush()
    finally:
        os._exit(code)


def _surround(environment: dict[str, str]) -> None:
    """Do what an interpreter does at its start with its environment and its streams."""
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    random.seed()
    tempfile.tempdir = None
    paths = environment.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:0] = [path for path in paths if path and path not in sys.path]
    at_once = bool(environment.get("PYTHONUNBUFFERED"))
    sys.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(0, "rb", closefd=False)), "utf-8")
    sys.stdout, sys.stderr = _writing(1, "strict", at_once=at_once), _writing(2, "backslashreplace", at_once=at_once)
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr


def _writing(number: int, errors: str, *, at_once: bool) -> io.TextIOWrapper:
    raw: Any = io.FileIO(number, "wb", closefd=False)
    by_line = number == 2 and not at_once
    buffer = raw if at_once else io.BufferedWriter(raw)
    return io.TextIOWrapper(buffer, "utf-8", errors, line_buffering=by_line, write_through=at_once)


def _run(module: str) -> int:
    """Return the exit code of a module or a script, after all that an interpreter does at its end."""
    code = 0
    try:
        if module.endswith(".py"):
            runpy.run_path(module, run_name="__main__")
        else:
            runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
    except KeyboardInterrupt:
        traceback.print_exc()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException:
        traceback.print_exc()
        code = 1
    threading._shutdown()
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
    except OSError as error:  # as an interpreter does, whose output nobody reads any more
        print(f"Exception ignored in: {sys.stdout!r}\n{type(error).__name__}: {error}", file=sys.stderr)
        code = 120
    sys.stderr.flush()
    return code & 0xFF


if __name__ == "__main__":
    for name in sys.argv[2:]:
        importlib.import_module(name)
    threads = len(os.listdir("/proc/self/task"))  # noqa: PTH208
    if threads != 1:
        sys.exit(f"{sys.argv[2:]} have started {threads - 1} threads, which a forked process would lack")
    with socket.socket(fileno=int(sys.argv[1])) as asked:
        asked.send(f"{time.process_time():.4f}\n".encode())
        serve(asked)
