"""The gate on toy suites: what it says of tests that fail always, once, in company, or in ways that end pytest."""

import json
import os
import sys
import textwrap
from pathlib import Path

import pytest
from patience import patient

from gate import tests as gate
from gate.stages import Place, Stage
from gate.verdict import Verdict

SUPPORT = Path(__file__).parents[2] / "support"
CONFTEST = f"""
import sys
sys.path.insert(0, {str(SUPPORT)!r})
import recorded
from groups import pytest_collection_modifyitems
from recorded import pytest_configure
"""
INI = "[pytest]\nfilterwarnings = error\naddopts = -p no:cacheprovider\nasyncio_default_fixture_loop_scope = function\n"
ONCE = """
    import pathlib, pytest
    def first(name):
        "Whether this is the first run of a test; other processes count."
        there = (file := pathlib.Path(__file__).with_name(name)).exists()
        file.touch()
        return not there
"""


@pytest.fixture(name="judged")
def _judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Return a function that runs the gate on toy files and returns its verdict."""
    for name in [one for one in os.environ if one.startswith(("PYTEST_", "MORETTA_"))]:
        monkeypatch.delenv(name)

    def run(files: dict[str, str], workers: str = "0", *, limit_s: float = 100.0) -> Verdict:
        (tmp_path / "conftest.py").write_text(CONFTEST)
        (tmp_path / "pytest.ini").write_text(INI)
        for name, text in files.items():
            (tmp_path / name).write_text(textwrap.dedent(ONCE) + textwrap.dedent(text))
        place = Place(tmp_path, tmp_path / "build", limit_s=limit_s)
        return gate.run([Stage("toys", tuple(files), workers)], place, pause_s=0.01)

    return run


STRANGE = "a b [c] ::d @e -f"


@pytest.mark.parametrize("workers", ["0", "2"])
def test_what_passes_alone_is_unsteady_and_the_rest_is_red(judged, tmp_path: Path, workers: str):
    """One suite with each way to fail that a second run can tell apart; ids are taken as they are."""
    verdict = judged(
        {
            "test_one.py": f"""
                def test_green(): pass
                def test_always(): assert 1 == 2, "always"
                def test_once(): assert not first("once"), "only once"
                def test_skipped_then():
                    if first("skip"): raise ValueError("was here")
                    pytest.skip("not again")
                @pytest.fixture
                def tidy():
                    yield
                    assert not first("tidy"), "could not tidy up"
                def test_teardown(tidy): pass
                @pytest.fixture(scope="module")
                def server(): assert not first("server"), "it did not start"
                @pytest.mark.xdist_group("server")
                def test_setup(server): pass
                @pytest.mark.xdist_group("server")
                def test_setup_of_its_neighbour(server): pass
                @pytest.fixture
                def never(): raise OSError("never there")
                def test_setup_always(never): pass
                def test_both(tidy_too): assert not first("both"), "this"
                @pytest.fixture
                def tidy_too():
                    yield
                    assert not first("tidy too"), "and that"
                @pytest.mark.parametrize("name", [{STRANGE!r}])
                def test_strange(name): assert not first("strange")
                @pytest.mark.xdist_group("together")
                def test_grouped(): assert not first("grouped")
                def test_skipped(): pytest.skip("never")
            """,
            "test_company.py": """
                def test_innocent(): assert not first("company"), "threads left behind"
                def test_other(): pass
            """,
        },
        workers,
    )
    assert {(one.what, one.error) for one in verdict.red} == {
        ("test_one.py::test_always", "AssertionError: always"),
        ("test_one.py::test_skipped_then", "ValueError: was here"),
        ("test_one.py::test_setup_always", "OSError: never there"),
    }
    unsteady = {one.id.partition("::")[2]: one.error for one in verdict.unsteady}
    assert unsteady == {
        "test_innocent": "AssertionError: threads left behind",
        "test_once": "AssertionError: only once",
        "test_teardown": "AssertionError: could not tidy up",
        "test_setup": "AssertionError: it did not start",
        "test_setup_of_its_neighbour": "AssertionError: it did not start",
        "test_both": "AssertionError: this",
        f"test_strange[{STRANGE}]": "AssertionError: assert not True",
        "test_grouped": "AssertionError: assert not True",
    }
    assert verdict.tests == 13
    assert verdict.last_line().startswith("red: toys: test_one.py::test_")
    again = (tmp_path / "build/gate/toys-again/reports.jsonl").read_text()
    assert '"test_company.py::test_other"' in again
    assert '"test_one.py::test_green"' not in again


def test_green(judged, tmp_path: Path):
    """All passed at once: nothing is run again."""
    verdict = judged({"test_a.py": "def test_a(): pass\ndef test_b(): pass\n"})
    assert verdict.last_line() == "green: 2 tests, 0 unsteady"
    assert sorted(p.name for p in (tmp_path / "build/gate").iterdir()) == ["toys", "verdict.json"]


def test_once(judged, tmp_path: Path):
    """What passes the second time holds up nobody, and is remembered."""
    verdict = judged({"test_a.py": "def test_a(): assert not first('a'), 'one\\ntwo'\n"}, "2")
    assert verdict.last_line() == "green: 1 tests, 1 unsteady"
    (told,) = json.loads((tmp_path / "build/unsteady.json").read_text())
    assert (told["stage"], told["id"], told["error"]) == ("toys", "test_a.py::test_a", "AssertionError: one")


def test_the_third_time(judged):
    """What fails in company of what failed, too, is run by itself."""
    verdict = judged(
        {"test_a.py": "def test_a(): assert not (first('1') or first('2'))\ndef test_b(): assert not first('3')\n"}
    )
    assert {one.id for one in verdict.unsteady} == {"test_a.py::test_a", "test_a.py::test_b"}
    assert not verdict.red


def test_red_in_company_only(judged, tmp_path: Path):
    """What another file left behind makes an innocent test red; alone its whole file is green."""
    files = {
        "test_leaver.py": """
            import gc, socket
            gc.disable()
            left = [socket.socket()]
            left.append(left)
            del left
            def test_leaver(): pass
        """,
        "test_innocent.py": "import gc\ndef test_innocent(): gc.collect()\ndef test_beside(): pass\n",
    }
    verdict = judged(files)
    assert verdict.last_line() == "green: 3 tests, 1 unsteady"
    assert verdict.unsteady[0].error.startswith("pytest.PytestUnraisableExceptionWarning")
    assert '"test_innocent.py::test_beside"' in (tmp_path / "build/gate/toys-again/reports.jsonl").read_text()


IMPORT = "import nothing_of_this_name\ndef test_a(): pass\n"
ONCE_CRASHED = "import os\ndef test_a():\n    if first('crash'): os.abort()\n"
CRASH = "import os\ndef test_a(): os.abort()\ndef test_b(): pass\n"


@pytest.mark.parametrize(
    ("text", "workers", "said"),
    [
        (
            IMPORT,
            "0",
            "red: toys: not collected: test_a.py: ModuleNotFoundError: No module named 'nothing_of_this_name'",
        ),
        (
            IMPORT,
            "2",
            "red: toys: not collected: test_a.py: ModuleNotFoundError: No module named 'nothing_of_this_name'",
        ),
        (CRASH, "0", "red: toys: test_a.py::test_a: collected, and no outcome was heard of"),
        (CRASH, "2", "red: toys: test_a.py::test_a: worker 'gw0' crashed while running 'test_a.py::test_a'"),
        (ONCE_CRASHED, "2", "red: toys: test_a.py::test_a: worker 'gw0' crashed while running 'test_a.py::test_a'"),
        ("", "0", "red: toys: no test ran: pytest ended with 5"),
    ],
)
def test_always_red(judged, text: str, workers: str, said: str):
    """A test that cannot be run, or that ends its interpreter, is red: also where another worker has it pass."""
    verdict = judged({"test_a.py": text}, workers)
    assert said in {f"red: {red}".replace("gw1", "gw0") for red in verdict.red}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import time\ndef test_a(): time.sleep(600)\n", ": not finished: test_a.py::test_a"),
        ("import threading, time\ndef test_a(): threading.Thread(target=time.sleep, args=(600,)).start()\n", ""),
    ],
    ids=["hang", "thread"],
)
def test_a_stage_that_does_not_end_is_ended(judged, text: str, said: str):
    """A hang, and a thread that keeps pytest from ending after its last test."""
    verdict = judged({"test_a.py": text}, limit_s=patient(6))
    assert verdict.last_line() == f"red: toys: ended after {patient(6):.0f} s{said}"
    assert verdict.tests == 1


def test_too_many_are_not_run_again(judged, tmp_path: Path):
    """More than 20 are no noise."""
    verdict = judged(
        {"test_a.py": "@pytest.mark.parametrize('n', range(21))\ndef test_a(n): assert not first(str(n))\n"}
    )
    assert len(verdict.red) == 21
    assert not (tmp_path / "build/gate/toys-again").exists()


def test_what_is_broken_is_named(judged, tmp_path: Path):
    """A test marked as broken is left out, and its reason told."""
    monkey = "def test_a(): pass\n@pytest.mark.broken('loses a message')\ndef test_b(): assert 0\n"
    (tmp_path / "test_a.py").write_text("import pytest\n" + monkey)
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "pytest.ini").write_text(INI + "markers = broken: not now\n")
    stage = Stage("toys", ("test_a.py",), "0", ("-m", "not broken"))
    verdict = gate.run([stage], Place(tmp_path, tmp_path / "build"))
    assert verdict.broken == {"test_a.py::test_b": "loses a message"}
    assert verdict.last_line() == "green: 1 tests, 0 unsteady"


def test_the_toys_run_by_the_python_of_this_test():
    """The interpreter of a second run is that of the first."""
    assert Path(Place(Path(), Path()).pytest[0]).parent == Path(sys.executable).parent
