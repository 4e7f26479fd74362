"""The proof's eyes on real things: another process's memory, packets, system calls, crashes, a network of its own."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from patience import wait_until

from testbed.proof import disk, memory
from testbed.proof.capture import Capture, CaptureError
from testbed.proof.core.needles import Needles

ROW = os.urandom(64)
NEEDLE = Needles([ROW[:32]])
ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root sees other processes' memory and packets")
STRACE = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")


@contextlib.contextmanager
def running(program: str, *prefix: str):
    """A Python program that says "ready"; whatever is written to it lets it go on."""
    process = subprocess.Popen(
        [*prefix, sys.executable, "-c", textwrap.dedent(program), ROW.hex()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def holds(pid: int) -> bool:
    return any(NEEDLE.within(data) for data in memory.chunks(pid))


HOLDER = """
    import ctypes, sys
    row = bytearray(5 << 20)
    for index in range(64):  # one by one: no copy is left anywhere
        row[index - 64] = int(sys.argv[1][2 * index : 2 * index + 2], 16)
    print("ready", flush=True)
    sys.stdin.readline()
    row[:] = bytes(len(row))
    print("ready", flush=True)
    sys.stdin.readline()
"""


@ROOT
def test_a_row_in_another_processes_memory_is_found_until_it_is_overwritten():
    """Read as it runs, and at one moment, for which it is stopped and then goes on."""
    with running(HOLDER) as process:
        assert holds(process.pid)
        copy = memory.at_once(process.pid)
        assert any(NEEDLE.within(data) for data in copy)
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "ready\n", "it goes on after it was stopped"
        assert not holds(process.pid)
    with pytest.raises(OSError, match="No such"):
        memory.regions(process.pid)


def names() -> dict[int, str]:
    return {pid: memory.name_of(pid) for pid in memory.descendants(os.getpid())}


def test_every_descendant_is_known_by_what_it_was_started_as():
    """Grandchildren too, and no process of anybody else."""
    program = """
        import subprocess, sys
        child = subprocess.Popen(["sleep", "600"])
        print("ready", flush=True)
        sys.stdin.readline()
    """
    with running(program) as process:
        # a child is Python still until it is `sleep`
        found = wait_until(lambda: "sleep" in (seen := names()).values() and seen, "the grandchild", every_s=0.05)
        grandchild = next(pid for pid, name in found.items() if name == "sleep")
        assert found[process.pid].startswith("python")
        assert os.getpid() not in found
        assert 1 not in found
        assert memory.descendants(process.pid) == [grandchild]
        os.kill(grandchild, 9)
    assert memory.name_of(process.pid) == ""


def test_who_may_not_read_memory_is_told_why():
    """Root's capability decides, not the name."""
    assert (memory.may_read() is None) == (os.geteuid() == 0)


@contextlib.contextmanager
def captured(known: int | None = None):
    heard: list[tuple[str, bytes]] = []
    with Capture(lambda way, data: heard.append((way, data))) as capture:
        if known is not None:
            capture.known.add(known)
        yield capture, heard


def send(family: int, kind: int, host: str) -> int:
    """Send the row over loopback; returns the receiver's port."""
    with socket.socket(family, kind) as server, socket.socket(family, kind) as client:
        server.bind((host, 0))
        port = server.getsockname()[1]
        if kind == socket.SOCK_STREAM:
            server.listen()
            client.connect((host, port))
            client.sendall(ROW)
            with server.accept()[0] as taken:
                assert taken.recv(100) == ROW
        else:
            client.sendto(ROW, (host, port))
            assert server.recv(100) == ROW
        return port


@ROOT
@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM], ids=["tcp", "udp"])
@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")], ids=["4", "6"])
def test_what_is_sent_is_captured_once_with_its_ports(kind, family, host):
    """A packet on loopback passes twice, and is taken once."""
    with captured() as (capture, heard):
        port = send(family, kind, host)
        time.sleep(0.3)
    found = [way for way, data in heard if NEEDLE.within(data)]
    assert [way.endswith(f"to port {port}") for way in found] == [True]
    assert sum(len(NEEDLE.within(data)) for _, data in heard) == 1
    assert capture.packets >= 1
    capture.end()


@ROOT
def test_what_the_camera_sends_is_left_out():
    """Only what comes from its port: what is sent to it is taken."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with captured(known=port) as (_, heard), socket.create_connection(("127.0.0.1", port)) as client:
            taken, _ = server.accept()
            with taken:
                taken.sendall(ROW)
                assert client.recv(100) == ROW
                time.sleep(0.3)
                assert not any(NEEDLE.within(data) for _, data in heard)
                client.sendall(ROW)
                assert taken.recv(100) == ROW
                time.sleep(0.3)
    assert [way.endswith(f"to port {port}") for way, data in heard if NEEDLE.within(data)] == [True]


def test_who_may_not_capture_is_told_why(monkeypatch):
    """One line that says what is needed."""

    def refused(*_):
        raise PermissionError

    monkeypatch.setattr(socket, "socket", refused)
    with pytest.raises(CaptureError, match="run it as root"), captured():
        pass


ISOLATED = """
    import os, socket, sys, time
    from testbed.proof.capture import Capture
    from testbed.proof.capture import isolate
    why = isolate()
    if why is not None:
        sys.exit(why)
    heard = []
    with Capture(lambda way, data: heard.append(data)) as capture:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as outside:
            outside.sendto(bytes.fromhex(sys.argv[1]), ("192.0.2.7", 9))
        with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
            pass
        time.sleep(0.3)
    assert any(bytes.fromhex(sys.argv[1]) in data for data in heard), heard
    print(sorted(capture.outwards))
