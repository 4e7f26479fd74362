"""Settings: what a file, the environment and secrets' files give, and where a secret never shows."""

import logging
from pathlib import Path

import pytest
from msgspec import Struct, field

from services.kernel.log import redact_value
from services.kernel.settings import SECTIONS, Secret, SettingsError, load

SECRET = "hunter2-äöü"


class Mail(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    host: str = "localhost"
    port: int = 25
    tags: list[str] = field(default_factory=list)
    password: Secret | None = None


class Nats(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    url: str = "nats://127.0.0.1"
    token: Secret | None = None
    mail: Mail = Mail()


class File(Struct, frozen=True, kw_only=True):
    nats: Nats = Nats()
    sites: list[Mail] = field(default_factory=list)


@pytest.fixture(name="read")
def _read(tmp_path: Path):
    """`read(yaml, VARIABLE=value)` loads a file of this text under this environment."""

    def read(text: str, **environ: str) -> File:
        file = tmp_path / "moretta.yaml"
        file.write_text(text, encoding="utf-8")
        return load(file, File, environ)

    return read


def test_an_empty_file_is_all_defaults(read):
    """Nothing needs to be written down that has a default."""
    assert read("") == File()
    assert read("nats: {}\n") == File()


def test_other_services_sections_are_left_alone(read):
    """One file for all services: a known section that this one does not declare may hold anything."""
    assert read("\n".join(f"{name}: {{x: 1}}" for name in SECTIONS if name not in {"nats", "sites"})) == File()


@pytest.mark.parametrize(
    ("variable", "value", "found"),
    [
        ("MORETTA_NATS__URL", "nats://b", Nats(url="nats://b", mail=Mail(host="a"))),
        ("MORETTA_NATS__MAIL__PORT", "26", Nats(url="nats://a", mail=Mail(host="a", port=26))),
        ("MORETTA_NATS__MAIL__TAGS", "[x, y]", Nats(url="nats://a", mail=Mail(host="a", tags=["x", "y"]))),
        ("MORETTA_NATS__MAIL", "{port: 1}", Nats(url="nats://a", mail=Mail(port=1))),
        ("MORETTA_NATS", "{url: nats://c}", Nats(url="nats://c")),
        ("moretta_nats__url", "nats://b", Nats(url="nats://a", mail=Mail(host="a"))),
        ("OTHER_NATS__URL", "nats://b", Nats(url="nats://a", mail=Mail(host="a"))),
        ("MORETTA_HOME__URL", "nats://b", Nats(url="nats://a", mail=Mail(host="a"))),
    ],
)
def test_environment_over_file(read, variable: str, value: str, found: Nats):
    """MORETTA_A__B lies over a.b with a YAML value, what is beside it stays; other names are not ours."""
    assert read("nats: {url: nats://a, mail: {host: a}}", **{variable: value}).nats == found


def test_environment_without_a_file_section(read):
    """The environment can bring a section that the file has not."""
    assert read("", MORETTA_NATS__MAIL__HOST="b") == File(nats=Nats(mail=Mail(host="b")))


@pytest.mark.parametrize("value", ["0123", "yes", "1e3", "null", "[x", "~", "2026-01-01", SECRET])
def test_a_secret_from_the_environment_is_taken_as_it_is(read, value: str):
    """A password that looks like a number, a date or broken YAML is still that password."""
    token = read("nats: {token: other}", MORETTA_NATS__TOKEN=value).nats.token
    assert token is not None
    assert token.reveal() == value


@pytest.mark.parametrize("absolute", [True, False])
def test_a_secret_from_a_file(read, tmp_path: Path, absolute: bool):
    """`x_file` names a file with the secret, relative to the settings file; white space around it is no part of it."""
    (tmp_path / "pw").write_text(f"{SECRET}\n", encoding="utf-8")
    name = str(tmp_path / "pw") if absolute else "pw"
    settings = read(f"nats: {{mail: {{password_file: {name}}}}}\nsites: [{{password_file: {name}}}]")
    assert settings.nats.mail.password == settings.sites[0].password == Secret(SECRET)


def test_a_url_may_be_in_a_file(read, tmp_path: Path):
    """A URL with a password in it is a secret like any other."""
    (tmp_path / "url").write_text("nats://u:p@h")
    assert read("nats: {url_file: url}").nats.url == "nats://u:p@h"


def test_the_environments_secret_takes_the_files_place(read, tmp_path: Path):
    """Whichever way the file gives a secret, the environment's comes instead, whichever way that is given."""
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    for text in ("nats: {token: a}", "nats: {token_file: a}"):
        assert read(text, MORETTA_NATS__TOKEN="b").nats.token == Secret("b")
        assert read(text, MORETTA_NATS__TOKEN_FILE=str(tmp_path / "b")).nats.token == Secret("b")


def test_an_ordinary_file_key_stays(read):
    """Only secrets have `_file`: `ca_file` and the like are their own keys."""
    with pytest.raises(SettingsError, match=r"nats\.host_file: unknown key"):
        read("nats: {host_file: x}")


def test_a_secret_never_shows(read, caplog: pytest.LogCaptureFixture):
    """Neither repr, str, format, log nor an error's text has it; only reveal() does."""
    settings = read(f"nats: {{token: {SECRET}}}")
    token = settings.nats.token
    assert token is not None
    logging.getLogger().warning("settings %s %r", settings, token)
    ways = [
        repr(settings),
        str(token),
        f"{token}",
        f"{token!r:>40}",
        "{}".format(token),  # noqa: UP032 - one more way
        caplog.text,
        str(redact_value([token])),
    ]
    assert [text for text in ways if SECRET in text] == []
    assert token.reveal() == SECRET


def test_secrets_compare_by_value():
    """A reload notices a new password."""
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2


def test_the_real_environment_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Without an environment given, the process's own counts."""
    (tmp_path / "m.yaml").write_text("")
    monkeypatch.setenv("MORETTA_NATS__URL", "nats://env")
    assert load(tmp_path / "m.yaml", File).nats.url == "nats://env"
