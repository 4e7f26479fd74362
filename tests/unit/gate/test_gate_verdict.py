"""The gate's verdict as a function of what was recorded."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gate.records import Result, Run, read
from gate.stages import STAGES, TIMED_OUT, Only
from gate.tests import Failed, together
from gate.verdict import Red, Unsteady, Verdict, fatal, passed_again

GREEN = {"setup": "passed", "call": "passed", "teardown": "passed"}
ROOT = Path(__file__).parents[3]


def ran(*tests: Result, missing: tuple[str, ...] = ()) -> Run:
    return Run({one.id: one for one in tests}, set(missing))


def failed(name: str = "a.py::a", *, blames_others: bool = False) -> Result:
    return Result(name, GREEN | {"call": "failed"}, "boom", blames_others)


@pytest.mark.parametrize(
    ("code", "run", "what"),
    [
        (0, ran(Result("a", GREEN)), None),
        (1, ran(failed()), None),
        (0, ran(failed()), "pytest ended with 0"),
        (1, ran(Result("a", GREEN)), "pytest ended with 1"),
        (2, ran(Result("a", GREEN)), "pytest ended with 2"),
        (-6, ran(Result("a", GREEN)), "pytest ended with -6"),
        (0, ran(Result("a", GREEN), missing=("b.py::b",)), "b.py::b"),
        (TIMED_OUT, ran(), "ended after 1800 s"),
        (0, ran(), "no test ran"),
        (1, ran(Result("a", GREEN | {"crash": "failed"})), "a"),
        (2, Run({}, set(), "a.py: no such module"), "not collected"),
    ],
)
def test_what_no_second_run_can_mend(code: int, run: Run, what: str | None):
    """A stage of which not every test's outcome is known, or whose exit code says something else."""
    assert [one.what for one in fatal("unit", code, run, 1800)] == ([] if what is None else [what])


@given(
    st.dictionaries(st.sampled_from(["setup", "call", "teardown"]), st.sampled_from(["passed", "failed", "skipped"]))
)
def test_passed_means_all_three_phases(phases: dict[str, str]):
    """A skip is no pass, and neither is a test whose end was not heard of."""
    assert passed_again(failed(), 0, ran(Result("a.py::a", phases))) == (phases == GREEN)


def test_where_another_may_be_to_blame_its_file_must_pass():
    """A test that found something left behind is not cleared while its file still leaves something."""
    again = ran(Result("a.py::a", GREEN), failed("a.py::b"))
    assert not passed_again(failed(blames_others=True), 1, again)
    assert passed_again(failed(), 1, again)
    assert passed_again(failed(blames_others=True), 1, ran(Result("a.py::a", GREEN), failed("b.py::b")))


@pytest.mark.parametrize(
    ("code", "run"), [(TIMED_OUT, ran()), (5, ran()), (0, ran(Result("a.py::a", GREEN), missing=("x",)))]
)
def test_a_second_run_that_says_nothing_clears_nobody(code: int, run: Run):
    """It was ended, found no test, or lost one."""
    assert not passed_again(failed(), code, run)


def test_what_is_run_again():
    """A failed test by its id; where another may be to blame, its file."""
    both = [Failed(STAGES[0], failed()), Failed(STAGES[0], failed("b.py::b[x::y]", blames_others=True))]
    assert together(both) == Only(frozenset({"a.py::a"}), frozenset({"b.py"}))
    assert together(both).paths() == ["a.py", "b.py"]


def test_the_last_line():
    """One line says it all."""
    verdict = Verdict(3, unsteady=[Unsteady("unit", "a", "boom", 1)])
    assert verdict.last_line() == "green: 3 tests, 1 unsteady"
    verdict.red = [Red("unit", "a.py::a", "boom"), Red("unit", "b.py::b", "bang")]
    assert verdict.last_line() == "red: unit: a.py::a: boom"


def test_records_are_read_as_they_were_written(tmp_path: Path):
    """Ids lose the group that pytest-xdist added; a half-written line is no record; a worker's end is an end."""
    lines = [
        {"id": "a.py::a@g", "phase": "setup", "outcome": "passed", "error": "", "text": ""},
        {"id": "a.py::a@g", "phase": "call", "outcome": "failed", "error": "boom", "text": "x\nfiles left open\n"},
        {"id": "a.py::a@g", "phase": "teardown", "outcome": "passed", "error": "", "text": ""},
        {"id": "a.py::b", "phase": "crash", "outcome": "failed", "error": "worker crashed", "text": ""},
    ]
    ids = {"a.py::a@g": "a.py::a", "a.py::b": "a.py::b", "a.py::c": "a.py::c"}
    (tmp_path / "collected-gw0.json").write_text(json.dumps({"ids": ids, "broken": {"a.py::d": "why"}}))
    (tmp_path / "reports.jsonl").write_text("\n".join(map(json.dumps, lines)) + '\n{"id": "a.py::c", "ph')
    run = read(tmp_path)
    assert [(one.id, one.error, one.blames_others) for one in run.failed] == [
        ("a.py::a", "boom", True), ("a.py::b", "worker crashed", False),
    ]  # fmt: skip
    assert run.missing == {"a.py::c"}
    assert run.broken == {"a.py::d": "why"}


def test_few_tests_are_broken():
    """Ten at most are left out, each with its reason."""
    marks = [
        line
        for f in (ROOT / "tests").rglob("test_*.py")
        if f.parent.name != "gate"
        for line in f.read_text("utf-8").splitlines()
        if "mark.broken" in line
    ]
    assert len(marks) <= 10
    assert all(re.search(r"mark\.broken\(\W*\w+ \w+", line) for line in marks), marks


def test_each_folder_of_tests_is_in_a_stage():
    """Or it has a command of its own."""
    paths = {path for stage in STAGES for path in stage.paths}
    own = {"tests/chart", "tests/images", "tests/support"}
    folders = {f"tests/{one.name}" for one in (ROOT / "tests").iterdir() if one.is_dir() and one.name != "__pycache__"}
    assert folders == paths | own
