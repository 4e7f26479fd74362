"""The sections for SMS and webhooks: what is right, and one sentence without a number or an address for what is not."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from services.kernel.settings import SettingsError, load
from services.notify.channels.sms.number import NumberError, e164
from services.notify.channels.sms.settings import numbers
from services.notify.settings import NotifyFile

KANNEL = {"user": "moretta", "password": "s3cret"}
PROVIDER = {
    "url": "https://sms.example.org/send?key=s3cret", "json": {"to": "$to", "text": "$text"}, "token": "s3cret",
    "headers": {"Authorization": "Bearer $token"},
}  # fmt: skip
REPORTS = {"url": "https://moretta.example.org/sms", "token": "s3cret-0123456789"}
OPERATIONS = Path(__file__).resolve().parents[3] / "docs" / "operations.md"
HOOK = {"url": "https://hooks.example.org/s3cret", "secret": "s3cret-0123456789"}
SALT = "s3cret-0123456789"
STAFF = {"id": "staff", "sms": ["+1 202 555 0123"]}


@pytest.fixture(name="read")
def _read(tmp_path: Path):
    """`read(sms={...}, receivers=[...])`: the settings, loaded from a file as the service does it."""

    def read(**notify: Any) -> NotifyFile:
        file = tmp_path / "moretta.yaml"
        sites = [{"id": "forville"}, {"id": "station"}]
        file.write_text(yaml.safe_dump({"sites": sites, "notify": {"receivers": [STAFF], "salt": SALT} | notify}))
        return load(file, NotifyFile, {})

    return read


@pytest.fixture(name="refused")
def _refused(read, tmp_path: Path):
    """`refused(...)`: the problems, as {path: sentence}; none of them holds a number, an address or a secret."""

    def refused(**notify: Any) -> dict[str, str]:
        with pytest.raises(SettingsError) as caught:
            read(**notify)
        said = str(caught.value).replace(str(tmp_path), "")  # whose number may be 1555
        assert not any(part in said for part in ("555", "612345", "s3cret", "hooks."))
        return dict(caught.value.problems)

    return refused


def test_numbers_are_normalised_and_shown_nowhere(read):
    """National ones in a region; a repr has none, of Kannel's password neither."""
    sms = {"kannel": KANNEL, "region": "FR"}
    file = read(sms=sms, receivers=[{"id": "staff", "sms": ["06 12 34 56 78", "+1 (202) 555-0123"]}])
    assert numbers(file.notify.receivers[0], file.notify.sms) == ["+33612345678", "+12025550123"]
    assert "555" not in repr(file)
    assert "s3cret" not in repr(file)
    assert (file.notify.sms.max_segments, file.notify.sms.max_per_day) == (2, 200)


def test_secrets_come_from_files(read, tmp_path: Path):
    """A URL, a token, a password: `x_file` for each; they are notify's own, unlike those of cameras."""
    (tmp_path / "url").write_text("https://hooks.example.org/x\n")
    (tmp_path / "token").write_text("0123456789abcdef\n")
    file = read(
        sms={
            "provider": {name: value for name, value in PROVIDER.items() if name != "token"} | {"token_file": "token"}
        },
        receivers=[{"id": "staff", "webhooks": [{"url_file": "url", "secret_file": "token"}]}],
    )
    hook = file.notify.receivers[0].webhooks[0]
    assert (hook.url.reveal(), hook.secret.reveal()) == ("https://hooks.example.org/x", "0123456789abcdef")
    assert file.notify.sms.provider.token.reveal() == "0123456789abcdef"


def test_the_examples_of_the_documents_are_right(tmp_path: Path):
    """Kannel's as it stands, and the provider's in its place."""
    text = OPERATIONS.read_text().partition("## SMS and webhooks")[2].partition("\n## ")[0]
    whole, provider = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    for name in re.findall(r"_file: ([a-z-]+)", whole + provider):
        (tmp_path / name).write_text("https://hooks.example.org/0123456789abcdef")
    with_provider = yaml.safe_load(whole)
    with_provider["notify"]["sms"] |= yaml.safe_load(provider)
    del with_provider["notify"]["sms"]["kannel"]
    for example in (yaml.safe_load(whole), with_provider):
        (tmp_path / "moretta.yaml").write_text(yaml.safe_dump(example))
        assert load(tmp_path / "moretta.yaml", NotifyFile, {}).notify.receivers[0].language == "fr"


