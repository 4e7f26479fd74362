"""What the chart starts in the built images, to readiness and to a number; every other command by its `--help`."""

import asyncio
import json
from pathlib import Path

import pytest
from container import PYTHON, once, require
from http_camera import HttpCamera
from image_pods import FirstCameraInImages, TryOutInImages, job
from installed_chart import assert_it_counts, assert_it_goes_from_nothing_to_a_number

from testbed.proof.site import make_film, make_stream

IMPORTED = """
import importlib, json, pkgutil
failed, count = {}, 0
for package in ("proto", "services", "operate", "testbed", "moretta"):
    try:
        found = pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}.")
    except ModuleNotFoundError:
        continue
    for one in found:
        try:
            importlib.import_module(one.name)
            count += 1
        except ModuleNotFoundError as error:
            failed[one.name] = error.name
print(json.dumps({"failed": failed, "count": count}))
"""
HELPED = """
import sys, typer
from moretta.__main__ import app
def ways(command, words):
    inner = getattr(command, "commands", None)
    if inner is None:
        yield words
    for name, one in (inner or {}).items():
        yield from ways(one, [*words, name])
for words in ways(typer.main.get_command(app), []):
    app([*words, "--help"], standalone_mode=False)
    print("=" + " ".join(words))
"""


def test_each_module_of_the_command_line_can_be_imported():
    """What a command imports when it is called, too. A service's image has modules that nobody calls there."""
    require()
    ran = once("box", "-P", "-c", IMPORTED, entry=PYTHON)
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert told["count"] > 300
    assert told["failed"] == {}


def test_each_command_has_its_help():
    require()
    ran = once("box", "-P", "-c", HELPED, entry=PYTHON)
    assert ran.returncode == 0, ran.stderr
    assert {"=tryout", "=nats secrets", "=doctor", "=stats", "=backup"} <= set(ran.stdout.splitlines())


@pytest.mark.timeout(1_200)
def test_the_try_out_goes_from_nothing_to_a_number(tmp_path: Path):
    """The Job that makes keys, the try-out's pod, the four services, the toolbox, each in its image."""
    require()
    assert_it_goes_from_nothing_to_a_number(TryOutInImages(tmp_path, job))


@pytest.mark.timeout(1_200)
async def test_a_first_camera_is_counted(tmp_path: Path):
    """As docs/operations.md has it, with `helm test`."""
    require()
    film = make_stream(make_film(tmp_path / "film.mp4", seed=3), tmp_path / "film.ts")
    async with HttpCamera(streams=[(film, 96)]) as camera:
        cluster = FirstCameraInImages(tmp_path, job, camera.url("stream.ts"))
        await asyncio.to_thread(assert_it_counts, cluster)
