"""What a box takes of its machine: limits of its server, and ports. operate.box.machine."""

import json
import socket
from pathlib import Path

import pytest
import yaml

from operate.box.machine import BoxError, kept_limits, roomy
from operate.box.ports import require_free
from operate.identities import WebSocket
from services.aggregate.settings import AggregateFile, PageSettings
from services.ingest.settings import IngestFile
from services.kernel.settings import load


def config(file: int, memory: int) -> str:
    return json.dumps(
        {"listen": "a", "jetstream": {"store_dir": "s", "max_file_store": file, "max_memory_store": memory}}
    )


def test_no_limit_is_less_than_before(tmp_path):
    """Each by itself; all else is the new configuration's."""
    (tmp_path / "nats.conf").write_text(config(9, 2))
    kept = kept_limits(tmp_path / "nats.conf")
    assert kept == {"max_file_store": 9, "max_memory_store": 2}
    assert json.loads(roomy(config(5, 7), kept)) == json.loads(config(9, 7))


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"jetstream": 1}', '{"jetstream": {"max_file_store": "x"}}'])
def test_what_is_no_configuration_of_a_box_keeps_nothing(tmp_path, text: str):
    """A first start, a file that somebody has changed, one that is broken."""
    assert kept_limits(tmp_path / "none") == {}
    (tmp_path / "nats.conf").write_text(text)
    assert kept_limits(tmp_path / "nats.conf") == {}
    assert roomy(config(1, 2), {}) == json.dumps(json.loads(config(1, 2)), indent=1)


def of(folder: Path, settings: dict) -> tuple[IngestFile, PageSettings | None]:
    """What ingest and the page read of these settings."""
    (file := folder / "site.yaml").write_text(yaml.safe_dump(settings))
    return load(file, IngestFile), load(file, AggregateFile).aggregate.page


def test_each_port_that_is_taken_is_told_by_its_setting(tmp_path: Path):
    """All of them at once, before anything is started; one that is free, and any free one, is fine."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        listen = f"127.0.0.1:{port}"
        settings = {
            "sites": [{"id": "cannes"}],
            "probes": {"port": port - 3},
            "aggregate": {"page": {"port": port}},
            "ingest": {"web": {"host": "127.0.0.1", "port": port}},
        }
        ingest, page = of(tmp_path, settings)
        with pytest.raises(BoxError) as error:
            require_free(ingest, page, WebSocket(listen, ["http://a.example"]), listen)
    told = str(error.value).splitlines()
    why = f"port {port} of 127.0.0.1 is in use already; stop the program that has it, or take another port"
    options = ("probes.port", "aggregate.page.port", "ingest.web.port", "--websocket", "--mqtt")
    assert [line for line in told if f"port {port} " in line] == [f"{option}: {why}" for option in options]
    ingest, page = of(tmp_path, {"sites": [{"id": "cannes"}], "aggregate": {"page": {"port": 0}}})
    require_free(ingest, page, None, None)
