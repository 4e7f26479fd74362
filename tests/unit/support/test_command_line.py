"""The command `moretta` in tests: a fork says what an interpreter of its own says."""

import pytest
from command_line import assert_mistakes, moretta


def test_a_fork_says_what_an_interpreter_says(tmp_path):
    """Output, exit code and one line for a mistake; variables are added, or left out."""
    file = tmp_path / "m.yaml"
    file.write_text("sites: [{id: a, cameras: []}]\nnats: {replicas: 9}\n")
    told = [moretta("check-config", file, cold=cold, MORETTA_NATS__REPLICAS="8") for cold in (True, False)]
    for run in told:
        assert_mistakes(run, f"{file}: nats.replicas: must be a whole number at least 1 and at most 5, got 8")
    assert told[0].stderr == told[1].stderr
    assert "got 9" in moretta("check-config", file, MORETTA_NATS__REPLICAS=None).stderr


def test_mistakes_are_exactly_those_named():
    """Another exit code, another line, or one more is told."""
    run = moretta("check-config", "/nowhere")
    assert_mistakes(run, "/nowhere: cannot be read")
    for lines in (("/nowhere: is empty",), (), ("/nowhere", "/nowhere")):
        with pytest.raises(AssertionError):
            assert_mistakes(run, *lines)
    with pytest.raises(AssertionError):
        assert_mistakes(moretta("--version"), "")
