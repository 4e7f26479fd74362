"""The SMTP session against a real server, with its faults."""

import asyncio
import ssl
from email.message import EmailMessage

import pytest

from services.notify.core.outcome import Failure, judge
from services.notify.smtp import Session, tls_context
from services.settings import Secret


def mail(recipient: str = "anna@example.org") -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "alerts@example.org", recipient, "Market"
    message["Message-ID"] = "<1@example.org>"
    message.set_content(".a line that begins with a dot\nthe end\n")
    return message


async def send(settings, recipient: str = "anna@example.org") -> Failure | None:
    async with Session(settings, tls_context(settings)) as session:
        return await session.send(mail(recipient), recipient)


@pytest.fixture(name="unused_port")
async def _unused_port() -> int:
    server = await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    return int(port)


async def test_a_mail_arrives_as_it_was_written(serve_mail, smtp):
    """Dots, line ends and headers survive the way (RFC 5321 §4.5.2)."""
    box = await serve_mail()
    assert await send(smtp(box)) is None
    [(recipient, message)] = box.mails
    assert recipient == "anna@example.org"
    assert message.get_content().replace("\r\n", "\n") == ".a line that begins with a dot\nthe end\n"
    assert message["Message-ID"] == "<1@example.org>"


async def test_one_connection_serves_all_mails_of_a_delivery(serve_mail, smtp):
    """Three recipients, three mails, one connection."""
    box = await serve_mail()
    settings = smtp(box)
    async with Session(settings, tls_context(settings)) as session:
        for name in ("a", "b", "c"):
            assert await session.send(mail(), f"{name}@example.org") is None
    assert [recipient for recipient, _ in box.mails] == ["a@example.org", "b@example.org", "c@example.org"]
    assert box.connections == 1


@pytest.mark.parametrize("implicit", [False, True])
async def test_tls_with_a_certificate_of_ca_file(serve_mail, smtp, certificates, implicit: bool):
    """STARTTLS and TLS from the start, both with an authority of one's own."""
    box = await serve_mail(tls=certificates.server, implicit=implicit)
    settings = smtp(box, security="tls" if implicit else "starttls", ca_file=certificates.ca_file)
    assert await send(settings) is None
    assert len(box.mails) == 1


@pytest.mark.parametrize("implicit", [False, True])
async def test_an_unknown_authority_gets_no_mail(serve_mail, smtp, certificates, implicit: bool):
    """A certificate that nobody vouches for: nothing is sent, and it says why."""
    box = await serve_mail(tls=certificates.server, implicit=implicit)
    failure = await send(smtp(box, security="tls" if implicit else "starttls"))
    assert failure is not None
    assert (failure.kind, failure.stage) == ("tls", "connect")
    assert "self-signed" in failure.detail or "unable to get local issuer" in failure.detail
    assert judge(failure).retry
    assert judge(failure).loud
    assert box.mails == []


async def test_a_certificate_for_another_name_gets_no_mail(serve_mail, smtp, wrong_name):
    """Somebody else's valid certificate is no better than none."""
    box = await serve_mail(tls=wrong_name.server)
    failure = await send(smtp(box, security="starttls", ca_file=wrong_name.ca_file))
    assert failure is not None
    assert failure.kind == "tls"
    assert "127.0.0.1" in failure.detail
    assert box.mails == []


async def test_verify_false_takes_any_certificate(serve_mail, smtp, wrong_name):
    """The operator asked for it in so many words."""
    box = await serve_mail(tls=wrong_name.server)
    assert await send(smtp(box, security="starttls", verify=False)) is None


async def test_a_server_without_starttls_gets_no_mail(serve_mail, smtp):
    """A stripped STARTTLS is not silently accepted."""
    box = await serve_mail()
    failure = await send(smtp(box, security="starttls"))
    assert failure == Failure("no-starttls", "connect")
    assert box.mails == []


def test_nothing_older_than_tls_1_2_is_spoken(smtp):
    """TLS 1.0 and 1.1 are refused whatever the system's policy says."""
    assert tls_context(smtp(25)).minimum_version is ssl.TLSVersion.TLSv1_2


async def test_a_login_is_made_behind_tls(serve_mail, smtp, certificates):
    """User and password after STARTTLS."""
    box = await serve_mail(tls=certificates.server, login=True)
    settings = smtp(
        box, security="starttls", ca_file=certificates.ca_file, user="moretta", password=Secret("s3cret-word")
    )
    assert await send(settings) is None
    assert box.logins == [b"moretta"]


async def test_a_refused_login_is_tried_once(serve_mail, smtp, certificates):
    """One wrong password a try, not one for each method: the account is not locked by us."""
    box = await serve_mail(tls=certificates.server, login=True)
    settings = smtp(box, security="starttls", ca_file=certificates.ca_file, user="moretta", password=Secret("wrong"))
    failure = await send(settings)
    assert failure is not None
    assert (failure.kind, failure.code) == ("auth", 535)
    assert judge(failure).reason == "auth"
    assert len(box.logins) == 1