@pytest.mark.parametrize(
    ("notify", "path", "sentence"),
    [
        ({}, "notify.sms", "numbers need a gateway"),
        ({"sms": {"kannel": KANNEL}, "salt": None}, "notify.salt", "can be tried"),
        ({"sms": {}}, "notify.sms", "one of kannel and provider"),
        ({"sms": {"kannel": KANNEL, "provider": PROVIDER}}, "notify.sms", "one of kannel and provider"),
        ({"sms": {"kannel": KANNEL, "region": "Fr"}}, "notify.sms.region", "no country of ISO 3166-1"),
        ({"sms": {"kannel": {"user": "x"}}}, "notify.sms.kannel.password", "missing"),
        ({"sms": {"kannel": {**KANNEL, "sender": "Moretta-Forville"}}}, "notify.sms.kannel.sender", "11 plain"),
        ({"sms": {"kannel": {**KANNEL, "url": "http://sms.example.org"}}}, "notify.sms.kannel.url", "not https"),
        ({"sms": {"kannel": {**KANNEL, "url": "https://a:s3cret@x"}}}, "notify.sms.kannel.url", "fields of their own"),
        ({"sms": {"kannel": {**KANNEL, "url": "ftp://x/s3cret"}}}, "notify.sms.kannel.url", "no URL"),
        ({"sms": {"kannel": KANNEL, "max_segments": 0}}, "notify.sms.max_segments", "at least 1"),
        ({"sms": {"kannel": KANNEL, "reports": {**REPORTS, "token": "x"}}}, "notify.sms.reports.token", "shorter"),
        ({"sms": {"provider": {**PROVIDER, "form": {}}}}, "notify.sms.provider.form", "one of them"),
        ({"sms": {"provider": {**PROVIDER, "json": {"to": "$to"}}}}, "notify.sms.provider", "and $text"),
        ({"sms": {"provider": {**PROVIDER, "json": ["$to", "$txt"]}}}, "notify.sms.provider.json", "no $txt"),
        ({"sms": {"provider": {**PROVIDER, "json": ["$to $text $"]}}}, "notify.sms.provider.json", "is $$"),
        ({"sms": {"provider": {**PROVIDER, "headers": {"X": "$text"}}}}, "notify.sms.provider.headers", "no $text"),
        ({"sms": {"provider": {**PROVIDER, "headers": {"X": "$basic"}}}}, "notify.sms.provider.user", "names it"),
        ({"sms": {"provider": {**PROVIDER, "json": ["$to$text$report_url"]}}}, "notify.sms.reports", "is missing"),
        (
            {"sms": {"provider": {**PROVIDER, "success": {"matches": "("}}}},
            "notify.sms.provider.success.matches",
            "no reg",
        ),
        (
            {"sms": {"provider": {**PROVIDER, "success": {"pointer": "a"}}}},
            "notify.sms.provider.success.pointer",
            "/me",
        ),
        ({"receivers": [{"id": "staff", "sms": [12025550123]}]}, "notify.receivers[0].sms[0]", "text in quotes"),
        ({"receivers": [{"id": "staff", "sms": "+1 202 555 0123"}]}, "notify.receivers[0].sms", "must be a list"),
        ({"receivers": [{"id": "staff"}]}, "notify.receivers[0]", "one of sms or webhooks"),
        (
            {"receivers": [{"id": "a", "webhooks": [{"url": "hooks.x"}]}]},
            "notify.receivers[0].webhooks[0].url",
            "no URL",
        ),
        (
            {"receivers": [{"id": "a", "webhooks": [{"url": "https://169.254.169.254/latest"}]}]},
            "notify.receivers[0].webhooks[0].url",
            "metadata service",
        ),
        ({"receivers": [{"id": "a", "webhooks": [HOOK, HOOK]}]}, "notify.receivers[0].webhooks[1].url", "twice"),
        (
            {"receivers": [{"id": "a", "webhooks": [{**HOOK, "secret": "x"}]}]},
            "notify.receivers[0].webhooks[0].secret",
            "shorter",
        ),
    ],
)
def test_each_mistake_is_named_by_its_path(refused, notify: dict[str, Any], path: str, sentence: str):
    """One line a mistake: where it is and what would be right."""
    problems = refused(**notify)
    assert path in problems, problems
    assert sentence in problems[path]


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        ("202 555 0123", "+33"),
        ("+1 202 555", "in use"),
        ("+33 1 42 68 53 00", "no mobile number"),
        ("+33 899 10 12 34", "no mobile number"),
        ("+12025550123 ext. 5", "in use"),
        ("", "in use"),
    ],
)
def test_what_is_no_mobile_number_is_refused(refused, number: str, sentence: str):
    """By its place in the file; fixed lines and those that callers pay for too."""
    problems = refused(sms={"kannel": KANNEL}, receivers=[{"id": "staff", "sms": [number]}])
    assert sentence in problems["notify.receivers[0].sms[0]"]


def test_nobody_gets_an_sms_twice(refused, read):
    """One number, however it is written, in two receivers of one site; of two sites it is fine."""
    again = {"id": "office", "sms": ["+12025550123"]}
    problems = refused(sms={"kannel": KANNEL}, receivers=[STAFF, again])
    assert "'staff'" in problems["notify.receivers[1].sms[0]"]
    two = [{**STAFF, "sites": ["forville"]}, {**again, "sites": ["station"]}]
    assert len(read(sms={"kannel": KANNEL}, receivers=two).notify.receivers) == 2


def test_plain_http_is_for_this_machine_or_by_request(read):
    """A Kannel next door needs a word of the operator."""
    assert read(sms={"kannel": {**KANNEL, "url": "http://127.0.0.1:13013/x"}}).notify.sms.kannel
    assert read(sms={"kannel": {**KANNEL, "url": "http://kannel/x"}, "allow_http": True}).notify.sms.kannel


@given(st.text(st.sampled_from("+0123456789 -()./a"), max_size=20))
def test_a_number_is_e164_or_refused(text: str):
    """Never anything in between, and E.164 stays as it is."""
    try:
        number = e164(text, "FR")
    except NumberError:
        return
    assert number[0] == "+"
    assert number[1:].isdigit()
    assert e164(number) == number