"""


@ROOT
def test_in_a_network_of_its_own_whatever_tries_to_leave_is_seen():
    """And reaches nobody: its packet to another machine is captured on loopback, with its payload."""
    if shutil.which("ip") is None:
        pytest.skip("iproute2 is not installed")
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(ISOLATED), ROW.hex()], capture_output=True, text=True, timeout=60
    )
    if "no network of its own" in done.stderr:
        pytest.skip(done.stderr.strip())
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "['192.0.2.7']\n"


WRITER = """
    import mmap, os, sys, threading
    folder = sys.argv[2]
    def write(name):
        with open(f"{folder}/{name}", "wb") as file:
            file.write(b"x" * 5000)
    threads = [threading.Thread(target=write, args=[f"thread-{n}"]) for n in range(8)]
    for one in threads: one.start()
    for one in threads: one.join()
    with open(f"{folder}/thread-0", "r+b") as file, mmap.mmap(file.fileno(), 4096) as mapped:
        mapped[:1] = b"y"
    open(f"{folder}/thread-1", "rb").read()
    os.rename(f"{folder}/thread-2", f"{folder}/renamed")
    os.remove(f"{folder}/thread-3")
    open(os.devnull, "wb").write(b"z")
    if os.fork() == 0:
        write("of a child")
        os._exit(0)
    os.wait()
"""


@STRACE
def test_strace_sees_every_file_that_any_thread_or_child_writes(tmp_path):
    """Also one that is renamed, mapped or removed; the program is the child, not strace."""
    folder, log = tmp_path / "written", tmp_path / "log"
    folder.mkdir()
    command = [*disk.prefix(log), sys.executable, "-c", textwrap.dedent(WRITER), "", str(folder)]
    process = subprocess.Popen(command)
    executable = Path(f"/proc/{process.pid}/exe")
    names = set()
    while process.poll() is None:
        with contextlib.suppress(OSError):
            names.add(executable.readlink().name)
        time.sleep(0.01)
    assert process.returncode == 0
    assert any(name.startswith("python") for name in names)
    seen = read_when_ended(log)
    written = {Path(path).name for path in seen.written if path.startswith(str(folder))}
    assert written == {*(f"thread-{n}" for n in range(8)), "renamed", "of a child"}
    assert seen.cores == 0


def read_when_ended(log: Path) -> disk.TracedFiles:
    """strace writes its last lines a moment after the program has ended."""

    def is_whole() -> bool:
        program, _, lines = log.read_text().partition(" ")
        return any(line.startswith(f"{program} ") and "+++" in line for line in lines.splitlines())

    wait_until(is_whole, lambda: log.read_text()[-500:])
    return disk.read(log.read_text().splitlines())


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (None, "strace is missing: install it"),
        (
            "echo 'strace: PTRACE_SEIZE: Operation not permitted' >&2; exit 1",
            "here: strace: PTRACE_SEIZE: Operation not",
        ),
        ("exit 3", "here: 3"),
        ('while [ "$1" != -o ]; do shift; done; shift 2; exec "$@"', None),
    ],
    ids=["missing", "forbidden", "failing", "working"],
)
def test_where_nothing_can_be_traced_it_is_known_before_anything_is_started(tmp_path, monkeypatch, script, words):
    """Else no service would start at all."""
    if script is not None:
        (tmp_path / "strace").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "strace").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    why = disk.why_not()
    assert why is None if words is None else words in why


CRASH = """
    import os, resource, sys
    if sys.argv[2] == "core":
        _, hard = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    else:
        from services.kernel.process import leave_no_core
        leave_no_core()
    os.abort()
"""


@STRACE
@pytest.mark.parametrize("how", ["core", "none"])
def test_strace_tells_whether_a_core_was_dumped(tmp_path, how):
    """The kernel's word, wherever the core went; as the services are set up none is."""
    log = tmp_path / "log"
    command = [*disk.prefix(log), sys.executable, "-c", textwrap.dedent(CRASH), "", how]
    done = subprocess.run(command, cwd=tmp_path, timeout=60)
    assert done.returncode == -6
    seen = read_when_ended(log)
    assert seen.killed == ["SIGABRT"]
    if how == "none":
        assert seen.cores == 0
        assert not list(tmp_path.glob("core*"))
    elif Path("/proc/sys/kernel/core_pattern").read_text().strip() == "core":
        assert seen.cores == 1
        assert list(tmp_path.glob("core*"))
