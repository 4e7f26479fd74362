"""The page of a box for other machines, and the link that opens it: operate.box.page, its link and its key."""

import asyncio
import re
import socket
import stat
from pathlib import Path

import pytest
import yaml

from operate.box import page_link
from operate.box.machine import BoxError, NotYetError
from operate.box.page import Page
from operate.box.page_key import KEY, follow, kept_key, make_key
from operate.box.page_link import LINK, PageLink, found, last_port, name_at
from operate.box.ports import wanted
from operate.identities import Identities
from services.aggregate.settings import PageSettings
from services.bus.nkey import Seed
from services.ingest.settings import IngestFile, WebSettings
from services.ingest.web.self_signed import names_of
from services.kernel.settings import SettingsError, convert


def site(folder: Path, settings: dict) -> Path:
    """A settings file of a box."""
    (file := folder / "site.yaml").write_text(yaml.safe_dump({"sites": [{"id": "cannes"}]} | settings))
    return file


def aggregates(page: Page) -> dict[str, str]:
    """The settings that a box gives to aggregate."""
    return {key.removeprefix("MORETTA_AGGREGATE__PAGE__"): value for key, value in page.environment.items()}


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_on_this_machine_alone_it_is_as_ever(tmp_path: Path, host: str):
    """Without HTTPS and a key, unless one is asked for; nothing is written."""
    page = Page(PageSettings(host=host, port=8088), tmp_path)
    page.bus_port = 4711
    assert (page.link.is_shared, page.link.url) == (False, "http://127.0.0.1:8088/")
    assert aggregates(page) == {
        "HOST": "127.0.0.1", "PORT": "8088", "SERVER": "ws://127.0.0.1:4711", "ASK_KEY": "false", "CAMERAS": "null",
        "UPSTREAM": "null", "CERTIFICATE": "null", "KEY": "null",
    }  # fmt: skip
    assert page.websocket.is_open
    assert page.ingest_environment(site(tmp_path, {})) == {}
    assert [file.name for file in tmp_path.iterdir()] == ["site.yaml"]
    assert Page(PageSettings(host=host, ask_key=True), tmp_path).websocket.is_open is False


def test_other_machines_need_a_key_and_get_https(tmp_path: Path):
    """Its NATS listener stays on loopback; the certificate is that of the next start and of the camera page."""
    page = Page(PageSettings(host="0.0.0.0", port=8088), tmp_path, WebSettings())
    page.bus_port = 4711
    address = name_at("0.0.0.0")
    assert address in names_of([])
    assert page.link.url == f"https://{f'[{address}]' if ':' in address else address}:8088/"
    assert re.fullmatch(r"([0-9A-F]{2}:){31}[0-9A-F]{2}", page.link.fingerprint)
    files = tmp_path / "certificate"
    assert aggregates(page) == {
        "HOST": '"0.0.0.0"', "PORT": "8088", "SERVER": "/nats", "UPSTREAM": "ws://127.0.0.1:4711", "ASK_KEY": "true",
        "CAMERAS": "null", "SEED_FILE": str(tmp_path / "identities" / KEY),
        "CERTIFICATE": str(files / "moretta.crt"), "KEY": str(files / "moretta.key"),
    }  # fmt: skip
    assert (page.websocket.listen, page.websocket.is_open) == ("127.0.0.1:4711", False)
    own = {"MORETTA_INGEST__WEB__CERTIFICATE_DIR": str(files)}
    assert page.ingest_environment(site(tmp_path, {"ingest": {"web": {"port": 0}}})) == own
    assert Page(PageSettings(host="0.0.0.0"), tmp_path).link.fingerprint == page.link.fingerprint
    assert stat.S_IMODE((files / "moretta.key").stat().st_mode) == 0o600


OWN = {"certificate": "x", "key": "x"}


@pytest.mark.parametrize("ingest", [{}, {"web": OWN}, {"web": {"certificate_dir": "x"}}, {"web": {"port": "?"}}])
def test_the_camera_page_keeps_a_certificate_of_its_own(tmp_path: Path, ingest: dict):
    """As the settings have it by now. A camera page that was taken out of them since the start is not opened again."""
    page = Page(PageSettings(host="0.0.0.0"), tmp_path, WebSettings())
    assert page.ingest_environment(site(tmp_path, {"ingest": ingest})) == {}


def test_a_certificate_of_the_settings_is_taken(tmp_path: Path):
    """Browsers trust it, so no fingerprint is shown, and none of our own is made."""
    page = Page(PageSettings(host="0.0.0.0", certificate="a.crt", key="a.key"), tmp_path)
    assert (aggregates(page)["CERTIFICATE"], aggregates(page)["KEY"]) == ("a.crt", "a.key")
    assert page.link.fingerprint == ""
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("host", ["203.0.113.9", "no-such-name.invalid", "2001:db8::9", "a..b", "x" * 70])
def test_an_address_of_another_machine_is_told(tmp_path: Path, host: str):
    """With those that this one has. It may be there later: after a power cut the router may take longer."""
    own = re.escape(names_of([])[0])
    telling = rf"^aggregate\.page\.host: '{host}' is no address of this machine, at least not yet; it has .*{own}"
    with pytest.raises(NotYetError, match=telling):
        Page(PageSettings(host=host), tmp_path)


