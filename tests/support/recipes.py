"""The recipes of docs/recipes as a person runs them: processes in a copy of their folder."""

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from lacking import lacks
from patience import Said, patient
from program import Program

from proto.public import WindowV1
from proto.types import Utc

FOLDER = Path(__file__).parents[2] / "docs" / "recipes"
PLAIN = Path(__file__).parent / "plain_clients"
"""Programs that read as any user of NATS does, with nothing of ours."""
INSTALLED = Path(__file__).parents[2] / "build" / "recipes"
GO = Path("/usr/share/gocode/src/github.com/nats-io/nats.go")
_GO = {"GOCACHE": str(INSTALLED / "go-cache"), "GOFLAGS": "-gcflags=all=-l"}
"""Where compiled packages are kept, also where there is no home folder; without inlining Go compiles its standard
library in two thirds of the time."""
COMPILED = ("./alerts", "./csv_log", "./follow", "./history", "./latest", "./nothing_missed", "./plain", "./replay")
"""The programs in Go: a command that has one runs what was compiled once for all tests."""
COMPILE_S = 300
"""Go's first program compiles its standard library."""
LIMIT_S = 60


def require() -> None:
    """Skip the test by name without what the recipes need; fail it if MORETTA_REQUIRE_ALL=1."""
    missing = [name for name in ("go", "node") if shutil.which(name) is None]
    missing += [str(path) for path in (INSTALLED / "node_modules", INSTALLED / "venv", GO) if not path.is_dir()]
    if missing:
        lacks(f"the recipes need `.ci/system-packages tests` and `make recipes`: {', '.join(missing)} missing")


def compiled(name: str) -> Path:
    """Return a program in Go; the first test that asks compiles it. The others wait, for other programs too, which
    then find most of their packages compiled.
    """
    sources = [PLAIN / "plain.go"] if name == "plain" else [FOLDER / f"{name}.go", FOLDER / "connect.go"]
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:16]
    program = INSTALLED / "compiled" / f"{name}-{digest}"
    program.parent.mkdir(exist_ok=True)
    with program.with_name("lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not program.exists():
            made = program.with_suffix(".new")
            how = _GO | {"GO111MODULE": "off", "GOPATH": "/usr/share/gocode"}
            build = ["go", "build", "-o", str(made), *map(str, sources)]
            subprocess.run(build, check=True, env=os.environ | how, timeout=patient(COMPILE_S))
            made.rename(program)
    return program


def copied(folder: Path) -> Path:
    """Return a copy of the recipes, as installed, below `folder`."""
    copy = folder / "recipes"
    shutil.copytree(FOLDER, copy, ignore=shutil.ignore_patterns("node_modules", "venv", "browser.js"))
    shutil.copytree(PLAIN, copy, dirs_exist_ok=True)
    for name in ("node_modules", "venv"):
        (copy / name).symlink_to(INSTALLED / name)
    return copy


def published(window: WindowV1) -> str:
    """What a line says of a window, without what differs between languages: its end, site and zone."""
    return f"{utc(window.end)} {window.site} {window.zone}"


def utc(nanoseconds: int) -> str:
    """A time as messages have it."""
    return Utc(nanoseconds).text()


class Recipe(Program):
    """A running recipe; `printed` are the lines that it printed, `words` those on standard error."""

    def __init__(self, command: str, folder: Path, environment: Mapping[str, str]) -> None:
        for one in COMPILED:
            if one in command and not (folder / one).exists():
                (folder / one).symlink_to(compiled(one.removeprefix("./")))
        env = os.environ | _GO | environment
        env.pop("PYTHONUNBUFFERED", None)  # with it Python meets a full disk elsewhere than a person's does
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
