"""The SMTP session against a real server, with its faults."""

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable
from email.message import EmailMessage
from typing import Any

import pytest
from authority import ENDS, Authority, Volume, only_these, serving
from patience import until
from prometheus_client import REGISTRY

from services.kernel.faults import StartError
from services.kernel.settings import Secret
from services.notify.channels.email.settings import SmtpSettings
from services.notify.channels.email.smtp import Pool, SmtpSession
from services.notify.outcome import Failure, judge


def mail(recipient: str = "anna@example.org") -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "alerts@example.org", recipient, "Market"
    message["Message-ID"] = "<1@example.org>"
    message.set_content(".a line that begins with a dot\nthe end\n")
    return message


async def send(settings, recipient: str = "anna@example.org") -> Failure | None:
    async with SmtpSession(settings, settings.tls()) as session:
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
    async with SmtpSession(settings, settings.tls()) as session:
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
    assert smtp(25).tls().context.minimum_version is ssl.TLSVersion.TLSv1_2


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
    async with SmtpSession(settings, settings.tls()) as session:
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
    async with SmtpSession(settings, settings.tls()) as session:
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
    async with SmtpSession(settings, settings.tls()):
        pass
    assert box.connections == 0


@pytest.fixture(name="pool_of")
async def _pool_of() -> AsyncIterator[Callable[..., Pool]]:
    """`pool_of(settings, idle_s=...)`: connections that are closed at the end."""
    pools: list[Pool] = []

    def make(settings: SmtpSettings, **limits: Any) -> Pool:
        pools.append(Pool(settings, settings.tls(), **limits))
        return pools[-1]

    yield make
    for pool in pools:
        await pool.close()


async def test_a_connection_serves_notification_after_notification(serve_mail, smtp, pool_of):
    """Also after a recipient was refused: one connection, one handshake."""
    box = await serve_mail()

    async def refuse(server, recipient: str) -> str | None:
        return "550 5.1.1 unknown" if recipient.startswith("bob") else None

    box.at_rcpt = refuse
    pool = pool_of(smtp(box))
    answers = [await pool.send(mail(), f"{name}@example.org") for name in ("anna", "bob", "carl")]
    assert [answer and answer.code for answer in answers] == [None, 550, None]
    assert [recipient for recipient, _ in box.mails] == ["anna@example.org", "carl@example.org"]
    assert box.connections == 1


async def test_an_idle_connection_is_closed_and_a_new_one_made(serve_mail, smtp, pool_of):
    """The server is not kept waiting for minutes; the next mail connects anew."""
    box = await serve_mail()
    pool = pool_of(smtp(box), idle_s=0.05)
    assert await pool.send(mail(), "anna@example.org") is None
    await until(lambda: all(transport.is_closing() for transport in box.transports), "cut")
    assert await pool.send(mail(), "bob@example.org") is None
    assert (len(box.mails), box.connections) == (2, 2)


@pytest.mark.parametrize("way", ["cut", "421 to NOOP", "421 to MAIL"])
async def test_a_connection_that_the_server_gave_up_costs_no_mail(serve_mail, smtp, pool_of, way: str):
    """Cut while idle, closed by a limit of mails or of time: nothing was under way, so a new one takes the mail."""
    box = await serve_mail()
    pool = pool_of(smtp(box))
    assert await pool.send(mail(), "anna@example.org") is None
    gone = set(box.transports)

    async def closing(server, *_: str) -> str | None:
        return "421 4.4.2 too long" if server.transport in gone else None

    if way == "cut":
        for transport in gone:
            transport.abort()
    else:
        setattr(box, "at_noop" if "NOOP" in way else "at_mail", closing)
    assert await pool.send(mail(), "bob@example.org") is None
    assert [recipient for recipient, _ in box.mails] == ["anna@example.org", "bob@example.org"]
    assert box.connections == 2


