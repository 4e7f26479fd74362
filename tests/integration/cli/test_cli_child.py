"""A supervised process, with real ones: restarted with backoff, killed when frozen, stopped for good."""

import asyncio
import contextlib
import os
import random
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest
from patience import patient, until, wait_until

from operate.box import child as module
from operate.box.box import Box
from operate.box.child import TOO_LONG, Child, Program
from operate.box.tied import tied

SLEEPS = "echo up >&2; exec sleep 600"
STUBBORN = "trap '' TERM; echo up >&2; while :; do sleep 0.05; done"


@pytest.fixture(autouse=True)
def _in_less_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenth of the real times."""
    times = {"FIRST_WAIT_S": 0.02, "LONGEST_WAIT_S": 1.0, "CHECK_S": 0.1, "CHECK_LIMIT_S": 0.2, "STOP_LIMIT_S": 1.2}
    for name, value in times.items():
        monkeypatch.setattr(module, name, value)


class Watched:
    """A child that runs, what it said and what was said of it."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.ends: list[str] = []
        self.starts = 0
        self.alive: Callable[[], object] = lambda: True

    def program(self, script: str | Callable[[int], str], usage: int | None = 2) -> Program:
        def command() -> list[str]:
            self.starts += 1
            return ["sh", "-c", script if isinstance(script, str) else script(self.starts)]

        async def alive() -> bool:
            answer = self.alive()
            return bool(await answer if asyncio.iscoroutine(answer) else answer)

        return Program("prog", command, {"PATH": os.environ["PATH"], "WHO": "moretta"}, alive, self.lines.append, usage)


