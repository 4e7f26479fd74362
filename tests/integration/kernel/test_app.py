"""The life of a service, as a process."""

import itertools
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import tiny_service
from patience import patient
from program import Program
from warm import warm

SCRIPT = Path(tiny_service.__file__)
Start = Callable[..., Program]


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    return tmp_path / "moretta.yaml"


@pytest.fixture(name="start")
def _start(file: Path) -> Iterator[Start]:
    """`start(mode)` runs the tiny service, and `start(text=...)` with this settings file."""
    running: list[Program] = []

    def start(mode: str = "well", text: str | None = None, *, writes: bool = True, cold: bool = False) -> Program:
        if writes:
            file.write_text(f"ingest: {{mode: {mode}}}\n" if text is None else text)
        arguments = ["-c", str(file)]
        cold_command = [sys.executable, SCRIPT, *arguments]
        running.append(Program(cold_command if cold else warm().start(str(SCRIPT), arguments)))
        return running[-1]

    yield start
    for service in running:
        service.close()


def steps(service: Program) -> list[str]:
    return [line["step"] for line in service.said("step")]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order(start: Start, number: signal.Signals):
    """Readiness off, steps last-in-first-out, exit code 0."""
    service = start(cold=True)
    assert service.get("/readyz") == (200, "ok\n")
    service.signal(number)
    assert service.ended() == 0
    assert steps(service) == ["second", "first"]
    assert service.said("stopped", code=0)


def test_it_says_which_build_runs(start: Start):
    """In the log when it runs, and as a metric."""
    service = start()
    told = service.wait_for("running")
    (line,) = [one for one in service.get("/metrics")[1].splitlines() if one.startswith("moretta_build_info{")]
    assert {f'build="{told["build"]}"', f'version="{told["version"]}"'} < {*line[line.index("{") + 1 : -5].split(",")}


def test_not_ready_while_stopping(start: Start):
    """Traffic goes elsewhere before anything is closed."""
    service = start("step-hangs")
    service.wait_for("running")
    service.signal(signal.SIGTERM)
    service.wait_for("step", step="second")
    assert service.get("/readyz") == (503, "running: stopping\n")
    assert service.ended() == 0


@pytest.mark.parametrize("mode", ["step-hangs", "step-hangs-stubbornly"])
def test_a_step_that_hangs_is_cut(start: Start, mode: str):
    """No step keeps the others from running for longer than its limit, not even one that will not be cancelled."""
    service = start(mode)
    service.wait_for("running")
    service.signal(signal.SIGTERM)
    assert service.ended(10) == 0, "a step's own limit here is 0.5 s; what hangs would hang for an hour"
    assert steps(service) == ["second", "first"]
    assert service.said("shutdown step timed out", step=mode)


@pytest.mark.parametrize("mode", ["step-fails", "step-is-cancelled"])
def test_a_step_that_fails_stops_no_other(start: Start, mode: str):
    """The error is told, the next steps run."""
    service = start(mode)
    service.wait_for("running")
    service.signal(signal.SIGTERM)
    assert service.ended() == 0
    assert steps(service) == ["second", "first"]
    assert service.said("a step of stopping failed", step=mode)


@pytest.mark.parametrize("mode", ["task-returns", "task-raises", "start-fault"])
def test_a_background_task_that_ends_is_a_fault(start: Start, mode: str):
    """Whether it returned or raised, and also while the service starts: stop in order, exit code 1."""
    service = start(mode)
    assert service.ended() == 1
    assert service.said("background task ended by itself", task=mode)
    assert steps(service) == ["second", "first"]
    assert "hunter2" not in "".join(service.words)


def test_a_task_that_may_end_is_none(start: Start):
    """A task that says so may return."""
    service = start("task-ends-as-it-may")
    service.wait_for("may end")
    assert service.get("/livez") == (200, "ok\n")
    service.signal(signal.SIGTERM)
    assert service.ended() == 0


def test_a_task_that_will_not_end_is_left(start: Start):
    """A task that swallows its cancellation is named, and the process ends."""
    service = start("task-never-ends")
    service.wait_for("running")
    service.signal(signal.SIGTERM)
    assert service.ended() == 0
    assert service.said("unfinished tasks left behind", tasks=["task-never-ends"])


def test_a_thread_that_will_not_end_is_left(start: Start):
    """A call that hangs in a thread of the loop's own executor does not keep the process."""
    service = start("thread-never-ends")
    service.wait_for("running")
    service.signal(signal.SIGTERM)
    assert service.ended() == 0
    assert service.said("leaving what does not end")


def test_no_thread_outlives_the_loop(start: Start):
    """Whatever ends the event loop: a camera's thread would go on with nobody to pause it."""
    service = start("loop-is-cancelled")
    assert service.ended() == 1
    assert service.said("event loop ended by itself")
    (line,) = [*service.said("leaving what does not end"), *service.said("unfinished threads left behind")]
    assert "camera" in line["threads"]


