"""The watch over everything that the tests write (tests/support/secrecy.py) finds what is planted."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import secrecy

SUPPORT = Path(secrecy.__file__).parent
PLANTED = {
    "output": "print('rtsp://u:' + P + '@h')",
    "error": "sys.stderr.write(P)",
    "log": "logging.getLogger('x').error('%s', P)",
    "child": "subprocess.run(['sh', '-c', 'echo ' + P + ' >&2'], check=True)",
    "file": "(tmp_path / 'server.log').write_text(P)",
    "process": "import secrecy; secrecy.said('{\"event\": \"' + P + '\"}')",
    "random": "import secrecy; secrecy.keep('a' * 5 + 'b' * 5); print('a' * 5 + 'b' * 5)",
}


@pytest.mark.parametrize("way", [*PLANTED, "nothing"])
def test_a_planted_secret_is_found(tmp_path, way):
    """Written to standard output or error, to a log, by a child, to a log file: the test fails and shows the line."""
    plant = PLANTED.get(way, "print('no harm')")
    imports = "import logging, subprocess, sys\nP = 'hunt' + 'er2'\n"
    (tmp_path / "test_planted.py").write_text(f"{imports}def test_it(tmp_path):\n    {plant}\n")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "secrecy", "-p", "no:randomly", "--rootdir", tmp_path, tmp_path],
        env=os.environ | {"PYTHONPATH": str(SUPPORT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ("a secret was written" in run.stdout, run.returncode) == ((False, 0) if way == "nothing" else (True, 1))