@contextlib.asynccontextmanager
async def running(watched: Watched, script: str | Callable[[int], str], usage: int | None = 2) -> AsyncIterator[Child]:
    child = Child(watched.program(script, usage))
    task = asyncio.create_task(child.run(watched.ends.append))
    try:
        yield child
    finally:
        await child.stop()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def is_running(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def pid_of(child: Child) -> int:
    assert child.process is not None
    return child.process.pid


async def test_restarted_with_backoff():
    """A program that dies is started again, each time later, up to the longest wait; its command is asked anew."""
    watched = Watched()
    async with running(watched, "exit 3"):
        await until(lambda: len(watched.ends) >= 8)
    waits = [float(re.search(r"in ([\d.]+) s", end)[1]) for end in watched.ends[:8]]
    assert waits == [0.0, 0.0, 0.1, 0.2, 0.3, 0.6, 1.0, 1.0]  # doubled from 0.02 on, and then the longest
    assert watched.ends[0] == "prog ended (exit code 3); starting it again in 0.0 s"
    assert watched.starts >= 8


async def test_a_killed_one_is_restarted():
    """The signal is named."""
    watched = Watched()
    async with running(watched, SLEEPS) as child:
        await until(lambda: watched.lines == ["up"])
        os.kill(pid_of(child), signal.SIGKILL)
        await until(lambda: watched.lines == ["up", "up"])
    assert watched.ends == ["prog ended (killed by SIGKILL); starting it again in 0.0 s"]
    assert child.starts == 2


async def test_backoff_begins_anew_after_a_healthy_run(monkeypatch: pytest.MonkeyPatch):
    """A program that has run for long is started again at once."""
    monkeypatch.setattr(module, "HEALTHY_S", 3.0)
    watched = Watched()
    async with running(watched, lambda n: "sleep 3.1; exit 1" if n == 5 else "exit 1"):
        await until(lambda: len(watched.ends) >= 6)
    assert [end.rsplit(" in ", 1)[1] for end in watched.ends[:6]] == [
        "0.0 s",
        "0.0 s",
        "0.1 s",
        "0.2 s",
        "0.0 s",
        "0.0 s",
    ]


async def test_a_users_mistake_is_final():
    """Exit code 2, twice in a row and before it ever ran well: not started again, its own words kept."""
    watched = Watched()
    async with running(watched, lambda n: f"echo line one, start {n} >&2; echo line two >&2; exit 2") as child:
        await until(lambda: child.failed is not None)
        assert child.failed == "line one, start 2\nline two"
    assert watched.starts == 2
    assert watched.ends[-1] == "prog: cannot start"


async def test_a_users_mistake_without_words():
    """Says at least whose it was."""
    async with running(Watched(), "exit 2") as child:
        await until(lambda: child.failed is not None)
        assert child.failed == "prog could not start"


async def test_one_refusal_may_be_chance():
    """A port may have been taken in between: once is started again."""
    watched = Watched()
    async with running(watched, lambda n: "exit 2" if n == 1 else SLEEPS) as child:
        await until(lambda: watched.lines == ["up"])
        assert child.failed is None


async def test_some_programs_have_no_such_code():
    """For nats-server 2 is a crash like any other."""
    watched = Watched()
    async with running(watched, "exit 2", usage=None) as child:
        await until(lambda: watched.starts >= 4)
        assert child.failed is None


async def test_a_frozen_one_is_killed_and_restarted():
    """A stopped process would never end by itself."""
    watched = Watched()
    async with running(watched, SLEEPS) as child:
        await until(lambda: watched.lines == ["up"])
        frozen = pid_of(child)
        watched.alive = lambda: psutil.Process(pid_of(child)).status() != psutil.STATUS_STOPPED
        os.kill(frozen, signal.SIGSTOP)
        await until(lambda: watched.lines[-1] == "up" and len(watched.lines) == 3)
        assert pid_of(child) != frozen
        assert not is_running(frozen)
    assert watched.lines[1] == "prog does not answer; killing it"
    assert "killed by SIGKILL" in watched.ends[0]


async def refused() -> bool:
    raise ConnectionRefusedError


@pytest.mark.parametrize("answer", [lambda: False, refused, lambda: asyncio.sleep(600)], ids=["no", "refused", "never"])
async def test_no_answer_is_frozen(answer):
    """Whether it says no, refuses or never answers: three times in a row and it is killed."""
    watched = Watched()
    watched.alive = answer
    async with running(watched, SLEEPS):
        await until(lambda: watched.starts >= 2)
    assert "prog does not answer; killing it" in watched.lines


async def test_a_late_answer_is_forgiven():
    """Two silences between answers are no reason to kill."""
    watched = Watched()
    asked = 0

    def answers() -> bool:
        nonlocal asked
        asked += 1
        return asked % 3 == 0

    watched.alive = answers
    async with running(watched, SLEEPS):
        await until(lambda: asked >= 9)
        assert watched.starts == 1


async def test_stopped_by_asking(monkeypatch: pytest.MonkeyPatch):
    """SIGTERM first: the program may finish what it does."""
    monkeypatch.setattr(module, "STOP_LIMIT_S", patient())
    watched = Watched()
    async with running(watched, "trap 'echo bye >&2; exit 0' TERM; echo up >&2; while :; do sleep 0.02; done") as child:
        await until(lambda: watched.lines == ["up"])
        pid = pid_of(child)
        await child.stop()
        assert not is_running(pid)
        await until(lambda: watched.lines == ["up", "bye"])
    assert watched.ends == []
    assert watched.starts == 1


async def test_a_stubborn_one_is_killed():
    """Past the limit it is killed."""
    watched = Watched()
    async with running(watched, STUBBORN) as child:
        await until(lambda: watched.lines == ["up"])
        pid = pid_of(child)
        async with asyncio.timeout(patient()):
            await child.stop()
        assert not is_running(pid)


async def test_a_frozen_one_is_stopped():
    """Stopping needs no answer."""
    watched = Watched()
    async with running(watched, SLEEPS) as child:
        await until(lambda: watched.lines == ["up"])
        watched.alive = lambda: True
        pid = pid_of(child)
        os.kill(pid, signal.SIGSTOP)
        async with asyncio.timeout(patient()):
            await child.stop()
        assert not is_running(pid)


async def test_stopped_between_two_starts(monkeypatch: pytest.MonkeyPatch):
    """While it waits to be started again: it is not."""
    monkeypatch.setattr(module, "FIRST_WAIT_S", 3)
    watched = Watched()
    child = Child(watched.program("exit 1"))
    task = asyncio.create_task(child.run(watched.ends.append))
    await until(lambda: len(watched.ends) == 1)
    await child.stop()
    async with asyncio.timeout(patient()):
        await task
    assert watched.starts == 1


async def test_cancelled_leaves_no_process():
    """Whoever supervises goes away: the process does too."""
    watched = Watched()
    child = Child(watched.program(STUBBORN))
    task = asyncio.create_task(child.run(watched.ends.append))
    await until(lambda: watched.lines == ["up"])
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert not is_running(pid_of(child))


async def test_last_words():
    """The last 20 lines are kept, whatever bytes they are made of, and a line without an end does not stop the rest."""
    watched = Watched()
    long_line = r"head -c 300000 /dev/zero | tr '\0' x >&2; echo >&2"
    script = rf"printf 'a\377b\n' >&2; {long_line}; for i in $(seq 25); do echo $i >&2; done; exec sleep 600"
    async with running(watched, script) as child:
        await until(lambda: watched.lines[-1:] == ["25"])
        assert list(child.last_words) == [str(i) for i in range(6, 26)]
        assert watched.lines[0] == r"a\xffb", "no byte is lost"
        assert any(TOO_LONG in line for line in watched.lines), "a line of which a part was dropped is told"


async def test_nobody_reads_our_words_of_it():
    """Our own standard error is closed: a program that ends is started again, one that is frozen is killed."""
    watched = Watched()
    watched.alive = lambda: watched.starts != 2

    def broken(_line: str) -> None:
        raise BrokenPipeError

    program = watched.program(lambda n: "exit 3" if n == 1 else SLEEPS)
    child = Child(Program("prog", program.command, program.environment, program.alive, broken))
    task = asyncio.create_task(child.run(broken))
    # Not before the third process is there: `stop` would find the second one, which has ended.
    await until(lambda: watched.starts == 3 and child.process is not None and child.process.returncode is None)
    await child.stop()
    await task


async def test_nobody_reads_our_words():
    """Our own standard error is closed: the program's pipe must still be emptied, or it would hang on it."""
    watched = Watched()

    def broken(line: str) -> None:
        watched.lines.append(line)
        raise BrokenPipeError

    program = watched.program("for i in 1 2 3; do echo $i >&2; done; exec sleep 600")
    child = Child(Program("prog", program.command, program.environment, program.alive, broken))
    task = asyncio.create_task(child.run(watched.ends.append))
    await until(lambda: watched.lines == ["1", "2", "3"])
    await child.stop()
    await task


async def test_its_surroundings():
    """The environment given and no more, no standard input, a session of its own, so that Ctrl-C is ours to pass on."""
    watched = Watched()
    script = "echo \"$WHO ${HOME-none} $(wc -c) $(ps -o sid= -p $$ | tr -d ' ') $$\" >&2; exec sleep 600"
    async with running(watched, script):
        await until(lambda: len(watched.lines) == 1)
    who, home, read, session, pid = watched.lines[0].split()
    assert (who, home, read) == ("moretta", "none", "0")
    assert session == pid


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
def test_it_dies_with_its_parent():
    """Even when the parent is killed nothing is left running."""
    program = f"""
import asyncio
from operate.box.child import Child, Program
async def alive(): return True
child = Child(Program("p", lambda: ["sh", "-c", {SLEEPS!r}], {{"PATH": {os.environ["PATH"]!r}}}, alive,
              lambda line: print(child.process.pid, flush=True)))
asyncio.run(child.run(print))
"""
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    pid = int(parent.stdout.readline())
    assert is_running(pid)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    wait_until(lambda: not is_running(pid), "its end", ignoring=(psutil.NoSuchProcess,))


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
def test_its_parent_died_before_it_began():
    """The kernel sends no signal for a death that was: then the program is not run at all."""
    command = tied(["echo", "running"])
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "running\n"
    command[command.index(str(os.getpid()))] = "1"
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "the parent has ended\n")


