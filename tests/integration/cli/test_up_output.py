"""What `moretta up` prints, in a pipe and on a terminal.

A box ends once nobody reads what it prints, as after `| head`, since it would run on unseen.
"""

import os
import re
import socket
import sys
from pathlib import Path

import psutil
import pytest
import yaml
from command_line import MODULE, moretta
from program import Program

SHORT = f"""
import runpy
from msgspec import structs
from testbed.simulation import market
scenario = market.load_scenario("market")
market.load_scenario = lambda _: structs.replace(scenario, phases=scenario.phases[:1])
runpy.run_module("{MODULE}", run_name="__main__", alter_sys=True)
"""
"""The command with films of four seconds, in which nobody comes: those of 48 s take ten seconds of processor time."""


@pytest.mark.timeout(240)
@pytest.mark.parametrize("command", ["up", "simulated", "demo"])
def test_a_box_ends_with_the_reader_of_its_output(tmp_path: Path, command: str):
    """In order, with exit code 0: no complaint of Python's, no process and no file is left."""
    commands = {
        "up": ["up", "--camera", "gate=rtsp://127.0.0.1:9/none", "--temporary"],
        "simulated": ["up", "--simulate"],
        "demo": ["demo", "--camera", "rtsp://127.0.0.1:9/none"],
    }
    start = ["-c", SHORT] if command == "simulated" else ["-m", MODULE]
    line = [sys.executable, "-P", *start, *commands[command]]
    piped = ["bash", "-c", '"$@" | head -n 1; exit "${PIPESTATUS[0]}"', "bash", *line]
    (scratch := tmp_path / "scratch").mkdir()
    with Program(piped, environment=os.environ | {"TMPDIR": str(scratch)}, folder=tmp_path, group=True) as run:
        code = run.ended(120)
    assert (code, len(run.printed)) == (0, 1), run.last_words()
    assert not [said for said in run.words if "Traceback" in said or "BrokenPipe" in said]
    assert not [one.pid for one in psutil.process_iter(["cmdline"]) if str(scratch) in str(one.info["cmdline"])]
    assert list(scratch.iterdir()) == []


def test_a_port_in_use_is_told_before_any_address(tmp_path: Path):
    """By its setting, as a mistake: an address that another program answers at is never printed."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        site = {"id": "cannes", "cameras": [{"id": "gate", "url": "rtsp://127.0.0.1:9/none"}]}
        (file := tmp_path / "site.yaml").write_text(
            yaml.safe_dump({"sites": [site], "aggregate": {"page": {"port": port}}})
        )
        done = moretta("up", "-c", file, "--data", tmp_path / "data")
    assert (done.returncode, done.stdout) == (2, "")
    assert f"aggregate.page.port: port {port} of 127.0.0.1 is in use already; stop the program that" in done.stderr
    assert "http" not in done.stderr


@pytest.mark.timeout(240)
def test_on_a_terminal_of_80_columns_the_line_to_be_copied_is_one(tmp_path: Path):
    """However long its path is: of two lines a paste would export the address, and not the key."""
    terminal = os.environ | {"FORCE_COLOR": "1", "TERM": "xterm", "COLUMNS": "80", "TMPDIR": str(tmp_path)}
    line = [sys.executable, "-P", "-m", MODULE, "up", "--camera", "gate=rtsp://127.0.0.1:9/none", "--temporary"]
    export = re.compile(r"subscribers: export NATS_URL=\S+ NATS_NKEY=\S+/subscriber\.nk\b")
    with Program(line, environment=terminal, folder=tmp_path, group=True) as run:
        run.until(lambda: any("NATS_NKEY=" in said for said in run.printed), "where subscribers come in", 60)
        assert any(export.search(said) for said in run.printed), run.last_words()
        trial = "profile lab, for trials with people who agreed: every number is published, also of one person"
        assert any(said.startswith(trial) and said.endswith("--profile stats-only") for said in run.words)
        assert run.stop() == 0
