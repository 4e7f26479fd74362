"""`moretta up` with larger streams in its settings: its server has room for them, and they are so large."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from command_line import assert_mistakes, moretta
from up_process import UpProcess

from operate.identities import limits
from operate.orders import OperatorFile
from services.bus import Bus
from services.bus.stream_sizes import sizes_of
from services.kernel.settings import load

LARGE = {"WINDOWS": "2GiB", "SIGHTINGS": "512MiB"}


def write(file: Path, nats: dict[str, Any]) -> None:
    """A site whose camera never answers, which is told all the same."""
    camera = {"id": "door", "url": "rtsp://127.0.0.1:9/x"}
    site = {"id": "hall", "profile": "lab", "cameras": [camera]}
    file.write_text(yaml.safe_dump({"nats": nats, "sites": [site]}))


async def sizes(data: Path) -> list[int]:
    """MiB of WINDOWS and ALERTS, as an operator sees them on the box that runs there."""
    bus = await Bus.connect(load(data / "identities/operator.yaml", OperatorFile, {}).nats, "operator")
    try:
        return [(await bus.streams.kept(name)).max_bytes >> 20 for name in ("WINDOWS", "ALERTS")]
    finally:
        await bus.close()


def disk(file: Path, data: Path) -> str:
    """What the doctor says of the disk."""
    done = moretta("doctor", "-c", file, "--data", data, "--json")
    checks = {one["check"]: one for one in json.loads(done.stdout)["checks"]}
    assert "stream WINDOWS" not in checks
    return str(checks["disk"]["found"])


@pytest.mark.timeout(300)
def test_a_box_has_the_streams_that_its_settings_ask_for(tmp_path: Path):
    """And goes on with what is there when they ask for it no more; the doctor counts what it really may take."""
    file, data = tmp_path / "site.yaml", tmp_path / "data"
    for nats in ({"streams": LARGE}, {}):
        write(file, nats)
        run = UpProcess(["-c", str(file), "--data", str(data)]).start()
        try:
            run.wait_for(lambda run=run: bool(run.messages("cameras")), 90, "the camera's state")
            assert asyncio.run(sizes(data)) == [2_048, 64]
            assert "streams may still grow by 2.6 GB" in disk(file, data)
            config = json.loads((data / "identities/nats.conf").read_text())["jetstream"]
            assert config.items() >= limits(sizes_of(LARGE)).items()
        finally:
            assert run.stop() == 0


def test_a_size_that_can_not_be_is_told_before_anything_starts(tmp_path: Path):
    """One line, exit code 2."""
    file = tmp_path / "site.yaml"
    write(file, {"streams": {"WINDOWS": "2 gigabytes"}})
    told = f"{file}: nats.streams.WINDOWS: must be a size such as 512MiB or 2GiB"
    assert_mistakes(moretta("up", "-c", file), told)
