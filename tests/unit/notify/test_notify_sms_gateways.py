"""What gateways get, and what their answers mean: Kannel's sendsms, and a provider as settings describe it."""

import json
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notify.channels.http_exchange import HttpAnswer, HttpRequest
from services.notify.channels.sms.gateways import Kannel, Provider, Sms, Success, names_in, pointed
from services.notify.outcome import judge

SMS = Sms("+12025550123", "Marché : 62 %", "gsm-7", 1, "k" * 32, "http://127.0.0.1:8463/forville/1/d/m")
KANNEL = Kannel("http://127.0.0.1:13013/cgi-bin/sendsms", "moretta", "s3cret", "Moretta", "centre")


def test_kannel_gets_its_parameters_in_headers():
    """No number, text or password is in an address, which servers write into their logs."""
    request = KANNEL.request(SMS)
    assert (request.method, request.url) == ("POST", KANNEL.url)
    assert request.headers == {
        "Content-Type": "text/plain; charset=UTF-8", "X-Kannel-Username": "moretta", "X-Kannel-Password": "s3cret",
        "X-Kannel-To": "+12025550123", "X-Kannel-From": "Moretta", "X-Kannel-SMSC": "centre", "X-Kannel-Coding": "0",
        "X-Kannel-DLR-Mask": "19", "X-Kannel-DLR-Url": f"{SMS.report_url}?status=%d",
    }  # fmt: skip
    assert request.body == "Marché : 62 %".encode()
    assert "555" not in repr(request) + repr(SMS)
    assert "s3cret" not in repr(request) + repr(KANNEL)


def test_kannel_is_asked_for_no_report_that_nobody_reads():
    """And is told no sender and no centre that nobody set."""
    plain = Kannel(KANNEL.url, "moretta", "s3cret").request(Sms("+12025550123", "ł", "ucs-2", 1, "k"))
    assert not {"X-Kannel-DLR-Mask", "X-Kannel-DLR-Url", "X-Kannel-From", "X-Kannel-SMSC"} & set(plain.headers)
    assert plain.headers["X-Kannel-Coding"] == "2"


@pytest.mark.parametrize(
    ("status", "body", "reason", "retry"),
    [
        (202, b"0: Accepted for delivery", None, None),
        (202, b"3: Queued for later delivery", None, None),
        (403, b"Authorization failed for sendsms", "auth", True),
        (400, b"Sender missing and no global set, rejected", "config", True),
        (400, b"Number(s) has/have been denied by white- and/or black-lists.", "recipient", False),
        (400, b"Missing receiver number, rejected", "recipient", False),
        (503, b"Temporal failure, try again later.", "temporary", True),
    ],
)
def test_kannels_answers_are_understood(status: int, body: bytes, reason: str | None, retry: bool | None):
    """As Kannel 1.4.5 words them."""
    failure = KANNEL.failure(HttpAnswer(status, body=body))
    assert (None if failure is None else judge(failure).reason) == reason
    assert (None if failure is None else judge(failure).retry) == retry


texts = st.text(max_size=60)


@given(texts)
def test_a_text_stays_in_its_field(text: str):
    """Whatever it holds: quotes, ampersands, dollars, line ends."""
    sms = Sms("+12025550123", text, "ucs-2", 1, "k" * 32)
    document = Provider("https://x", json={"messages": [{"to": "$to", "body": "$text", "n": 1}]}).request(sms)
    assert json.loads(document.body or b"") == {"messages": [{"to": "+12025550123", "body": text, "n": 1}]}
    form = Provider("https://x", form={"to": "$number", "text": "$text", "x": "$$1"}).request(sms)
    fields = parse_qs((form.body or b"").decode(), keep_blank_values=True, strict_parsing=True)
    assert fields == {"to": ["12025550123"], "text": [text], "x": ["$1"]}
    query = urlsplit(Provider("https://x/send?text=$text&to=$to", method="GET").request(sms).url)
    assert parse_qs(query.query, keep_blank_values=True) == {"text": [text], "to": ["+12025550123"]}
    assert query.fragment == ""


def test_a_provider_gets_a_key_and_a_login():
    """The same key for the same SMS; user and password as RFC 7617 has them."""
    provider = Provider(
        "https://x", headers={"Authorization": "Basic $basic", "X-Token": "$token"}, form={"text": "$text"},
        user="ann", password="pw", token="t", sender="Moretta",
    )  # fmt: skip
    assert provider.request(SMS).headers == {
        "Content-Type": "application/x-www-form-urlencoded", "Authorization": "Basic YW5uOnB3", "X-Token": "t",
        "Idempotency-Key": "k" * 32,
    }  # fmt: skip
    assert "pw" not in repr(provider)


@pytest.mark.parametrize(
    ("success", "status", "body", "taken"),
    [
        (Success(), 201, b"", True),
        (Success(), 302, b"", False),
        (Success(frozenset({202})), 200, b"", False),
        (Success(pointer="/messages/0/status", matches="0"), 200, b'{"messages": [{"status": "0"}]}', True),
        (Success(pointer="/messages/0/status", matches="0"), 200, b'{"messages": [{"status": 0}]}', True),
        (Success(pointer="/messages/0/status", matches="0"), 200, b'{"messages": [{"status": "10"}]}', False),
        (Success(pointer="/messages/3/status", matches="0"), 200, b'{"messages": []}', False),
        (Success(pointer="/messages/x"), 200, b'{"messages": []}', False),
        (Success(pointer="/id"), 200, b'{"id": "x"}', True),
        (Success(pointer="/id"), 200, b'{"id": null}', False),
        (Success(pointer="/ok"), 200, b'{"ok": false}', False),
        (Success(pointer="/id"), 200, b"<html>", False),
        (Success(matches="OK.*"), 200, b"OK 17\n", True),
        (Success(matches="OK.*"), 200, b"NOK", False),
        (Success(matches="OK"), 200, b"\xff\xfe", False),
        (Success(), 429, b"", False),
    ],
)
def test_an_answer_is_judged_by_the_rule(success: Success, status: int, body: bytes, taken: bool):
    """By its status, and by what a pointer or an expression finds in its body."""
    failure = Provider("https://x", success=success).failure(HttpAnswer(status, body=body))
    assert (failure is None) is taken


def test_a_body_that_is_no_success_is_tried_again():
    """A provider out of order answers 200 too."""
    failure = Provider("https://x", success=Success(matches="OK")).failure(HttpAnswer(200, body=b"maintenance"))
    assert failure is not None
    assert judge(failure).retry


def test_a_pointer_is_that_of_the_rfc():
    """RFC 6901 §5, the examples that JSON keys can be mistaken in."""
    document = {"foo": ["bar", "baz"], "": 0, "a/b": 1, "m~n": 8}
    assert [pointed(document, at) for at in ("", "/foo/1", "/", "/a~1b", "/m~0n")] == [document, "baz", 0, 1, 8]


def test_templates_name_values_and_do_nothing_else():
    """A lonely dollar sign is an error, two are one."""
    assert names_in({"a": ["$to", "${text}!"], "b": 5, "c": "$$"}) == {"to", "text"}
    with pytest.raises(ValueError, match="is \\$\\$"):
        names_in({"a": "5 $"})


def test_no_repr_shows_what_goes_to_a_gateway_or_comes_back():
    """Numbers, texts and secrets are in neither, nor in a traceback."""
    shown = repr(
        [
            HttpRequest("POST", "https://x.example/?key=SECRET", {"Key": "SECRET"}, b"SECRET"),
            HttpAnswer(200, None, b"SECRET"),
        ]
    )
    assert "SECRET" not in shown
    assert "POST" in shown
