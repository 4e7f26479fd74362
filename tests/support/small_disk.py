"""A file system of its own that can be filled, and enlarged."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

from lacking import lacks

PAGE = 1 << 20


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system of its own, which can be filled; a test that can't have one is skipped by name."""
    folder.mkdir(exist_ok=True)
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True, check=False
    )
    if made.returncode:
        lacks("needs root and mount(8) with tmpfs")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def fill(folder: Path) -> Path:
    """Write until nothing more goes in; returns what is to be removed."""
    ballast = folder / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(PAGE))
    with contextlib.suppress(OSError), ballast.open("ab", buffering=0) as file:
        while True:
            file.write(bytes(512))
    return ballast


def enlarge(folder: Path, size: str) -> None:
    """Make it larger while it is in use, as a storage driver does with an expanded claim."""
    subprocess.run(["mount", "-o", f"remount,size={size}", folder], check=True)
