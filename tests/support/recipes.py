"""The recipes of docs/recipes as a person runs them: processes in a copy of their folder."""

import fcntl
import hashlib
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import msgspec
import pytest
from patience import Said, patient
from program import Program

from proto.public import WindowV1

FOLDER = Path(__file__).parents[2] / "docs" / "recipes"
INSTALLED = Path(__file__).parents[2] / "build" / "recipes"
GO = Path("/usr/share/gocode/src/github.com/nats-io/nats.go")
_GO = {"GOCACHE": str(INSTALLED / "go-cache"), "GOFLAGS": "-gcflags=all=-l"}
"""Where compiled packages are kept; without inlining Go compiles its standard library in two thirds of the time."""
COMPILED = "./windows"
"""windows.go as a program: a command that has it runs what was compiled once for all tests."""
COMPILE_S = 300
"""Go's first program compiles its standard library."""
_FIGURES = ("rate", "interval", "persons", "coverage")
_LINE = re.compile(r"(\S+) (\S+) (\S+) " + " ".join(rf"{name}=(\S+)" for name in _FIGURES))
LIMIT_S = 60


def require() -> None:
    """Skip the test by name without what the recipes need; fail it if MORETTA_REQUIRE_ALL=1."""
    missing = [name for name in ("go", "node") if shutil.which(name) is None]
    missing += [str(path) for path in (INSTALLED / "node_modules", INSTALLED / "venv", GO) if not path.is_dir()]
    if missing:
        why = f"the recipes need `.ci/system-packages tests` and `make recipes`: {', '.join(missing)} missing"
        pytest.fail(why) if os.environ.get("MORETTA_REQUIRE_ALL") == "1" else pytest.skip(why)


def compiled() -> Path:
    """Return windows.go as a program; whoever comes first compiles it, and the others wait."""
    source = (FOLDER / "windows.go").read_bytes()
    program = INSTALLED / "compiled" / hashlib.sha256(source).hexdigest()[:16]
    program.parent.mkdir(exist_ok=True)
    with program.with_suffix(".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not program.exists():
            made = program.with_suffix(".new")
            how = _GO | {"GO111MODULE": "off", "GOPATH": "/usr/share/gocode"}
            build = ["go", "build", "-o", str(made), str(FOLDER / "windows.go")]
            subprocess.run(build, check=True, env=os.environ | how, timeout=patient(COMPILE_S))
            made.rename(program)
    return program


def copied(folder: Path) -> Path:
    """Return a copy of the recipes, as installed, below `folder`."""
    copy = folder / "recipes"
    shutil.copytree(FOLDER, copy, ignore=shutil.ignore_patterns("node_modules", "venv", "browser.js"))
    for name in ("node_modules", "venv"):
        (copy / name).symlink_to(INSTALLED / name)
    return copy


def told(line: str) -> tuple[Any, ...]:
    """What a line tells of a window: its end (s UTC), site, zone and figures."""
    found = _LINE.fullmatch(line)
    assert found, line
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", found[1]), line
    return (
        datetime.fromisoformat(found[1]).timestamp(),
        found[2],
        found[3],
        *(msgspec.json.decode(one) for one in found.groups()[3:]),
    )


def published(window: WindowV1) -> tuple[Any, ...]:
    """What a line has to tell of that window: its figures to four decimals."""
    figures = msgspec.json.decode(msgspec.json.encode([getattr(window, name) for name in _FIGURES]))
    return window.end // 10**9, window.site, window.zone, *map(_rounded, figures)


def _rounded(figure: Any) -> Any:
    if isinstance(figure, list):
        return [_rounded(one) for one in figure]
    return round(figure, 4) if isinstance(figure, float) else figure


def utc(nanoseconds: int) -> str:
    """A time as recipes write it."""
    return datetime.fromtimestamp(nanoseconds // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Recipe(Program):
    """A running recipe; `printed` are the lines that it printed, `words` those on standard error."""

    def __init__(self, command: str, folder: Path, environment: Mapping[str, str]) -> None:
        if COMPILED in command and not (folder / COMPILED).exists():
            (folder / COMPILED).symlink_to(compiled())
        env = os.environ | _GO | environment
        super().__init__(["bash", "-c", command], folder=folder, environment=env, group=True)

    def until(self, condition: Callable[[], Any], what: Said = "a condition", limit_s: float = LIMIT_S) -> Any:
        """Wait for a condition and return what it says; AssertionError past the limit, or once it has ended."""
        return super().until(condition, what, limit_s)

    def listening(self, limit_s: float = LIMIT_S) -> Self:
        """Wait until it says that it listens."""
        self.until(lambda: any("listening" in one for one in self.words), "listening", limit_s)
        return self

    def result(self) -> tuple[int, list[str], list[str]]:
        """Wait for its end; its exit code and what it said."""
        return self.ended(LIMIT_S), self.printed, self.words

    def pause(self) -> None:
        """Let it and all that it started stand still, as a laptop that sleeps does."""
        self.signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """End the pause."""
        self.signal(signal.SIGCONT)
