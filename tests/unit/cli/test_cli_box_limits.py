"""What a box takes of its machine: limits of its server, and ports. operate.box.machine."""

import json
import socket
from pathlib import Path

import pytest
import yaml

from operate.box.machine import BoxError, free_port, kept_limits, roomy
from operate.box.page import linked, placed, usual_page
from operate.box.ports import Claim, Port, require_free, wanted
from operate.identities import WebSocket
from services.aggregate.settings import AggregateFile, PageSettings
from services.ingest.settings import IngestFile, WebSettings
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
            require_free(wanted(ingest, page, WebSocket(listen, ["http://a.example"])))
    told = str(error.value).splitlines()
    why = f"port {port} of 127.0.0.1 is in use already; stop the program that has it, or take another port"
    options = ("probes.port", "aggregate.page.port", "ingest.web.port", "--websocket")
    assert [line for line in told if f"port {port} " in line] == [f"{option}: {why}" for option in options]
    ingest, page = of(tmp_path, {"sites": [{"id": "cannes"}], "aggregate": {"page": {"port": 0}}})
    require_free(wanted(ingest, page, None))


def test_a_port_that_two_ask_for_and_one_that_is_none_are_told(tmp_path: Path):
    """The services take a port each, from that of the probes on; 65535 is the last."""
    free = free_port()
    settings = {
        "sites": [{"id": "cannes"}],
        "probes": {"port": 65_533},
        "aggregate": {"page": {"port": free}},
        "ingest": {"web": {"host": "127.0.0.1", "port": free}},
    }
    with pytest.raises(BoxError) as error:
        require_free(wanted(*of(tmp_path, settings), None))
    assert str(error.value).splitlines() == [
        "probes.port: there is no port 65536; each service takes the next one, so take 65532 at most",
        f"ingest.web.port: port {free} is that of aggregate.page.port, too; take another port",
    ]


@pytest.mark.parametrize(
    ("camera_page", "door", "is_one"),
    [
        ("127.0.0.1", "127.0.0.2", False),
        ("127.0.0.1", "[::1]", False),
        ("127.0.0.2", "127.0.0.2", True),
        ("0.0.0.0", "127.0.0.2", True),
        ("::", "127.0.0.2", True),
        ("127.0.0.1", "localhost", True),
    ],
)
def test_a_port_of_two_addresses_is_two(tmp_path: Path, camera_page: str, door: str, is_one: bool):
    """It is asked for twice at one address only, or where one of the two listens at every address."""
    free = free_port()
    settings = {"sites": [{"id": "cannes"}], "ingest": {"web": {"host": camera_page, "port": free}}}
    ports = wanted(*of(tmp_path, settings), WebSocket(f"{door}:{free}", ["http://a.example"]))
    if not is_one:
        require_free(ports)
        return
    with pytest.raises(BoxError) as error:
        require_free(ports)
    assert str(error.value) == f"--websocket: port {free} is that of ingest.web.port, too; take another port"


def test_a_page_that_nobody_asked_for_takes_nobodys_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Nor does it open NATS's listener to browsers without a key where another page's browsers need one."""
    monkeypatch.setattr("operate.box.page.is_free", lambda port, host: True)
    ingest, page = of(tmp_path, {"sites": [{"id": "cannes"}], "ingest": {"web": {"port": 8088}}})
    assert page is None
    with Claim(free_port()) as claim:
        assert placed(usual_page(None), 0, wanted(ingest, page, None), claim).port != 8088
        assert placed(PageSettings(port=8088), 4711, wanted(ingest, page, None), claim).port == 8088  # refused before
    door = WebSocket("127.0.0.1:8088", ["http://a.example"])
    ingest, _ = of(tmp_path, {"sites": [{"id": "cannes"}]})
    with Claim(free_port()) as claim:
        assert placed(usual_page(door), 0, wanted(ingest, None, door), claim).port != 8088
        assert usual_page(door).ask_key


def test_two_boxes_that_start_at_once_take_two_ports(monkeypatch: pytest.MonkeyPatch):
    """The second sees the first one's claim, seconds before its page listens. It ends with the box."""
    monkeypatch.setattr("operate.box.page.is_free", lambda port, host: True)
    number = free_port()
    with Claim(number) as first:
        assert placed(usual_page(None), 0, [], first).port == 8088
        with Claim(number) as second:
            assert placed(usual_page(None), 0, [], second).port != 8088
    with Claim(number) as third:
        assert third.is_ours


def test_a_page_has_the_port_of_the_last_time(monkeypatch: pytest.MonkeyPatch):
    """So bookmarks hold, unless somebody else has it by now."""
    taken: set[int] = set()
    monkeypatch.setattr("operate.box.page.is_free", lambda port, host: host == "0.0.0.0" and port not in taken)
    page = PageSettings(host="0.0.0.0", port=0)
    with Claim(free_port()) as claim:
        assert placed(page, 4711, [], claim) == PageSettings(host="0.0.0.0", port=4711)
        assert placed(page, 4711, [Port("probes.port", "127.0.0.1", 4711)], claim).port == 8088
        taken.add(4711)
        assert placed(page, 4711, [], claim).port == 8088
        taken.add(8088)
        assert placed(page, 4711, [], claim).port not in {0, 4711, 8088}


@pytest.mark.parametrize(
    ("host", "port", "link"),
    [
        ("0.0.0.0", 8443, "https://127.0.0.1:8443/"),
        ("::", 8443, "https://127.0.0.1:8443/"),
        ("192.168.1.5", 8443, "https://192.168.1.5:8443/"),
        ("::1", 8443, "https://[::1]:8443/"),
        ("0.0.0.0", 0, None),
    ],
)
def test_the_page_links_to_where_the_camera_page_is(host: str, port: int, link: str | None):
    """From this machine; a port that is any free one is not known yet. A link of the settings stays."""
    assert linked(PageSettings(), WebSettings(host=host, port=port)).cameras == link
    assert linked(PageSettings(), None).cameras is None
    there = PageSettings(cameras="https://cameras.example.org/")
    assert linked(there, WebSettings(host=host, port=port)) == there
