"""A single service starts without the rest."""

import subprocess
import sys

import pytest

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
from services.cli.entry import main
main()
"""


@pytest.mark.parametrize("name", sorted(FOREIGN))
def test_a_service_needs_only_its_own_libraries(name: str):
    """`moretta SERVICE` comes as far as its settings file with every other service's libraries missing."""
    program = PROGRAM.format(foreign=FOREIGN[name], name=name)
    run = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, timeout=60)
    assert run.returncode == 2
    assert (
        run.stderr == "/nowhere/settings.yaml: cannot be read: No such file or directory; name a readable YAML file\n"
    )


def test_help_about_notify_tells_its_commands():
    """Where the command line is installed; a word behind `notify` is a command and not the service's."""
    command = [sys.executable, "-P", "-c", "from services.cli.entry import main; main()"]
    shown = subprocess.run([*command, "notify", "--help"], capture_output=True, text=True, timeout=60)
    assert [word for word in ("status", "test", "replay", "--config") if word not in shown.stdout] == []
    wrong = subprocess.run([*command, "notify", "statsu"], capture_output=True, text=True, timeout=60)
    assert (wrong.returncode, "No such command" in wrong.stderr) == (2, True)


def test_help_loads_nothing_that_runs():
    """What runs the box and talks to NATS is two fifths of a command's start: who asks what there is does without."""
    program = """
import sys
sys.argv = ["moretta", "--help"]
from services.cli.entry import main
try:
    main()
finally:
    print([name for name in ("aiohttp", "nats", "services.app", "services.bus") if name in sys.modules])
"""
    shown = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, timeout=60)
    assert (shown.returncode, "doctor" in shown.stdout) == (0, True)
    assert shown.stdout.splitlines()[-1] == "[]"