async def test_a_program_that_cannot_be_started():
    """Says which, and why."""
    watched = Watched()
    child = Child(Program("prog", lambda: ["/etc/hostname"], {}, watched.program("").alive, watched.lines.append))
    task = asyncio.create_task(child.run(watched.ends.append))
    await until(lambda: watched.ends)
    assert watched.lines[0] == "/etc/hostname: cannot be started: Permission denied"
    await child.stop()
    await task


async def test_a_box_stops_in_order(tmp_path: Path):
    """Cameras first, the bus last: ingest, inference, aggregate, notify, nats-server."""
    box = Box(tmp_path, tmp_path / "none.yaml", on_line=lambda _name, _line: None)
    order: list[str] = []
    up: set[str] = set()

    def program(name: str) -> Program:
        script = "trap 'exit 0' TERM; echo up >&2; while :; do sleep 0.02; done"

        async def alive() -> bool:
            return True

        return Program(name, lambda: ["sh", "-c", script], {"PATH": os.environ["PATH"]}, alive, lambda _: up.add(name))

    names = ["ingest", "inference", "aggregate", "notify", "nats-server"]
    for name in random.sample(names, 5):
        box._start(name, program(name))
        box._tasks[name].add_done_callback(lambda _task, name=name: order.append(name))
    await until(lambda: up == set(names))
    assert set(box.pids()) == set(names)
    await box.close()
    assert order == names
    assert box.pids() == {}
    await box.close()  # a second time is nothing