@pytest.mark.parametrize(
    "mode", ["well", "step-fails", "step-hangs-stubbornly", "task-never-ends", "thread-never-ends"]
)
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_it_ends_without_its_log(file: Path, mode: str, unbuffered: str):
    """The log's reader is gone: every line of the stop fails, and the service ends as it would with it."""
    file.write_text(f"ingest: {{mode: {mode}}}\n")
    environment = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    service = warm().start(str(SCRIPT), ["-c", str(file)], environment=environment)
    try:
        with service.stdout, service.stderr as log:
            assert any('"running"' in line for line in log)
        service.terminate()
        assert service.wait(patient()) == 0
    finally:
        service.kill()
        service.wait()


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_leaves_at_once(start: Start, first: signal.Signals, second: signal.Signals):
    """Whoever asks twice means it: exit code 1, no further step."""
    service = start("step-hangs")
    service.wait_for("running")
    service.signal(first)
    service.wait_for("step", step="second")
    service.signal(second)
    assert service.ended() == 1
    assert steps(service) == ["second"]


def test_a_signal_while_starting(start: Start):
    """Stopping does not wait for a start that hangs; what was built is closed."""
    service = start("start-hangs")
    service.wait_for("hanging")
    service.signal(signal.SIGTERM)
    assert service.ended() == 0
    assert service.said("running") == []
    assert steps(service) == ["second", "first"]


def test_what_its_operator_can_mend(start: Start):
    """StartError: one line, exit code 2, no traceback, what was built is closed."""
    service = start("start-error")
    assert service.ended() == 2
    (line,) = service.said("cannot start", error="ingest.mode: cannot start; take another mode")
    assert line["file"].endswith(".yaml")
    assert steps(service) == ["first"]
    assert "Traceback" not in "".join(service.words)


def test_a_start_that_crashes(start: Start):
    """Any other error: its traceback without secrets, exit code 1, what was built is closed."""
    service = start("start-crashes")
    assert service.ended() == 1
    assert "ValueError" in service.said("failed to start")[0]["exception"]
    assert "hunter2" not in "".join(service.words)
    assert steps(service) == ["first"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ingest: {mode: x}", ["ingest.mode: must be one of"]),
        ("ingest: {mode: x, y: 1}\nfoo: 1", ["foo: unknown section", "ingest.y: unknown key", "ingest.mode: must be"]),
        ("ingest: [", ["is not YAML"]),
    ],
)
def test_bad_settings(start: Start, text: str, words: list[str]):
    """One line a mistake on standard error, exit code 2, no traceback."""
    service = start(text=text)
    assert service.ended() == 2
    assert len(service.words) == len(words)
    assert all(word in line for word, line in zip(words, service.words, strict=True))


def test_no_settings_file(start: Start, file: Path):
    """A file that is not there is a mistake like any other."""
    service = start(writes=False)
    assert service.ended() == 2
    assert service.words == [f"{file}: cannot be read: No such file or directory; name a readable YAML file"]


