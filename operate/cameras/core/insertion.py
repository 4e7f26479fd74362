"""Writes a camera into the text of a settings file, and leaves every other line of it as it is.

A YAML library would write the whole file again, without its comments. So the place is looked up in the parsed file, and
lines are put in there. The result is checked: the file must say what it said, and the
camera.
"""

import json
from collections.abc import Mapping
from typing import Any

import yaml

Value = str | bool | int | float
Entry = Mapping[str, Value]
"""A camera as the settings have it."""


class InsertionError(ValueError):
    """A file into which no camera can be written; the text says why."""


def with_camera(text: str, site: str, camera: Entry) -> str:
    """Return the text with a camera more at the end of a site's `cameras`; InsertionError if it cannot be written."""
    try:
        root = yaml.compose(text, yaml.SafeLoader)
    except yaml.YAMLError:
        raise InsertionError("is not YAML") from None
    place = _site(root, site)
    cameras = _value(place, "cameras")
    if cameras is None:
        made = _after(text, _last(place), ["cameras:", *lines(camera, 2)], _column(place))
    elif isinstance(cameras, yaml.SequenceNode) and cameras.value and not cameras.flow_style:
        made = _after(text, _last(cameras), lines(camera, 0), cameras.start_mark.column)
    else:
        raise InsertionError("has a site whose `cameras` is not a list with a line for each")
    return _checked(text, made, site, camera)


def lines(camera: Entry, indent: int) -> list[str]:
    """Return the lines of a camera in a list of cameras."""
    pairs = [f"{key}: {_scalar(value)}" for key, value in camera.items()]
    return [f"{' ' * indent}{'- ' if not number else '  '}{pair}" for number, pair in enumerate(pairs)]


def _scalar(value: Value) -> str:
    """Return a value as YAML reads it back; a plain word needs no quotes."""
    if not isinstance(value, str):
        return json.dumps(value)
    if value.replace("-", "").isalnum() and yaml.safe_load(value) == value:
        return value
    return yaml.safe_dump(value, default_style='"', width=_ENDLESS).strip()


_ENDLESS = 1 << 20


def _site(root: Any, site: str) -> yaml.MappingNode:
    sites = _value(root, "sites")
    for one in sites.value if isinstance(sites, yaml.SequenceNode) else []:
        found = _value(one, "id")
        if isinstance(one, yaml.MappingNode) and isinstance(found, yaml.ScalarNode) and found.value == site:
            if one.flow_style:
                raise InsertionError("has its site in braces, not as lines")
            return one
    raise InsertionError(f"has no site {site!r}")


def _value(node: Any, key: str) -> Any:
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    return next((value for name, value in pairs if name.value == key), None)


def _column(place: yaml.MappingNode) -> int:
    """Return the column of a mapping's keys."""
    return int(place.value[0][0].start_mark.column)


def _last(node: Any) -> Any:
    """Return the last part of a node whose end is exact: that of a block is where the next one begins."""
    while isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        node = node.value[-1][1] if isinstance(node, yaml.MappingNode) else node.value[-1]
    return node


def _after(text: str, last: Any, added: list[str], column: int) -> str:
    """Return the text with lines added below the line in which a node ends."""
    old = text.splitlines(keepends=True)
    end = last.end_mark.line + (1 if last.end_mark.column else 0)
    if last.end_mark.column == 0:  # the end of a text in lines: comments and empty lines follow it already
        end = min(end, len(old))
    new = [f"{' ' * column}{line}\n" for line in added]
    before = old[:end]
    if before and not before[-1].endswith("\n"):
        before[-1] += "\n"
    return "".join([*before, *new, *old[end:]])


def _checked(before: str, after: str, site: str, camera: Entry) -> str:
    """Return the new text; InsertionError unless it says what the old one said, and the camera."""
    try:
        was, now = yaml.safe_load(before), yaml.safe_load(after)
    except (yaml.YAMLError, ValueError):
        raise InsertionError("is written in a way that lines cannot be added to") from None
    for one in was["sites"]:
        if one.get("id") == site:
            one["cameras"] = [*(one.get("cameras") or []), dict(camera)]
            break
    if was != now:
        raise InsertionError("is written in a way that lines cannot be added to")
    return after
