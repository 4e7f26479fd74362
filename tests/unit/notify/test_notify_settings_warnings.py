"""What settings allow and is warned of: services.notify.settings_warnings."""

import pytest
from msgspec import convert

from services.kernel.settings import Secret
from services.notify.settings import NotifyFile
from services.notify.settings_warnings import warnings_of


def file(smtp: dict[str, object] | None = None, **notify: object) -> NotifyFile:
    mail = {"sender": "m@example.org", "host": "mail.example.org"} | (smtp or {})
    section = {"smtp": mail, "receivers": [{"id": "staff", "email": ["anna@example.org"]}]} | notify
    return convert({"sites": [{"id": "market"}, {"id": "quay"}], "notify": section}, NotifyFile)


@pytest.mark.parametrize(
    ("smtp", "path", "why"),
    [
        ({"security": "none"}, "security", "'none' sends mails and their recipients' addresses openly to 'mail"),
        ({"security": "tls", "verify": False}, "verify", "false hands mails to whoever answers as 'mail.example.org'"),
        ({"security": "starttls"}, "", ""),
        ({"security": "none", "host": "127.0.0.1"}, "", ""),
        ({"security": "none", "host": "localhost"}, "", ""),
        ({"security": "none", "host": "10.0.0.9"}, "security", "openly to '10.0.0.9'"),
    ],
)
def test_mails_that_travel_openly_are_warned_of(smtp: dict[str, object], path: str, why: str):
    """To another machine without TLS, or to whoever answers; never with a password, which is an error."""
    found = [one for one in warnings_of(file(smtp)) if one[0].startswith("notify.smtp.")]
    assert [one[0] for one in found] == [f"notify.smtp.{path}"] * bool(path)
    assert all(why in text for _, text in found)
    refused = [one[0] for one in file(smtp | {"user": "u", "password": Secret("s3cret")}).problems()]
    assert refused == [f"notify.smtp.{path}"] * bool(path)


MAIL = {"id": "ops", "audience": "operators", "email": ["ops@example.org", "it@example.org"]}
STAFF = {"id": "staff", "email": ["anna@example.org"], "webhooks": [{"url": Secret("https://example.org/staff")}]}
HOOK = {"url": Secret("https://example.org/hook")}
ALONE = "operators are reached by it alone; add a second channel to receiver 'ops', or another receiver"


@pytest.mark.parametrize(
    ("receivers", "routes", "told"),
    [
        ([STAFF, MAIL], [], [("[1]", f"if email is down nobody can be told of it: {ALONE}")]),
        ([STAFF], [], [("", "when a channel fails nobody is told of it; add a receiver with audience: operators")]),
        ([], [], []),
        ([STAFF, MAIL | {"webhooks": [HOOK]}], [], []),
        ([MAIL, STAFF, {"id": "night", "audience": "operators", "webhooks": [HOOK]}], [], []),
        (
            [MAIL, STAFF, {"id": "night", "audience": "operators", "webhooks": [HOOK], "sites": ["quay"]}],
            [],
            [("[0]", f"if email is down nobody can be told of it at market: {ALONE}")],
        ),
        ([{"id": "ops", "audience": "operators", "webhooks": [HOOK]}], [], [("[0]", "if webhook is down nobody")]),
        (
            [MAIL, STAFF],
            [{"receiver": "ops", "sites": ["quay"]}, {"receiver": "staff", "audience": "operators"}],
            [("[0]", f"if email is down nobody can be told of it at quay: {ALONE}")],
        ),
        (
            [MAIL | {"webhooks": [HOOK]}],
            [{"receiver": "ops", "rules": ["camera-down"]}],
            [("", "when a channel fails nobody is told of it; add a receiver")],
        ),
    ],
)
def test_operators_who_hear_of_a_dead_channel_by_itself_alone_are_warned_of(receivers, routes, told):
    """At which sites, and whom to give a second channel; the same where nobody is told of it."""
    found = warnings_of(file({"host": "127.0.0.1"}, receivers=receivers, routes=routes))
    assert [path for path, _ in found] == [f"notify.receivers{place}" for place, _ in told]
    assert all(why.startswith(start) for (_, why), (_, start) in zip(found, told, strict=True))
    assert "example.org" not in str(found)


def test_a_text_that_lacks_a_receivers_language_is_named():
    """Each with its path; one text for all readers lacks none, and a language that nobody reads is not asked for."""
    rules = [
        {"id": "a", "fire_below": 0.1, "clear_above": 0.2, "name": "A", "action": {"fr": "Allez-y"}},
        {"id": "b", "fire_below": 0.1, "clear_above": 0.2, "name": {"fr": "B", "de": "B"}},
    ]
    notify = {"receivers": [STAFF | {"language": "fr"}, MAIL | {"audience": "field"}], "contact": {"fr": "la régie"}}
    smtp = {"sender": "m@example.org", "host": "127.0.0.1"}
    sites = [{"id": "market", "profile": "lab", "language": "fr", "rules": rules}]
    made = convert({"sites": sites, "notify": {"smtp": smtp} | notify}, NotifyFile)
    assert not made.problems()
    why = "has no text in 'en'; receivers with that language get the one in the site's"
    paths = ["notify.contact", "sites[0].rules[0].action", "sites[0].rules[1].name"]
    assert warnings_of(made) == [(path, why) for path in paths]
    [(path, told)] = convert({"sites": [{"id": "quay"}], "notify": {"contact": {"fr": "x"}}}, NotifyFile).problems()
    assert (path, told) == ("notify.contact", "has no text in 'en', the language of the site 'quay'; add en: ...")


def test_a_trial_is_not_warned_of():
    """`moretta demo` has staff alone, and says nothing of it."""
    assert (
        warnings_of(
            convert({"sites": [{"id": "demo", "profile": "lab"}], "notify": {"receivers": [STAFF]}}, NotifyFile)
        )
        == []
    )
