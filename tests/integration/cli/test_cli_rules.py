"""`moretta rules test` as people and CI jobs call it: tables on standard output, and an exit code."""

import os
import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parents[3] / "docs" / "rules-test.yaml"


def rules_test(*files: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "services.cli", "rules", "test", *map(str, files)]
    environment = {**os.environ, "NO_COLOR": "1"}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment, check=False)


def test_good_different_and_bad(tmp_path: Path):
    """0: all is as expected. 1: something differs. 2: a file is bad, and file, place and value are named."""
    run = rules_test(EXAMPLE)
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.endswith("3 tests: 3 good, 0 different\n")
    other = tmp_path / "other.yaml"
    text = EXAMPLE.read_text(encoding="utf-8").replace("site.example.yaml", str(EXAMPLE.parent / "site.example.yaml"))
    other.write_text(text.replace("state: recovering", "state: normal"), encoding="utf-8")
    run = rules_test(EXAMPLE, other)
    assert (run.returncode, run.stderr) == (1, "")
    assert f"{other}: tests[0].expect[4].state: normal expected of low at 1h40m, got recovering\n" in run.stdout
    assert run.stdout.endswith("6 tests: 5 good, 1 different\n")
    other.write_text(text.replace("100 50 x2", "100 fifty"), encoding="utf-8")
    run = rules_test(EXAMPLE, other)
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.startswith(f"{other}: tests[0].series[0].values: '100 fifty' is no window; write persons")
