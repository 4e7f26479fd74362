"""Standard streams of a command whose reader may have enough before it ends, such as `head`."""

import io
import sys
from typing import Any, TextIO


class _Output(io.FileIO):
    """Drops what is written once nobody reads it any more."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            return memoryview(data).nbytes


def outlive_readers() -> None:
    """Let a command finish its work and end with its own exit code, whether or not anybody still reads its output.

    Otherwise it would stop wherever it prints, or end with code 120 and Python's complaint that it could not write.
    """
    sys.stdout, sys.stderr = _outliving(sys.stdout), _outliving(sys.stderr)


def _outliving(stream: TextIO) -> TextIO:
    """Return the same stream, which drops what nobody reads; as it is if it is closed or no file."""
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    stream.flush()
    file = _Output(stream.fileno(), "wb", closefd=False)
    return io.TextIOWrapper(
        file if stream.write_through else io.BufferedWriter(file),
        encoding=stream.encoding, errors=stream.errors,
        line_buffering=stream.line_buffering, write_through=stream.write_through,
    )  # fmt: skip