def test_the_probes_port_is_taken(start: Start):
    """One line that names the setting and the port, exit code 2."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        service = start(text=f"probes: {{port: {port}}}")
        assert service.ended() == 2
    line = service.said("cannot start")[0]["error"]
    assert line.startswith(f"probes.port: cannot listen on 127.0.0.1:{port}: ")
    assert line.endswith("take a free port, or 0")
    assert "Traceback" not in "".join(service.words)


def test_the_probes_host_is_none(start: Start):
    """A host that is not ours is told like a taken port."""
    service = start(text="probes: {host: 192.0.2.1, port: 8080}")
    assert service.ended() == 2
    assert service.said("cannot start")[0]["error"].startswith("probes.port: cannot listen on 192.0.2.1:8080: ")


def replace(file: Path, text: str) -> None:
    """Change a file as editors do: a new one takes its place."""
    new = file.with_suffix(".new")
    new.write_text(text)
    new.replace(file)


def swap_link(file: Path, text: str) -> None:
    """Change a file as Kubernetes does: it is a link into a folder behind another link, which is swapped."""
    folder = file.parent / f"..{time.monotonic_ns()}"
    folder.mkdir()
    (folder / file.name).write_text(text)
    (file.parent / "..tmp").symlink_to(folder.name)
    (file.parent / "..tmp").replace(file.parent / "..data")


def until_applied(service: Program, change: Callable[[int], object]) -> None:
    """Change the file, with another number each time, until it is noticed: a watch does not say when it begins."""
    numbers = itertools.count(1)
    due = 0.0

    def noticed() -> bool:
        nonlocal due
        if time.monotonic() > due:
            due = time.monotonic() + 3
            change(next(numbers))
        return bool(service.said("applied"))

    service.until(noticed, "the change is noticed")


@pytest.mark.parametrize("change", [lambda file, text: file.write_text(text), replace], ids=["written", "replaced"])
def test_a_changed_file_is_taken_into_force(start: Start, file: Path, change):
    """Without a signal; readiness stays."""
    service = start()
    service.wait_for("running")
    until_applied(service, lambda number: change(file, f"ingest: {{number: {number}}}"))
    service.wait_for("new settings in force")
    assert service.get("/readyz") == (200, "ok\n")


def test_a_change_while_it_starts_is_taken_into_force(start: Start):
    """After the settings were loaded, and before the file is watched: seconds on a busy machine."""
    service = start("file-changes-meanwhile")
    service.wait_for("applied", number=7)
    assert service.get("/readyz") == (200, "ok\n")


def test_a_changed_configmap_is_taken_into_force(start: Start, file: Path):
    """Kubernetes swaps a link beside the file."""
    swap_link(file, "ingest: {}")
    file.symlink_to("..data/moretta.yaml")
    service = start(writes=False)
    service.wait_for("running")
    until_applied(service, lambda number: swap_link(file, f"ingest: {{number: {number}}}"))


def test_sighup_reads_the_file_again(start: Start):
    """Also when the file is the same: what it names may have changed."""
    service = start()
    service.wait_for("running")
    service.signal(signal.SIGHUP)
    service.wait_for("applied", number=0)
    service.signal(signal.SIGHUP)
    service.wait_for("applied", 2, number=0)


def test_sighup_while_starting(start: Start):
    """A reload waits until the service has started; it is no fault."""
    service = start("start-slowly")
    service.wait_for("hanging")
    service.signal(signal.SIGHUP)
    service.wait_for("applied", number=0)
    assert [line["event"] for line in service.lines if line["event"] in {"running", "applied"}] == [
        "running",
        "applied",
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("ingest: {number: x}", "ingest.number: must be a whole number, got 'x'"),
        ("ingest: {number: -1}", "ingest.number: is negative; take a positive one"),
        ("ingest: [", "is not YAML"),
    ],
)
def test_an_invalid_file_leaves_the_old_in_force(start: Start, file: Path, text: str, why: str):
    """Readiness says what is wrong, the service lives on, and the next good file mends it."""
    service = start()
    service.wait_for("running")
    file.write_text(text)
    service.signal(signal.SIGHUP)
    service.wait_for("new settings not in force")
    status, body = service.get("/readyz")
    assert status == 503
    assert body.startswith("settings: ")
    assert why in body
    assert service.get("/livez") == (200, "ok\n")
    assert service.said("applied") == []
    file.write_text("ingest: {number: 7}")
    service.signal(signal.SIGHUP)
    service.wait_for("applied", number=7)
    service.until(lambda: service.get("/readyz")[0] == 200, "ready again")


def test_a_file_that_vanishes_or_becomes_a_folder(start: Start, file: Path):
    """Is an invalid file, and no fault."""
    service = start()
    service.wait_for("running")
    until_applied(service, lambda number: file.write_text(f"ingest: {{number: {number}}}"))
    file.unlink()
    service.until(lambda: "cannot be read" in service.get("/readyz")[1], "readiness tells")
    file.mkdir()
    service.signal(signal.SIGHUP)
    service.until(lambda: "Is a directory" in service.get("/readyz")[1], "readiness tells")
    file.rmdir()
    file.write_text("ingest: {number: 999}")
    service.wait_for("applied", number=999)
    service.until(lambda: service.get("/readyz")[0] == 200, "ready again")


def test_a_secret_that_comes_after_the_file_that_names_it(start: Start, file: Path):
    """Kubernetes brings a ConfigMap and a Secret in any order, up to two minutes apart."""
    service = start()
    service.wait_for("running")
    until_applied(service, lambda number: file.write_text(f"ingest: {{number: {number}}}"))
    late = file.parent / "secrets/late.token"
    late.parent.mkdir()
    file.write_text(f"ingest: {{number: 777, token_file: {late}}}")
    service.until(lambda: "late.token" in service.get("/readyz")[1], "readiness tells")
    late.write_text("0123456789abcdef")
    service.wait_for("applied", number=777)
    service.until(lambda: service.get("/readyz")[0] == 200, "ready again")
    assert len(service.said("new settings not in force")) == 1, "a failed retry is not logged again"


def test_a_service_that_takes_nothing_new(start: Start):
    """Says that the new settings wait for the next start."""
    service = start("no-reload")
    service.wait_for("running")
    service.signal(signal.SIGHUP)
    service.wait_for("new settings await a restart")
    assert service.get("/readyz") == (200, "ok\n")


def test_metrics(start: Start):
    """Readiness and reloads are metrics, in the exposition format."""
    service = start()
    service.wait_for("running")
    service.signal(signal.SIGHUP)
    service.wait_for("new settings in force")
    status, body = service.get("/metrics")
    assert status == 200
    assert 'moretta_ready{condition="running"} 1.0' in body
    assert 'moretta_settings_reloads_total{outcome="applied"} 1.0' in body
