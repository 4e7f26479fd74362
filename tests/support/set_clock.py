"""A wall clock that a test sets while a process runs, by Debian's libfaketime; CLOCK_MONOTONIC stays as it is."""

from pathlib import Path

from lacking import lacks

_LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))


def require() -> None:
    """Skip the test by name without libfaketime; fail it if MORETTA_REQUIRE_ALL=1."""
    if not _LIBRARIES:
        lacks("libfaketime: install faketime (.ci/system-packages tests)")


class WallClock:
    """A wall clock; whoever starts with its `environment` goes by it."""

    def __init__(self, folder: Path, name: str = "clock", off_s: float = 0.0) -> None:
        require()
        self._file = folder / name
        self.set(off_s)

    def set(self, off_s: float) -> None:
        """Let it be off by so many seconds from now on; positive is ahead."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{off_s:+.3f}\n", encoding="utf-8")
        new.rename(self._file)

    @property
    def environment(self) -> dict[str, str]:
        """The variables that make a process go by this clock."""
        return {
            "LD_PRELOAD": str(_LIBRARIES[0]),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }
