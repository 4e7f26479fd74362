"""`moretta rules test` as people and CI jobs call it: tables on standard output, and an exit code."""

from pathlib import Path

from command_line import moretta

EXAMPLE = Path(__file__).parents[3] / "docs" / "rules-test.yaml"


def test_good_different_and_bad(tmp_path: Path):
    """0: all is as expected. 1: something differs. 2: a file is bad, and file, place and value are named."""
    run = moretta("rules", "test", EXAMPLE, cold=True, COLUMNS=None)
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.endswith("3 tests: 3 good, 0 different\n")
    other = tmp_path / "other.yaml"
    text = EXAMPLE.read_text(encoding="utf-8").replace("site.example.yaml", str(EXAMPLE.parent / "site.example.yaml"))
    other.write_text(text.replace("state: recovering", "state: normal"), encoding="utf-8")
    run = moretta("rules", "test", EXAMPLE, other)
    assert (run.returncode, run.stderr) == (1, "")
    assert f"{other}: tests[0].expect[4].state: normal expected of low at 1h40m, got recovering\n" in run.stdout
    assert run.stdout.endswith("6 tests: 5 good, 1 different\n")
    other.write_text(text.replace("100 50 x2", "100 fifty"), encoding="utf-8")
    run = moretta("rules", "test", EXAMPLE, other)
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.startswith(f"{other}: tests[0].series[0].values: '100 fifty' is no window; write persons")
