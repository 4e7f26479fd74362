"""The recipes of docs/recipes as a person runs them: processes in a copy of their folder."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import msgspec
import pytest

from proto.public import WindowV1

FOLDER = Path(__file__).parents[2] / "docs" / "recipes"
INSTALLED = Path(__file__).parents[2] / "build" / "recipes"
GO = Path("/usr/share/gocode/src/github.com/nats-io/nats.go")
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


class Recipe:
    """A running recipe; `lines` are what it printed, `words` what it said on standard error."""

    def __init__(self, command: str, folder: Path, environment: Mapping[str, str]) -> None:
        self.lines: list[str] = []
        self.words: list[str] = []
        env = os.environ | {"GOCACHE": str(INSTALLED / "go-cache")} | environment
        self._process = subprocess.Popen(
            ["bash", "-c", command], cwd=folder, env=env, text=True, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        streams = ((self._process.stdout, self.lines), (self._process.stderr, self.words))
        self._threads = [threading.Thread(target=_read, args=one) for one in streams]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def wait(self, condition: Callable[[], bool], what: str, limit_s: float = LIMIT_S) -> None:
        """Wait until a condition of what it said holds."""
        end = time.monotonic() + limit_s
        while not condition():
            if self._process.poll() is not None:
                self._join()
                assert condition(), f"it ended with {self._process.returncode}: {self.lines} {self.words}"
                return
            assert time.monotonic() < end, f"not within {limit_s} s: {what}; {self.lines} {self.words}"
            time.sleep(0.05)

    def listening(self, limit_s: float = LIMIT_S) -> "Recipe":
        """Wait until it says that it listens."""
        self.wait(lambda: any("listening" in one for one in self.words), "listening", limit_s)
        return self

    def result(self) -> tuple[int, list[str], list[str]]:
        """Wait for its end; its exit code and what it said."""
        code = self._process.wait(LIMIT_S)
        self._join()
        return code, self.lines, self.words

    def pause(self) -> None:
        """Let it and all that it started stand still, as a laptop that sleeps does."""
        os.killpg(self._process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """End the pause."""
        os.killpg(self._process.pid, signal.SIGCONT)

    def stop(self) -> list[str]:
        """End it, with all that it started, as whoever closes the terminal does; what it printed."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        self._process.wait(20)
        self._join()
        return self.lines

    def _join(self) -> None:
        for thread in self._threads:
            thread.join(10)
        for stream in (self._process.stdout, self._process.stderr):
            assert stream
            stream.close()


def _read(stream: Iterable[str], to: list[str]) -> None:
    for line in stream:
        to.append(line.rstrip("\n"))  # noqa: PERF401 - seen as it comes
