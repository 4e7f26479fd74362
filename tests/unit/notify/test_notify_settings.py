"""The section `notify`: what is right, and one clear sentence for each thing that is not."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from operate.transparency.settings import TransparencyFile
from services.kernel.settings import SettingsError, load
from services.notify.channels.email.settings import is_address, is_host
from services.notify.settings import NotifyFile

SITES = [{"id": "forville", "zones": [], "cameras": []}, {"id": "station"}]
SMTP = {"host": "mail.example.org", "sender": "alerts@example.org"}
STAFF = {"id": "staff", "email": ["anna@example.org", "bob@example.org"], "sites": ["forville"]}


@pytest.fixture(name="read")
def _read(tmp_path: Path):
    """`read(smtp={...}, receivers=[...])`: the settings, loaded from a file as the service does it."""

    def read(**notify: Any) -> NotifyFile:
        file = tmp_path / "moretta.yaml"
        file.write_text(yaml.safe_dump({"sites": SITES, "notify": {"smtp": SMTP, "receivers": [STAFF]} | notify}))
        return load(file, NotifyFile, {})

    return read


@pytest.fixture(name="refused")
def _refused(read):
    """`refused(...)`: the problems, as {path: sentence}."""

    def refused(**notify: Any) -> dict[str, str]:
        with pytest.raises(SettingsError) as caught:
            read(**notify)
        return dict(caught.value.problems)

    return refused


def test_defaults_are_the_safe_ones(read):
    """STARTTLS with a checked certificate on the submission port, all sites, English."""
    file = read(receivers=[{"id": "staff", "email": ["anna@example.org"]}])
    assert (file.notify.smtp.security, file.notify.smtp.verify, file.notify.smtp.port_in_use()) == (
        "starttls",
        True,
        587,
    )
    assert (file.notify.receivers[0].sites, file.notify.receivers[0].language) == ([], "en")


@pytest.mark.parametrize(("security", "port"), [("starttls", 587), ("tls", 465), ("none", 25)])
def test_the_port_follows_the_security(read, security: str, port: int):
    """Each way has its own well-known port; a set one wins."""
    assert read(smtp={**SMTP, "security": security}).notify.smtp.port_in_use() == port
    assert read(smtp={**SMTP, "security": security, "port": 2525}).notify.smtp.port_in_use() == 2525


def test_a_file_without_the_section_is_fine(tmp_path: Path):
    """A box that tells nobody needs no mail server."""
    (tmp_path / "moretta.yaml").write_text("sites: []\n")
    assert load(tmp_path / "moretta.yaml", NotifyFile, {}).notify.receivers == []


def test_a_password_comes_from_a_file_and_shows_nowhere(read, tmp_path: Path):
    """`password_file` and `salt_file`; no repr has them."""
    (tmp_path / "pw").write_text("s3cret-word\n")
    (tmp_path / "salt").write_text("0123456789abcdef0123456789abcdef\n")
    file = read(smtp={**SMTP, "user": "moretta", "password_file": "pw"}, salt_file="salt")
    assert file.notify.smtp.password.reveal() == "s3cret-word"
    assert file.notify.salt.reveal() == "0123456789abcdef0123456789abcdef"
    assert "s3cret-word" not in repr(file)
    assert "0123456789abcdef" not in repr(file)


LOGIN = {"user": "moretta", "password": "s3cret-word"}


@pytest.mark.parametrize(
    ("notify", "path", "sentence"),
    [
        ({"smtp": {**SMTP, "security": "none", **LOGIN}}, "notify.smtp.security", "sends the password openly"),
        ({"smtp": {**SMTP, "verify": False, **LOGIN}}, "notify.smtp.verify", "whoever answers"),
        ({"smtp": {**SMTP, "user": "moretta"}}, "notify.smtp.password", "both user and password"),
        ({"smtp": {**SMTP, "password": "x"}}, "notify.smtp.user", "both user and password"),
        ({"smtp": {**SMTP, "sender": "Moretta <a@b.c>"}}, "notify.smtp.sender", "no plain e-mail address"),
        ({"smtp": {**SMTP, "host": "mail example"}}, "notify.smtp.host", "no host name"),
        ({"smtp": {**SMTP, "port": 0}}, "notify.smtp.port", "at least 1"),
        ({"smtp": {**SMTP, "security": "ssl"}}, "notify.smtp.security", "'ssl'"),
        ({"smtp": {"host": "mail.example.org"}}, "notify.smtp.sender", "missing"),
        ({"smtp": {**SMTP, "bounces": "Bounces <b@c.de>"}}, "notify.smtp.bounces", "no plain e-mail"),
        ({"smtp": {**SMTP, "client_key_file": "k.pem"}}, "notify.smtp.client_cert_file", "without its certificate"),
        (
            {"smtp": {**SMTP, "security": "none", "client_cert_file": "c.pem"}},
            "notify.smtp.security",
            "shows no certificate",
        ),
        ({"smtp": None}, "notify.smtp", "receivers need a mail server"),
        ({"receivers": [STAFF, {**STAFF, "email": ["c@d.ef"]}]}, "notify.receivers[1].id", "used 2 times"),
        (
            {"receivers": [{**STAFF, "sites": ["forvile"]}]},
            "notify.receivers[0].sites[0]",
            "known here: forville, station",
        ),
        ({"receivers": [{**STAFF, "email": []}]}, "notify.receivers[0]", "at least one address"),
        ({"receivers": [{**STAFF, "email": ["a@b.cd", "c at d"]}]}, "notify.receivers[0].email[1]", "no plain e-mail"),
        ({"receivers": [{**STAFF, "e-mail": []}]}, "notify.receivers[0].e-mail", "unknown"),
        ({"receivers": [{**STAFF, "language": "xx"}]}, "notify.receivers[0].language", "there are en, fr"),
        ({"salt": "short"}, "notify.salt", "shorter than 16"),
        ({"public_url": "javascript:alert(1)"}, "notify.public_url", "matching"),
        ({"give_up_after_s": 0}, "notify.give_up_after_s", "at least 1"),
    ],
)
def test_each_mistake_is_named_by_its_path(refused, notify: dict[str, Any], path: str, sentence: str):
    """One line a mistake: where it is and what would be right."""
    problems = refused(**notify)
    assert path in problems, problems
    assert sentence in problems[path]


def test_all_mistakes_are_told_at_once(refused):
    """Nobody mends a file one start at a time."""
    problems = refused(smtp={**SMTP, "sender": "x"}, receivers=[{**STAFF, "email": ["y"], "sites": ["z"]}])
    assert set(problems) == {"notify.smtp.sender", "notify.receivers[0].email[0]", "notify.receivers[0].sites[0]"}


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_a_password_may_go_openly_to_this_machine(read, host: str):
    """Nobody listens on the loopback interface."""
    assert read(smtp={**SMTP, "host": host, "security": "none", **LOGIN}).notify.smtp.host == host


def test_nobody_is_told_twice(refused, read):
    """One mailbox in two receivers of one site would get each mail twice; of two sites it would not."""
    again = {"id": "office", "email": ["ANNA@example.org"]}
    problems = refused(receivers=[STAFF, {**again, "sites": ["forville"]}])
    assert "'staff'" in problems["notify.receivers[1].email[0]"]
    assert "notify.receivers[1].email[0]" in refused(receivers=[STAFF, again])
    assert "notify.receivers[0].email[1]" in refused(receivers=[{**STAFF, "email": ["a@b.cd", "A@b.cd"]}])
    assert read(receivers=[STAFF, {**again, "sites": ["station"]}]).notify.receivers[1].id == "office"


@pytest.mark.parametrize("schema", [NotifyFile, TransparencyFile])
@pytest.mark.parametrize(
    "wrong",
    [
        {"sms": "+33 612345678"}, {"sms": 33612345678}, {"sms": [33612345678]}, {"webhooks": "https://hook.example/12345678"},
        {"webhooks": ["https://hook.example/12345678"]}, {"webhooks": [{"url": 612345678}]},
    ],
)  # fmt: skip
def test_no_problem_quotes_a_number_or_a_webhook_in_the_wrong_place(tmp_path: Path, wrong: dict[str, Any], schema: Any):
    """A list or a key is easily left out; what stands in its place is the secret all the same."""
    file = tmp_path / "moretta.yaml"
    file.write_text(yaml.safe_dump({"sites": SITES, "notify": {"smtp": SMTP, "receivers": [STAFF | wrong]}}))
    with pytest.raises(SettingsError, match=f"{next(iter(wrong))}.*: must be a") as caught:
        load(file, schema, {})
    assert "12345678" not in str(caught.value)


def test_no_problem_quotes_an_address(refused):
    """These lines end in logs."""
    problems = refused(receivers=[{**STAFF, "email": ["anna@ex ample.org", "b@c.de", "B@C.de"]}])
    assert len(problems) == 2
    assert not any("anna" in why or "b@c" in why.lower() for why in problems.values())


@pytest.mark.parametrize("text", ["a@b", "anna@example.org", "a.b+c@x-y.example", "a_b@1.example", f"{'a' * 64}@b.cd"])
def test_an_address_is_an_address(text: str):
    """The ordinary ones, with plus, dots and hyphens."""
    assert is_address(text)


@pytest.mark.parametrize(
    "text",
    [
        "", "a", "a@", "@b", "a@b@c", "a b@c", "Anna <a@b.c>", "<a@b.c>", "a..b@c", ".a@b", "a.@b", "a@b..c", "a@b.",
        "a@-b", "a@b-",
        "a@[127.0.0.1]", "a@b,c@d", "a(x)@b", '"a b"@c', "é@b.c", "a@é.fr", "a@b\n", "a@b\r\nBcc: x@y", "a\0@b",
        "a@b_c", f"{'a' * 65}@b.cd", f"a@{'b' * 64}.cd", f"a@{'b.' * 130}cd",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused(text: str):
    """Everything that a server would refuse, or that could smuggle a second recipient."""
    assert not is_address(text)


@pytest.mark.parametrize(
    ("name", "valid"), [("a", True), ("a.b-c.d", True), ("", False), ("a_b", False), ("é.fr", False)]
)
def test_a_host_name_is_that_of_the_rfc(name: str, valid: bool):
    """RFC 1123 §2.1, in ASCII."""
    assert is_host(name) is valid
