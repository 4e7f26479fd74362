"""A mail through Debian's OpenSMTPD into a Maildir: STARTTLS, AUTH and delivery by an everyday server."""

import asyncio
import fcntl
import mailbox
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest
import trustme

from proto.subjects import ALERTS
from services.notify.core.outcome import judge
from services.notify.smtp import Session
from services.settings import Secret

PASSWORD = "s3cret-word"
CONFIG = """
pki mail cert "{folder}/cert.pem"
pki mail key "{folder}/key.pem"
table logins {{ moretta = "{hash}" }}
table people {{ "anna@example.org" = nobody }}
listen on 127.0.0.1 port {port} tls-require pki mail auth <logins>
action "keep" maildir "{folder}/box/mails" virtual <people>
match auth from any for domain "example.org" action "keep"
"""


@pytest.fixture(name="folder")
def _folder() -> Iterator[Path]:
    """A folder that the server's unprivileged half can enter; pytest's own folders are root's alone.

    One at a time on this machine: the server's spool and control socket have fixed places.
    """
    if os.geteuid() != 0:
        pytest.skip("OpenSMTPD's smtpd wants root")
    if shutil.which("smtpctl", path="/usr/sbin:/usr/bin") is None:
        pytest.skip("opensmtpd is not installed")
    lock = Path(tempfile.gettempdir(), "moretta-opensmtpd.lock")
    with lock.open("w") as held, tempfile.TemporaryDirectory(prefix="opensmtpd-") as name:
        fcntl.flock(held, fcntl.LOCK_EX)
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "box").mkdir()
        shutil.chown(folder / "box", "nobody")
        yield folder


@pytest.fixture(name="opensmtpd")
async def _opensmtpd(folder: Path) -> AsyncIterator[int]:
    """The running server's port."""
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    certificate.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))
    certificate.private_key_pem.write_to_path(str(folder / "key.pem"))
    (folder / "key.pem").chmod(0o600)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    hashed = subprocess.run(["smtpctl", "encrypt", PASSWORD], check=True, capture_output=True, text=True).stdout.strip()
    (folder / "smtpd.conf").write_text(CONFIG.format(folder=folder, hash=hashed, port=port))
    (folder / "smtpd.conf").chmod(0o600)
    process = await asyncio.create_subprocess_exec(
        "/usr/sbin/smtpd", "-d", "-f", str(folder / "smtpd.conf"), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    try:
        await _listening(process, port)
        yield port
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


async def _listening(process: asyncio.subprocess.Process, port: int) -> None:
    async with asyncio.timeout(20):
        while True:
            if process.returncode is not None:
                pytest.skip(f"smtpd does not start here: {(await process.communicate())[1].decode()[-200:]}")
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
                continue
            writer.close()
            await writer.wait_closed()
            return


async def test_an_alert_ends_in_a_maildir(
    bus, start, opensmtpd, folder, smtp, settings_of, make_alert, recorded, eventually, wait_until, logs
):
    """Through STARTTLS with our authority, logged in, queued and delivered: the mail is whole."""
    settings = smtp(
        opensmtpd,
        security="starttls",
        ca_file=folder / "ca.pem",
        user="moretta",
        password=Secret(PASSWORD),
        timeout_s=20.0,
    )
    await start(settings_of(settings, ("anna@example.org",)))
    await bus.store(ALERTS, make_alert())
    await eventually(recorded, lambda found: found == [("anna", "firing", 1, "sent", "accepted")])
    await wait_until(lambda: any((folder / "box" / "mails" / "new").glob("*")), 30, "a mail in the Maildir")
    [message] = mailbox.Maildir(folder / "box" / "mails", create=False)
    assert message["Message-ID"].endswith("@example.org>")
    assert message["Subject"] == "[Moretta] Market Forville: mask rate below 70%"
    assert [part.get_content_type() for part in message.get_payload()] == ["text/plain", "text/html"]


async def test_a_wrong_password_is_told(opensmtpd, folder, smtp):
    """The server's own refusal of a login is understood as one."""
    settings = smtp(
        opensmtpd,
        security="starttls",
        ca_file=folder / "ca.pem",
        user="moretta",
        password=Secret("wrong"),
        timeout_s=20.0,
    )
    async with Session(settings, settings.tls()) as session:
        failure = await session.open()
    assert failure is not None
    assert (failure.kind, failure.code) == ("auth", 535)


async def test_an_unknown_recipient_is_refused_for_good(opensmtpd, folder, smtp):
    """The server's own answer to an address it does not have is final for that recipient."""
    settings = smtp(
        opensmtpd,
        security="starttls",
        ca_file=folder / "ca.pem",
        user="moretta",
        password=Secret(PASSWORD),
        timeout_s=20.0,
    )
    async with Session(settings, settings.tls()) as session:
        failure = await session.send(EmailMessage(), "nobody-here@example.org")
    assert failure is not None
    assert failure.stage == "recipient"
    assert (judge(failure).retry, judge(failure).reason) == (False, "recipient")
