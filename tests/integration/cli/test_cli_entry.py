"""A single service starts without the rest."""

import subprocess
import sys
from pathlib import Path

import pytest
from command_line import moretta
from patience import patient
from warm import COMMAND_LINE, warm

from moretta.__main__ import MEANT

FOREIGN = {
    "ingest": ["onnxruntime", "aiosmtplib", "scipy", "typer", "rich"],
    "inference": ["av", "aiosmtplib", "scipy", "typer", "rich"],
    "aggregate": ["av", "onnxruntime", "aiosmtplib", "typer", "rich"],
    "notify": ["av", "onnxruntime", "scipy", "typer", "rich"],
}
"""What a service's own image does not hold."""
PROGRAM = """
import sys
for name in {foreign!r}:
    sys.modules[name] = None  # importing it fails
sys.argv = ["moretta", {name!r}, "-c", "/nowhere/settings.yaml"]
from moretta.entry import main
main()
"""


@pytest.mark.parametrize("name", sorted(FOREIGN))
def test_a_service_needs_only_its_own_libraries(name: str):
    """`moretta SERVICE` comes as far as its settings file with every other service's libraries missing."""
    program = PROGRAM.format(foreign=FOREIGN[name], name=name)
    run = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, timeout=patient(60))
    assert run.returncode == 2
    assert (
        run.stderr == "/nowhere/settings.yaml: cannot be read: No such file or directory; name a readable YAML file\n"
    )


@pytest.mark.parametrize(("typed", "meant"), [*MEANT.items(), ("reprot", "report")])
def test_a_command_of_other_programs_is_answered_with_ours(typed: str, meant: str):
    """Exit code 2, and the command that may be meant is one."""
    run = moretta(typed)
    assert run.returncode == 2
    assert f"Did you mean '{meant}'" in run.stderr
    assert meant in moretta("--help").stdout


def test_help_about_notify_tells_its_commands(tmp_path: Path):
    """Where the command line is installed; a word behind `notify` is a command and not the service's."""
    command = [sys.executable, "-P", "-c", "from moretta.entry import main; main()"]
    shown = subprocess.run([*command, "notify", "--help"], capture_output=True, text=True, timeout=patient(60))
    assert [word for word in ("status", "test", "replay", "--config") if word not in shown.stdout] == []
    script = tmp_path / "moretta.py"
    script.write_text("from moretta.entry import main; main()\n")
    wrong = warm(COMMAND_LINE).start(str(script), ["notify", "statsu"])
    _, said = wrong.communicate(patient(60))
    assert (wrong.returncode, "No such command" in said) == (2, True)


def test_help_loads_nothing_that_runs():
    """What runs the box and talks to NATS is two fifths of a command's start: who asks what there is does without."""
    program = """
import sys
sys.argv = ["moretta", "--help"]
from moretta.entry import main
try:
    main()
finally:
    print([name for name in ("aiohttp", "nats", "services.kernel.app", "services.bus") if name in sys.modules])
"""
    shown = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, timeout=patient(60))
    assert (shown.returncode, "doctor" in shown.stdout) == (0, True)
    assert shown.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["--help"], 0), (["--version"], 0), (["nats", "show", "--rights"], 0), (["doctor", "--json", "-c"], 1)],
    ids=lambda one: one[0] if isinstance(one, list) else str(one),
)
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_output_that_is_closed_early(tmp_path: Path, arguments: list[str], code: int, stream: str):
    """`| head` neither stops a command nor changes its exit code: it says nothing more, and does what it does.

    Twice in an interpreter of its own, which ends as Python does.
    """
    settings = tmp_path / "settings.yaml"
    settings.write_text("nats: {url: 'nats://127.0.0.1:1'}\nsites: [{id: forville}]\n")
    words = [*arguments, settings] if arguments[-1] == "-c" else arguments
    run = moretta(*words, unread=stream, cold=arguments == ["--version"], PYTHONUNBUFFERED=None)
    assert (run.returncode, run.stderr or "") == (code, "")


def test_each_part_of_the_command_line_can_be_loaded_first():
    """Other tests fork a Python that has loaded them all: what needs another part to have been there is seen here."""
    program = """
import os, sys
import aiohttp, cryptography, msgspec, nats, numpy, prometheus_client, rich.console, structlog, typer, uvloop, yaml
for part in sys.argv[1:]:
    if (child := os.fork()) == 0:
        __import__(part)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0, part
"""
    parts = [name for name in COMMAND_LINE if name.startswith(("services.", "operate.", "testbed.", "moretta."))]
    command = [sys.executable, "-P", "-W", "error", "-c", program, *parts]
    run = subprocess.run(command, capture_output=True, text=True, timeout=patient(60), check=False)
    assert (run.returncode, run.stderr) == (0, "")


INTERRUPTED = """
import os, signal, sys
class CtrlC:
    def find_spec(self, name, *_):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where a shell runs the tests in the background
sys.meta_path.insert(0, CtrlC())
sys.argv = ["moretta", "up", "--temporary", "--camera", "gate=rtsp://127.0.0.1:9/"]
from moretta.entry import main
main()
"""


@pytest.mark.parametrize("module", ["typer", "operate.box.up"])
def test_ctrl_c_while_it_loads(module: str):
    """In the first second, when the command line or the command is imported: one line, as after Ctrl-C elsewhere."""
    program = INTERRUPTED.format(module=module)
    run = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, timeout=patient(60))
    assert (run.returncode, run.stdout, run.stderr) == (130, "", "interrupted\n")
