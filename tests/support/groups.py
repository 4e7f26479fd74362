"""A pytest plugin that lets `--dist loadgroup` see `xdist_group` marks, and begins tests marked `first` before others.

pytest-xdist 3.8 writes the group into `_nodeid`, which pytest 9.2 does not read any more: without an error each
test is then a group of its own.
"""

import pytest
from _pytest.nodeid import coerce_node_id


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """End each grouped test's id with its group, as pytest-xdist means to; the order of the others stays random."""
    items.sort(key=lambda item: item.get_closest_marker("first") is None)
    if not getattr(config.option, "loadgroup", False):
        return
    for item in items:
        mark = item.get_closest_marker("xdist_group")
        if mark is not None and not item.nodeid.endswith(end := f"@{mark.args[0]}"):
            item._id = coerce_node_id(item.nodeid + end)
