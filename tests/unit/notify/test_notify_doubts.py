"""What settings allow and is warned of: services.notify.doubts."""

import pytest
from msgspec import convert

from services.notify.doubts import doubts
from services.notify.settings import NotifyFile
from services.settings import Secret


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
    found = [one for one in doubts(file(smtp)) if one[0].startswith("notify.smtp.")]
    assert [one[0] for one in found] == [f"notify.smtp.{path}"] * bool(path)
    assert all(why in text for _, text in found)
    refused = [one[0] for one in file(smtp | {"user": "u", "password": Secret("s3cret")}).problems()]
    assert refused == [f"notify.smtp.{path}"] * bool(path)