async def test_connections_are_few(serve_mail, smtp, pool_of):
    """A burst shares them; servers limit how many one client may have."""
    box = await serve_mail()
    pool = pool_of(smtp(box), most=2)
    answers = await asyncio.gather(*(pool.send(mail(), f"a{n}@example.org") for n in range(20)))
    assert set(answers) == {None}
    assert (len(box.mails), box.connections) == (20, 2)


async def test_who_waited_for_a_server_out_of_reach_shares_the_answer(smtp, pool_of, unused_port: int):
    """Hundreds of recipients don't wait one after the other for the same silence; the next mail asks again."""
    pool = pool_of(smtp(unused_port), most=1)
    answers = await asyncio.gather(*(pool.send(mail(), f"a{n}@example.org") for n in range(10)))
    assert all(answer is answers[0] for answer in answers)
    again = await pool.send(mail(), "anna@example.org")
    assert again == answers[0]
    assert again is not answers[0]


async def test_a_cancelled_mail_leaves_no_half_used_connection(serve_mail, smtp, pool_of):
    """What the server made of it is unknown: the connection is cut, and the next mail has its own."""
    box = await serve_mail()
    reached, never = asyncio.Event(), asyncio.Event()

    async def hang(server, recipient: str) -> None:
        if recipient.startswith("anna"):
            reached.set()
            await never.wait()

    box.at_data = hang
    pool = pool_of(smtp(box))
    sending = asyncio.create_task(pool.send(mail(), "anna@example.org"))
    await reached.wait()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert await pool.send(mail(), "bob@example.org") is None
    assert [recipient for recipient, _ in box.mails] == ["bob@example.org"]
    assert box.connections == 2


async def test_a_connection_at_work_when_its_pool_is_closed_ends_with_its_mail(serve_mail, smtp, pool_of):
    """New settings came while the server was slow: the mail is taken, and the old connection isn't kept for later."""
    box = await serve_mail()
    reached, gate = asyncio.Event(), asyncio.Event()

    async def hang(server, recipient: str) -> None:
        reached.set()
        await gate.wait()

    box.at_data = hang
    pool = pool_of(smtp(box))
    sending = asyncio.create_task(pool.send(mail(), "anna@example.org"))
    await reached.wait()
    await pool.close()
    gate.set()
    assert await sending is None
    await until(lambda: all(transport.is_closing() for transport in box.transports), "cut")
    assert (len(box.mails), box.connections) == (1, 1)


async def test_bounces_go_to_an_address_of_their_own(serve_mail, smtp, pool_of):
    """The envelope's sender is not the header's."""
    box = await serve_mail()
    senders: list[str] = []

    async def note(server, sender: str) -> None:
        senders.append(sender)

    box.at_mail = note
    assert await pool_of(smtp(box, bounces="bounces@example.org")).send(mail(), "anna@example.org") is None
    assert await pool_of(smtp(box)).send(mail(), "anna@example.org") is None
    assert senders == ["bounces@example.org", "alerts@example.org"]


@pytest.mark.parametrize("implicit", [False, True])
@pytest.mark.parametrize("apart", [False, True])
async def test_a_server_that_asks_for_a_certificate_gets_ours(serve_mail, smtp, pool_of, ours, implicit, apart):
    """With its key in the same file or apart; without one, or with a stranger's, no mail is taken and it is said."""
    box = await serve_mail(tls=ours.server, implicit=implicit)
    security = {"security": "tls" if implicit else "starttls", "ca_file": ours.ca_file}
    files = {"client_cert_file": str(ours.both)}
    if apart:
        files = {"client_cert_file": str(ours.certificate), "client_key_file": str(ours.key)}
    assert await pool_of(smtp(box, **security, **files)).send(mail(), "anna@example.org") is None
    assert len(box.mails) == 1


