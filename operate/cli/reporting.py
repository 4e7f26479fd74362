"""The report of `moretta eval`, for those who have what draws it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from services.inference.annotations import InputError
from services.inference.evaluate import Measurement


def _unused(_measured: Measurement) -> None:
    """Nobody asked for a report."""


def reporter(folder: Path | None) -> Callable[[Measurement], None]:
    """Return what writes the report into `folder`, or what does nothing without one.

    The folder is made and looked at now, since measuring takes minutes. Raises InputError if it holds anything else
    than an earlier report, or if the extra that draws is not installed.
    """
    if folder is None:
        return _unused
    try:
        from services.inference.report import prepare, write_report
    except ModuleNotFoundError as error:
        raise InputError(f"--report: needs {error.name}; install it with: pip install 'moretta[eval]'") from error
    prepare(folder)
    return partial(write_report, folder)
