"""Forked processes are processes like any other: what `warm` starts, and what an interpreter of its own does."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import warm
from patience import wait_until
from program import Program
from warm import Warm, WarmError, WarmProcess

MODULES = ("json",)
PLAIN = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
LIMIT_S = 60.0


@pytest.fixture(name="module")
def _module(tmp_path: Path) -> Callable[[str], str]:
    """`module(text)`: the name of a module with this text, which an interpreter finds with PYTHONPATH."""

    def write(text: str) -> str:
        (tmp_path / "tried.py").write_text(textwrap.dedent(text))
        return "tried"

    return write


@pytest.fixture(name="both")
def _both(module, tmp_path: Path) -> Callable[..., list[tuple[int, str, str]]]:
    """`both(text, *arguments)`: exit code and words of a module, by an interpreter of its own and by a fork."""

    def run(text: str, *arguments: str, strict: bool = False) -> list[tuple[int, str, str]]:
        name, environment = module(text), PLAIN | {"PYTHONPATH": str(tmp_path), "WHO": "moretta"}
        options = ["-P", *(["-W", "error"] if strict else [])]
        cold = subprocess.run(
            [sys.executable, *options, "-m", name, *arguments],
            capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=LIMIT_S,
        )  # fmt: skip
        forked = warm.warm(MODULES).start(name, arguments, environment=environment, folder=tmp_path, strict=strict)
        return [(cold.returncode, cold.stdout, cold.stderr), *_ended(forked)]

    return run


def _ended(process: WarmProcess) -> list[tuple[int, str, str]]:
    out, err = process.communicate(LIMIT_S)
    assert process.returncode is not None
    return [(process.returncode, out, err)]


@pytest.fixture(name="start")
def _start(module, tmp_path: Path) -> Callable[..., WarmProcess]:
    """`start(text)`: a fork that runs a module with this text."""

    def run(text: str, server: Warm | None = None, **how: Any) -> WarmProcess:
        environment = PLAIN | {"PYTHONPATH": str(tmp_path)}
        return (server or warm.warm(MODULES)).start(module(text), [], environment=environment, **how)

    return run


ENDS = {
    "falls off": ("", 0, ""),
    "number": ("import sys; sys.exit(7)", 7, ""),
    "large number": ("import sys; sys.exit(258)", 2, ""),
    "text": ("import sys; sys.exit('no such file')", 1, "no such file\n"),
    "nothing": ("import sys; sys.exit(None)", 0, ""),
    "error": ("raise ValueError('x')", 1, "ValueError: x\n"),
    "interrupt": ("raise KeyboardInterrupt", -signal.SIGINT, "KeyboardInterrupt\n"),
    "signal": ("import os; os.kill(os.getpid(), 15)", -signal.SIGTERM, ""),
    "at exit": ("import atexit, sys; atexit.register(print, 'bye', file=sys.stderr)", 0, "bye\n"),
    "thread": ("import sys, threading as t; t.Timer(0.1, lambda: print('late', file=sys.stderr)).start()", 0, "late\n"),
}  # fmt: skip


@pytest.mark.parametrize("how", ENDS)
def test_exit_codes_and_last_words(both, how: str):
    """However a module ends: the code, and the last line, are those of an interpreter."""
    text, code, words = ENDS[how]
    for found in both(text):
        assert (found[0], found[2].endswith(words), bool(found[2])) == (code, True, bool(words)), found


def test_streams_environment_folder_and_arguments(both, tmp_path: Path):
    """Each has its own: nothing to read, how it writes, variables, where it is, what it is told."""
    text = """
        import os, sys, tempfile
        print("é", sys.argv[1:], os.environ["WHO"], os.getcwd(), repr(sys.stdin.read()), __name__)
        print(sys.stdout.isatty(), sys.stdout.encoding, sys.stderr.line_buffering, sys.stdout.line_buffering)
        print(sorted(os.listdir("/proc/self/fd"))[:3], tempfile.gettempdir(), file=sys.stderr)
    """
    cold, forked = both(text, "a b", "--c")
    assert cold == forked
    assert cold[1].startswith(f"é ['a b', '--c'] moretta {tmp_path} '' __main__\n")


def test_a_warning_is_an_error_where_that_is_asked_for(both):
    """Also one that only comes up when something is collected."""
    for code, _, err in both("import warnings; warnings.warn('old')", strict=True):
        assert (code, err.endswith("UserWarning: old\n")) == (1, True), err
    for code, _, err in both("import socket; left = socket.socket(); del left", strict=True):
        assert (code, "ResourceWarning: unclosed" in err) == (0, True), err


def test_nobody_reads(start, module, tmp_path: Path):
    """A closed standard output is told as an interpreter tells it: exit code 120."""
    name = module("print('word')")
    reader, writer = os.pipe()
    os.close(reader)
    cold = subprocess.run(
        [sys.executable, "-P", "-m", name], env=PLAIN | {"PYTHONPATH": str(tmp_path)}, text=True,
        stdout=writer, stderr=subprocess.PIPE, timeout=LIMIT_S,
    )  # fmt: skip
    os.close(writer)
    forked = start("print('word')", unread="stdout")
    out, err = forked.communicate(LIMIT_S)
    assert (cold.returncode, forked.returncode, out) == (120, 120, "")
    assert all("BrokenPipeError" in text for text in (cold.stderr, err))


def test_ctrl_c_ends_it(start):
    """The handler of an interpreter is in force, and what it was at is told."""
    process = start("import sys, time; print('up', flush=True); time.sleep(600)")
    assert process.stdout.readline() == "up\n"
    process.send_signal(signal.SIGINT)
    [(code, _, err)] = _ended(process)
    assert (code, err.splitlines()[-1]) == (-signal.SIGINT, "KeyboardInterrupt")


def test_what_nobody_waited_for_is_found(start):
    """The guard of all tests asks for it; once it has ended, and that is known, it is none."""
    process = start("import time; time.sleep(600)")
    assert process in warm.running()
    assert process.pid not in warm.servers()
    with pytest.raises(subprocess.TimeoutExpired):
        process.communicate(0.05)
    assert process.returncode == -signal.SIGKILL
    assert process not in warm.running()


def test_its_processor_time_is_counted(start):
    """It is no child of ours: the server says how much it was, of what it has waited for, too."""
    before = Warm.used_s
    busy = "import time\nwhile time.process_time() < 0.2: pass"
    process = start(f"import subprocess, sys; subprocess.run([sys.executable, '-c', {busy!r}])")
    assert _ended(process)[0][0] == 0
    assert Warm.used_s - before >= 0.2


def test_a_group_gets_its_signals(start):
    """Whoever leads a group is ended with all that it has started."""
    process = start("import subprocess; print('up', flush=True); subprocess.run(['sleep', '600'])", group=True)
    assert process.stdout.readline() == "up\n"
    assert os.getpgid(process.pid) == process.pid
    os.killpg(process.pid, signal.SIGKILL)
    assert _ended(process)[0][0] == -signal.SIGKILL


def test_a_server_that_dies_is_named(start):
    """With its modules and how it ended; what it had forked is gone with it, and the next one is another."""
    modules = ("json", "textwrap")
    server = warm.warm(modules)
    process = start("import time; print('up', flush=True); time.sleep(600)", server)
    assert process.stdout.readline() == "up\n"
    os.kill(server.pid, signal.SIGKILL)
    with pytest.raises(
        WarmError, match=r"forks for \('json', 'textwrap'\) .* is gone before \['tried'\] had ended: -9"
    ):
        process.wait(LIMIT_S)
    wait_until(lambda: not Path(f"/proc/{process.pid}").exists(), "the end of what it had forked")
    with pytest.raises(WarmError, match=r"is gone before it was asked for \['tried'\]: -9"):
        start("", server)
    again = warm.warm(modules)
    assert again.pid != server.pid
    assert _ended(start("print('well')", again)) == [(0, "well\n", "")]
    warm._warm.pop(modules).close()


def test_modules_that_cannot_be_had_are_named():
    """In the server's own words; it is not kept."""
    with pytest.raises(WarmError, match=r"is gone before it was ready: 1; .*ModuleNotFoundError: .*no_such_module"):
        warm.warm(("no_such_module",))
    assert ("no_such_module",) not in warm._warm


def test_a_program_is_forked(module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The wrapper of all tests takes either kind."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    name = module("import json, time; print(json.dumps({'event': 'running'}), flush=True); time.sleep(600)")
    with Program(warm.warm(MODULES).start(name, [])) as program:
        program.until(lambda: program.objects == [{"event": "running"}], "its line")
        assert not program.is_over
        assert program.stop() == -signal.SIGTERM
    assert program.is_over