async def test_certificates_are_renewed_between_two_mails(serve_mail, smtp, tmp_path, monkeypatch):
    """Another authority for both sides: what is in the files when a connection is made counts; the pool is the same."""
    only_these(monkeypatch)
    authority = Authority()
    ours = Volume(tmp_path / "ours", ca=authority.pem, pem=authority.issue("moretta.example.org"))
    server, known = tmp_path / "server", tmp_path / "known"

    async def take_one_mail(port: int) -> Any:
        server.write_bytes(authority.issue("127.0.0.1"))
        known.write_bytes(authority.pem)
        return await serve_mail(tls=serving(server, known), port=port)

    box = await take_one_mail(0)
    settings = smtp(box, security="starttls", ca_file=ours.ca, client_cert_file=ours.pem)
    pool = Pool(settings, settings.tls())
    assert await pool.send(mail(), "anna@example.org") is None
    await box.close()
    authority = Authority()
    ours.put(ca=authority.pem, pem=authority.issue("moretta.example.org"))
    renewed = await take_one_mail(box.port)
    assert await pool.send(mail(), "anna@example.org") is None
    assert (len(box.mails), len(renewed.mails)) == (1, 1)
    await pool.close()
    for side in ("own", "peer"):
        labels = {"use": "smtp", "side": side}
        assert REGISTRY.get_sample_value("moretta_certificate_expiry_timestamp_seconds", labels) == ENDS.timestamp()


@pytest.mark.parametrize("implicit", [False, True])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("stranger", [False, True])
async def test_a_server_that_refuses_our_certificate_says_so(smtp, ours, implicit, version, stranger):
    """None, or one that it does not know: it is told as what it is, in each version of TLS, not as the network."""
    shown = {"client_cert_file": str(ours.stranger)} if stranger else {}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = threading.Thread(target=_shake_hands, args=(listener, ours.server, version, implicit), daemon=True)
        serving.start()
        settings = smtp(
            listener.getsockname()[1], security="tls" if implicit else "starttls", ca_file=ours.ca_file, **shown
        )
        failure = await send(settings)
        serving.join(15)
    assert failure is not None
    assert (failure.kind, failure.stage) == ("tls", "connect")
    assert judge(failure).loud


def _shake_hands(listener: socket.socket, context: ssl.SSLContext, version: ssl.TLSVersion, implicit: bool) -> None:
    """A server that asks for a certificate, by OpenSSL on a plain socket: asyncio's would cut without the alert."""
    context.minimum_version = context.maximum_version = version
    connection, _ = listener.accept()
    with connection:
        if not implicit:
            for line in (b"220 mail\r\n", b"250-mail\r\n250 STARTTLS\r\n", b"220 go\r\n"):
                connection.sendall(line)
                connection.recv(1_000) if b"go" not in line else None
        with context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False) as secured:
            with contextlib.suppress(ssl.SSLError):
                secured.do_handshake()
            secured.shutdown(socket.SHUT_WR)  # what the client says now is read, or the alert would not reach it
            while secured.recv(1_000):
                pass


def test_a_certificate_that_cannot_be_used_is_named(smtp, ours, tmp_path):
    """Missing, no PEM, a key for another one, a key behind a password: one line, and no question on the terminal."""
    (tmp_path / "text.pem").write_text("no PEM")
    cases = [
        ({"ca_file": tmp_path / "gone.pem"}, "ca_file: cannot use .*gone.pem: No such file"),
        ({"ca_file": tmp_path / "text.pem"}, "ca_file: cannot use .*text.pem: it holds no PEM certificate"),
        ({"client_cert_file": str(tmp_path / "gone.pem")}, "client_cert_file: cannot use .*: No such file"),
        ({"client_cert_file": str(ours.certificate)}, "client_cert_file: cannot use .*: it holds no private key"),
        (
            {"client_cert_file": str(ours.both), "client_key_file": str(ours.locked)},
            "client_key_file: .*locked.pem: its key is encry",
        ),
    ]
    for files, sentence in cases:
        with pytest.raises(StartError, match=sentence):
            smtp(25, **files).tls()