async def test_a_server_without_a_login_says_so(serve_mail, smtp):
    """A user is set, the server knows no AUTH."""
    box = await serve_mail()
    assert await send(smtp(box, user="moretta", password=Secret("x"))) == Failure("no-auth", "connect")


async def test_a_server_that_wants_a_login_says_so(serve_mail, smtp, certificates):
    """530 to MAIL FROM is an authentication matter (RFC 4954 §6), not a refused sender."""
    box = await serve_mail(tls=certificates.server, login=True)
    failure = await send(smtp(box, security="starttls", ca_file=certificates.ca_file))
    assert failure is not None
    assert (failure.code, judge(failure).reason) == (530, "auth")


@pytest.mark.parametrize(
    ("hook", "answer", "expected"),
    [
        ("at_mail", "553 5.1.8 no such sender", Failure("response", "sender", 553, "5.1.8")),
        ("at_mail", "421 4.3.2 closing down", Failure("response", "sender", 421, "4.3.2")),
        ("at_rcpt", "450 4.2.1 greylisted", Failure("response", "recipient", 450, "4.2.1")),
        ("at_rcpt", "421 4.7.0 too many", Failure("response", "recipient", 421, "4.7.0")),
        ("at_rcpt", "550 5.1.1 <anna@example.org> unknown", Failure("response", "recipient", 550, "5.1.1")),
        ("at_rcpt", "550 no", Failure("response", "recipient", 550, None)),
        ("at_data", "554 5.6.0 spam", Failure("response", "data", 554, "5.6.0")),
        ("at_data", "451 4.3.0 later", Failure("response", "data", 451, "4.3.0")),
    ],
)
async def test_each_answer_is_told_by_code_and_stage(serve_mail, smtp, hook: str, answer: str, expected: Failure):
    """Code, enhanced code and stage are kept; the server's words, with the address in them, are not."""
    box = await serve_mail()

    async def say(server, recipient: str) -> str:
        return answer

    setattr(box, hook, say)
    assert await send(smtp(box)) == expected
    assert box.mails == []


@pytest.mark.parametrize(("greeting", "code"), [("554 5.7.1 not you", 554), ("421 4.3.2 later", 421)])
async def test_a_refusing_greeting_is_told(serve_mail, smtp, greeting: str, code: int):
    """The server speaks before we do, and means us."""
    box = await serve_mail()
    box.greeting = greeting
    failure = await send(smtp(box))
    assert failure is not None
    assert (failure.kind, failure.stage, failure.code) == ("response", "connect", code)


async def test_an_unreachable_server_is_asked_once_a_delivery(smtp, unused_port: int):
    """The second recipient does not wait for the same refusal again."""
    settings = smtp(unused_port)
    async with Session(settings, tls_context(settings)) as session:
        first = await session.send(mail(), "anna@example.org")
        assert first is not None
        assert (first.kind, first.stage) == ("connect", "connect")
        assert "refused" in first.detail
        assert await session.send(mail(), "bob@example.org") is first


async def test_an_unknown_host_is_told(smtp):
    """A name that does not exist (RFC 6761 §6.4)."""
    failure = await send(smtp(25, host="mail.invalid"))
    assert failure == Failure("connect", "connect", detail="the name cannot be resolved")


async def test_a_hanging_server_ends_with_a_timeout_and_the_next_mail_goes(serve_mail, smtp):
    """No answer in DATA: this mail fails in time, and a new connection serves the next recipient."""
    box = await serve_mail()
    never = asyncio.Event()

    async def hang(server, recipient: str) -> None:
        if recipient.startswith("anna"):
            await never.wait()

    box.at_data = hang
    settings = smtp(box, timeout_s=0.3)
    async with Session(settings, tls_context(settings)) as session:
        assert await session.send(mail(), "anna@example.org") == Failure("timeout", "data")
        assert await session.send(mail(), "bob@example.org") is None
    assert [recipient for recipient, _ in box.mails] == ["bob@example.org"]
    assert box.connections == 2


async def test_a_silent_server_ends_with_a_timeout(smtp):
    """A port that takes connections and says nothing, such as TLS spoken to without TLS."""
    server = await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", 0)
    failure = await send(smtp(server.sockets[0].getsockname()[1], timeout_s=0.3))
    server.close()
    assert failure is not None
    assert (failure.kind, failure.stage) == ("timeout", "connect")


async def test_a_connection_lost_after_the_final_dot_is_no_acceptance(serve_mail, smtp):
    """The server has the mail but never said so: it counts as not sent, and is sent again."""
    box = await serve_mail()

    async def drop(server, recipient: str) -> None:
        server.transport.abort()

    box.after_data = drop
    failure = await send(smtp(box))
    assert failure is not None
    assert (failure.kind, failure.stage) == ("disconnected", "data")
    assert judge(failure).retry
    assert len(box.mails) == 1


async def test_a_delivery_with_nothing_to_send_makes_no_connection(serve_mail, smtp):
    """A redelivered alert that is done does not bother the server."""
    box = await serve_mail()
    settings = smtp(box)
    async with Session(settings, tls_context(settings)):
        pass
    assert box.connections == 0