def test_a_name_that_others_do_not_reach_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Debian gives a machine's own name to 127.0.1.1."""
    there = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: there)
    with pytest.raises(BoxError, match=r"^aggregate\.page\.host: others do not reach 'kiosk' \(127\.0\.0\.1\); this "):
        Page(PageSettings(host="kiosk"), tmp_path)


def test_a_machine_without_a_way_to_others_is_named_by_an_address_of_its_own(monkeypatch: pytest.MonkeyPatch):
    """As one whose router is away."""
    monkeypatch.setattr(page_link, "_ELSEWHERE", ("255.255.255.255", 9))  # to all, which needs leave: EACCES
    assert name_at("") == names_of([])[0]


def test_a_folder_that_cannot_be_written_to_is_told(tmp_path: Path):
    """By its name."""
    (tmp_path / "certificate").touch()
    with pytest.raises(BoxError, match=rf"^{tmp_path}/certificate can't be written: File exists"):
        Page(PageSettings(host="0.0.0.0"), tmp_path)


@pytest.mark.parametrize(("host", "asked"), [("localhost", "127.0.0.1"), ("0.0.0.0", "0.0.0.0")])
def test_its_port_has_to_be_free_where_it_listens(host: str, asked: str):
    """Before anything is started."""
    ingest = convert({"sites": [{"id": "cannes"}]}, IngestFile)
    assert [(one.host, one.number) for one in wanted(ingest, PageSettings(host=host), None)] == [(asked, 8088)]
    assert name_at("192.0.2.7") == "192.0.2.7"


def test_the_link_has_the_key_in_its_fragment():
    """Which browsers send to nobody. A page that asks for none needs none; a code is drawn for other machines alone."""
    seed, print_ = Seed.new(), "AB:CD"
    shared = PageLink("192.0.2.7", 8088, True, print_)
    assert shared.with_key(seed) == f"https://192.0.2.7:8088/#key={seed.reveal()}"
    *code, line, warning = shared.in_words(seed).splitlines()
    assert set("".join(code)) <= set("█▀▄ ")
    assert len(code) > 15
    assert (line, warning.endswith(print_)) == (f"numbers in a browser: {shared.with_key(seed)}", True)
    assert PageLink("192.0.2.7", 8088, True).in_words(seed).endswith(seed.reveal())
    here = PageLink("localhost", 8088)
    assert here.in_words(seed) == "numbers in a browser: http://127.0.0.1:8088/"


def test_the_key_is_kept_until_a_new_one_takes_its_place(tmp_path: Path):
    """For its owner alone; all other keys are new at each start."""
    folder = tmp_path / "identities"
    assert kept_key(folder) is None
    first = Identities.make(folder)
    (key := kept_key(folder)) and (folder / LINK).write_text(PageLink("192.0.2.7", 8088, True).text)
    second = Identities.make(folder, {"page": key})
    assert {user for user, seed in second.seeds.items() if seed == first.seeds[user]} == {"page"}
    assert (found(tmp_path), last_port(tmp_path)) == ((PageLink("192.0.2.7", 8088, True), key), 8088)
    new = make_key(tmp_path)
    assert new != key
    assert found(tmp_path)[1] == kept_key(folder) == second.replaced("page", new).seeds["page"] == new
    assert stat.S_IMODE((folder / KEY).stat().st_mode) == 0o600
    (folder / KEY).write_text("nonsense")
    assert kept_key(folder) is None
    with pytest.raises(SettingsError, match=r"moretta page: --data: '.*' has no page of a `moretta up`; start that"):
        found(tmp_path)
    (folder / LINK).write_text("{}")
    assert last_port(tmp_path) == 0


def test_a_link_in_the_place_of_the_new_key_leads_root_nowhere(tmp_path: Path):
    """The folder's owner could have root overwrite, or give away, any file."""
    (folder := tmp_path / "identities").mkdir()
    (other := tmp_path / "other").write_text("as it was")
    (folder / f".{KEY}.new").symlink_to(other)
    make_key(tmp_path)
    assert (other.read_text(), (folder / KEY).is_symlink()) == ("as it was", False)
    folder.rename(tmp_path / "moved")
    folder.symlink_to(tmp_path / "moved")
    with pytest.raises(OSError, match=r"Not a directory|Too many levels"):
        make_key(tmp_path)


async def test_a_new_key_that_could_not_be_written_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """As on a full disk. The box goes on, and says so."""
    monkeypatch.setattr("operate.box.page_key._LOOK_S", 0.001)
    folder = Identities.make(tmp_path / "identities").folder
    present, new = kept_key(folder), make_key(tmp_path)
    tried, failed = [], []

    def changed(seed: Seed) -> None:
        tried.append(seed)
        if len(tried) == 1:
            raise OSError(28, "No space left on device", "nats.conf")
        following.cancel()

    following = asyncio.create_task(follow(folder, present, changed, failed.append))
    with pytest.raises(asyncio.CancelledError):
        await following
    assert tried == [new, new]
    assert failed == ["the page's new key is not in force: nats.conf: No space left on device"]
