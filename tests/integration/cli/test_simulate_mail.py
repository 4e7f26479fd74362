"""The simulated mail server, with a real SMTP client."""

import asyncio
from email.message import EmailMessage

import aiosmtplib
import pytest
from patience import patient

from testbed.servers.mail import Mail, MailServer


def letter(subject: str = "Too few masks") -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "moretta@market.example", "staff@market.example", subject
    message.set_content("Twenty per cent – à peine.\n")
    message.add_alternative("<p>Twenty per cent</p>", subtype="html")
    return message


async def send(server: MailServer, message: EmailMessage) -> None:
    await aiosmtplib.send(message, hostname="127.0.0.1", port=server.port, start_tls=False, use_tls=False)


async def test_a_mail_is_kept_and_told(tmp_path):
    """The folder has each mail as it came, and the callback gets it with its plain text."""
    mails: list[Mail] = []
    async with MailServer(tmp_path / "mails", mails.append) as server:
        await send(server, letter())
    (mail,) = mails
    assert mail.file == tmp_path / "mails" / "mail-1.eml"
    assert b"Subject: Too few masks" in mail.file.read_bytes()
    assert mail.message["To"] == "staff@market.example"
    assert mail.text == "Twenty per cent – à peine."


async def test_mails_are_kept_in_their_order(tmp_path):
    """Several mails, several files, none overwritten."""
    mails: list[Mail] = []
    async with MailServer(tmp_path, mails.append) as server:
        for number in range(3):
            await send(server, letter(f"number {number}"))
    assert [m.message["Subject"] for m in mails] == ["number 0", "number 1", "number 2"]
    assert sorted(f.name for f in tmp_path.iterdir()) == ["mail-1.eml", "mail-2.eml", "mail-3.eml"]


async def test_an_earlier_runs_mails_stay(tmp_path):
    """A folder that already has mails keeps them."""
    (tmp_path / "mail-1.eml").write_text("old")
    async with MailServer(tmp_path, lambda _mail: None) as server:
        await send(server, letter())
    assert (tmp_path / "mail-1.eml").read_text() == "old"
    assert (tmp_path / "mail-2.eml").exists()


async def test_a_mail_without_plain_text_has_an_empty_one(tmp_path):
    """What has no plain body is kept and shown without one."""
    mails: list[Mail] = []
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@market.example", "b@market.example", "html"
    message.set_content("<p>only this</p>", subtype="html")
    async with MailServer(tmp_path, mails.append) as server:
        await send(server, message)
    assert mails[0].text == ""


async def test_the_sink_listens_on_the_loopback_address_only(tmp_path):
    """Nobody on the network reaches it, and two servers get two ports."""
    async with MailServer(tmp_path, lambda _mail: None) as one, MailServer(tmp_path, lambda _mail: None) as two:
        assert one.port != two.port
        assert {s.getsockname()[0] for s in one._server.sockets} == {"127.0.0.1"}


async def test_a_client_that_stays_is_dropped_at_the_end(tmp_path):
    """An open connection does not keep the server from ending, and afterwards nobody listens."""
    async with asyncio.timeout(patient(10)):
        async with MailServer(tmp_path, lambda _mail: None) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            assert (await reader.readline()).startswith(b"220")
        assert await reader.read() == b""
        writer.close()
        with pytest.raises(OSError):
            await asyncio.open_connection("127.0.0.1", server.port)
