"""What the chart renders: by both helms alike."""

import pytest
from chart import CHART, HELMS, helm, render, values


@pytest.mark.parametrize("version", HELMS)
def test_lint(version):
    """`helm lint --strict` has nothing to say of what one must set, and nothing else."""
    done = helm("lint", "--strict", str(CHART), given=values(), version=version)
    assert done.returncode == 0, done.stdout


def test_both_helms_render_the_same():
    """Helm 3.17 and 4.1 make the same objects."""
    assert render(version="3.17") == render(version="4.1")
