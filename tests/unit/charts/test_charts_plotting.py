"""matplotlib leaves nothing in the home directory, nor in the environment of what is started."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import os, {module}
from matplotlib import get_cachedir
print(os.environ.get("MPLCONFIGDIR"), get_cachedir())
"""


@pytest.mark.parametrize(
    "module",
    [
        "services.charts.periods",
        "services.notify.channels.email.drawing",
        "services.notify.reports.charts",
        "bench.capacity_report",
    ],
)
@pytest.mark.parametrize("chosen", [False, True])
def test_nothing_is_left_behind(tmp_path: Path, module: str, chosen: bool):
    """Its list of fonts is in a temporary folder, which is gone afterwards, or where MPLCONFIGDIR says."""
    (home := tmp_path / "home").mkdir()
    (scratch := tmp_path / "scratch").mkdir()
    (mine := tmp_path / "mine").mkdir()
    more = {"HOME": str(home), "TMPDIR": str(scratch), **({"MPLCONFIGDIR": str(mine)} if chosen else {})}
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("MPL", "XDG_"))}
    said = subprocess.run(
        [sys.executable, "-P", "-c", CODE.format(module=module)],
        env=plain | more,
        capture_output=True,
        text=True,
        check=True,
    )
    variable, cache = said.stdout.split()
    assert list(home.iterdir()) == list(scratch.iterdir()) == []
    if chosen:
        assert (variable, cache) == (str(mine), str(mine))
    else:
        assert variable == "None"
        assert cache.startswith(str(scratch))
