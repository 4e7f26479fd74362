"""What others may rely on (docs/compatibility.md) changes on purpose alone: a test compares it with what is written."""

import copy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from promised import Promises, Tree, differences, flat, lines, present, write, written

pytestmark = pytest.mark.xdist_group("metrics")
HOW = (
    "This changes what others rely on. If that is what you want: `make promised`, and under `Changed` in CHANGELOG.md"
    " what it was, what it is, and why. Of what a release has, nothing may be taken away (test_contract_released.py)."
)
WINDOWS = "moretta.v1.windows.{site}.{zone}"
FIELDS = ("WindowV1", "$defs", "WindowV1", "properties")
CAMERA = ("properties", "sites", "items", "properties", "cameras", "items", "properties")


@pytest.fixture(name="now", scope="module")
def _now() -> Promises:
    return present()


def test_it_is_what_was_written_down(now: Promises):
    """Each line that is new or gone is shown."""
    told = differences(written(), lines(now))
    assert not told, "\n".join([*told, HOW])


def changed(tree: Tree, *path: str, to: Any = None) -> Tree:
    """A tree in which one part is another one, or gone."""
    found = copy.deepcopy(tree)
    part = found
    for key in path[:-1]:
        part = part[key]
    del part[path[-1]]
    if to is not None:
        part[path[-1]] = to
    return found


def planted(now: Promises) -> Iterator[tuple[str, Promises]]:
    """Changes, each with the file in which it is to be told."""
    offer, [metric, *metrics] = now.offer, now.metrics
    may = offer["rights"]["subscriber"]["publish"]
    yield "subjects", replace(now, offer=changed(offer, "subjects", WINDOWS))
    yield "subjects", replace(now, offer=changed(offer, "subjects", WINDOWS, "encoding", to="msgpack"))
    yield "subjects", replace(now, offer=changed(offer, "streams", "WINDOWS", "max_age_s", to=60))
    yield "rights", replace(now, offer=changed(offer, "rights", "subscriber", "publish", to=may[1:]))
    yield "rights", replace(now, offer=changed(offer, "rights", "subscriber", "publish", to=[*may, ">"]))
    yield "messages", replace(now, schemas=changed(now.schemas, *FIELDS, "rate"))
    yield "messages", replace(now, schemas=changed(now.schemas, *FIELDS, "coverage", to={"type": "string"}))
    yield "messages", replace(now, examples={**now.examples, "WindowV1.json": b"{}"})
    yield "asyncapi", replace(now, asyncapi=changed(now.asyncapi, "channels", "windows", "address", to="w"))
    yield "asyncapi", replace(now, asyncapi=changed(now.asyncapi, "components", "messages", "WindowV1"))
    yield "settings", replace(now, settings=changed(now.settings, *CAMERA, "fps"))
    yield "settings", replace(now, settings=changed(now.settings, *CAMERA, "fps", "default", to=9.0))
    yield "metrics", replace(now, metrics=(replace(metric, name="moretta_other"), *metrics))
    yield "metrics", replace(now, metrics=(replace(metric, labels=(*metric.labels, "pod")), *metrics))
    yield (
        "values",
        replace(now, values=changed(now.values, "notify", "replicas", to=now.values["notify"]["replicas"] + 1)),
    )
    yield "values", replace(now, values_schema=changed(now.values_schema, "ingest", "properties", "existingSecret"))


def test_each_planted_change_is_told(now: Promises):
    """In the file that it concerns, and in no other one."""
    before = lines(now)
    found = [(name, {line.split(":")[0][2:] for line in differences(before, lines(one))}) for name, one in planted(now)]
    assert found == [(name, {name}) for name, _ in found]
    assert len(found) == 16


def test_explanations_are_no_promise():
    """Words about a thing may change; a thing that is called `title` is one."""
    tree = {"type": "object", "description": "x", "properties": {"title": {"type": "string", "maxLength": 9}}}
    assert [*flat("a", tree)] == ['a: {"properties": {"title": {"maxLength": 9, "type": "string"}}, "type": "object"}']


def test_what_is_written_is_what_is_read(tmp_path: Path, now: Promises):
    """Nothing differs, and each file has its lines; a file that is gone is told."""
    write(tmp_path / "promised")
    assert differences(written(tmp_path / "promised"), lines(now)) == []
    (tmp_path / "promised/rights.txt").unlink()
    assert {line[:9] for line in differences(written(tmp_path / "promised"), lines(now))} == {"+ rights:"}
