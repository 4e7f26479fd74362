"""The page of a box for other machines, and the link that opens it: operate.box.page, operate.box.page_link."""

import re
import stat
from pathlib import Path

import pytest

from operate.box.machine import BoxError
from operate.box.page import Page, name_at
from operate.box.page_link import KEY, LINK, PageLink, found, kept_key, make_key
from operate.box.ports import wanted
from operate.identities import Identities
from services.aggregate.settings import PageSettings
from services.bus.nkey import Seed
from services.ingest.settings import IngestFile, WebSettings
from services.kernel.settings import SettingsError, convert
from services.kernel.tls.self_signed import names_of


def aggregates(page: Page) -> dict[str, str]:
    """The settings that a box gives to aggregate."""
    return {key.removeprefix("MORETTA_AGGREGATE__PAGE__"): value for key, value in page.environment.items()}


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_on_this_machine_alone_it_is_as_ever(tmp_path: Path, host: str):
    """Without HTTPS and a key, unless one is asked for; nothing is written."""
    page = Page(PageSettings(host=host, port=8088), tmp_path)
    page.bus_port = 4711
    assert (page.is_shared, page.link) == (False, PageLink("http://127.0.0.1:8088/"))
    assert aggregates(page) == {
        "HOST": "127.0.0.1", "PORT": "8088", "SERVER": "ws://127.0.0.1:4711", "ASK_KEY": "false", "CAMERAS": "null",
        "UPSTREAM": "null", "CERTIFICATE": "null", "KEY": "null",
    }  # fmt: skip
    assert page.websocket.is_open
    assert page.ingest_environment == {}
    assert not any(tmp_path.iterdir())
    assert Page(PageSettings(host=host, ask_key=True), tmp_path).websocket.is_open is False


def test_other_machines_need_a_key_and_get_https(tmp_path: Path):
    """Its NATS listener stays on loopback; the certificate is that of the next start and of the camera page."""
    page = Page(PageSettings(host="0.0.0.0", port=8088), tmp_path, WebSettings())
    page.bus_port = 4711
    address = names_of([])[0]
    assert page.link.url == f"https://{f'[{address}]' if ':' in address else address}:8088/"
    assert re.fullmatch(r"([0-9A-F]{2}:){31}[0-9A-F]{2}", page.link.fingerprint)
    files = tmp_path / "certificate"
    assert aggregates(page) == {
        "HOST": "0.0.0.0", "PORT": "8088", "SERVER": "/nats", "UPSTREAM": "ws://127.0.0.1:4711", "ASK_KEY": "true",
        "CAMERAS": "null", "SEED_FILE": str(tmp_path / "identities" / KEY),
        "CERTIFICATE": str(files / "moretta.crt"), "KEY": str(files / "moretta.key"),
    }  # fmt: skip
    assert (page.websocket.listen, page.websocket.is_open) == ("127.0.0.1:4711", False)
    assert page.ingest_environment == {"MORETTA_INGEST__WEB__CERTIFICATE_DIR": str(files)}
    assert Page(PageSettings(host="0.0.0.0"), tmp_path).link.fingerprint == page.link.fingerprint
    assert stat.S_IMODE((files / "moretta.key").stat().st_mode) == 0o600


@pytest.mark.parametrize("web", [None, WebSettings(certificate="x", key="x"), WebSettings(certificate_dir="x")])
def test_the_camera_page_keeps_a_certificate_of_its_own(tmp_path: Path, web: WebSettings | None):
    """As the settings have it."""
    assert Page(PageSettings(host="0.0.0.0"), tmp_path, web).ingest_environment == {}


def test_a_certificate_of_the_settings_is_taken(tmp_path: Path):
    """Browsers trust it, so no fingerprint is shown, and none of our own is made."""
    page = Page(PageSettings(host="0.0.0.0", certificate="a.crt", key="a.key"), tmp_path)
    assert (aggregates(page)["CERTIFICATE"], aggregates(page)["KEY"]) == ("a.crt", "a.key")
    assert page.link.fingerprint == ""
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("host", ["203.0.113.9", "no-such-name.invalid", "2001:db8::9"])
def test_an_address_of_another_machine_is_told(tmp_path: Path, host: str):
    """With those that this one has."""
    own = re.escape(names_of([])[0])
    telling = rf"^aggregate\.page\.host: {host} is no address of this machine; it has .*{own}"
    with pytest.raises(BoxError, match=telling):
        Page(PageSettings(host=host), tmp_path)


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
    shared = PageLink("https://192.0.2.7:8088/", True, print_)
    assert shared.with_key(seed) == f"https://192.0.2.7:8088/#key={seed.reveal()}"
    *code, line, warning = shared.in_words(seed).splitlines()
    assert set("".join(code)) <= set("█▀▄ ")
    assert len(code) > 15
    assert (line, warning.endswith(print_)) == (f"numbers in a browser: {shared.with_key(seed)}", True)
    assert PageLink("https://192.0.2.7:8088/", True).in_words(seed).endswith(seed.reveal())
    here = PageLink("http://127.0.0.1:8088/")
    assert here.in_words(seed) == "numbers in a browser: http://127.0.0.1:8088/"


def test_the_key_is_kept_until_a_new_one_takes_its_place(tmp_path: Path):
    """For its owner alone; all other keys are new at each start."""
    folder = tmp_path / "identities"
    assert kept_key(folder) is None
    first = Identities.make(folder)
    (key := kept_key(folder)) and (folder / LINK).write_text(PageLink("https://192.0.2.7:8088/", True).text)
    second = Identities.make(folder, {"page": key})
    assert {user for user, seed in second.seeds.items() if seed == first.seeds[user]} == {"page"}
    assert found(tmp_path) == (PageLink("https://192.0.2.7:8088/", True), key)
    new = make_key(tmp_path)
    assert new != key
    assert found(tmp_path)[1] == kept_key(folder) == second.replaced("page", new).seeds["page"] == new
    assert stat.S_IMODE((folder / KEY).stat().st_mode) == 0o600
    (folder / KEY).write_text("nonsense")
    assert kept_key(folder) is None
    with pytest.raises(SettingsError, match=r"moretta page: --data: '.*' has no page of a `moretta up`; start that"):
        found(tmp_path)
