"""A mail through Debian's OpenSMTPD into a Maildir: STARTTLS, AUTH and delivery by an everyday server."""

import contextlib
import fcntl
import mailbox
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path

import pytest
import trustme
from free_ports import free_port
from patience import until, wait_until
from program import Program

from proto.subjects import ALERTS
from services.kernel.settings import Secret
from services.notify.channels.email.settings import SmtpSettings
from services.notify.channels.email.smtp import SmtpSession
from services.notify.outcome import judge

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


pytestmark = pytest.mark.xdist_group("opensmtpd")
SMTPCTL = shutil.which("smtpctl", path="/usr/sbin:/usr/bin")
"""Not everybody's PATH has the first folder."""


@dataclass(frozen=True)
class Relay:
    """A running smtpd: its port, its authority's certificate, and where it delivers."""

    port: int
    ca_file: Path
    mails: Path


@pytest.fixture(name="folder", scope="module")
def _folder() -> Iterator[Path]:
    """A folder that the server's unprivileged half can enter; pytest's own folders are root's alone.

    One at a time on this machine: the server's spool and control socket have fixed places.
    """
    if os.geteuid() != 0:
        pytest.skip("OpenSMTPD's smtpd wants root")
    if SMTPCTL is None:
        pytest.skip("opensmtpd is not installed")
    lock = Path(tempfile.gettempdir(), "moretta-opensmtpd.lock")
    with lock.open("w") as held, tempfile.TemporaryDirectory(prefix="opensmtpd-") as name:
        fcntl.flock(held, fcntl.LOCK_EX)
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "box").mkdir()
        shutil.chown(folder / "box", "nobody")
        yield folder


@pytest.fixture(name="relay", scope="module")
def _relay(folder: Path) -> Iterator[Relay]:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    certificate.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))
    certificate.private_key_pem.write_to_path(str(folder / "key.pem"))
    (folder / "key.pem").chmod(0o600)
    port = free_port()
    hashed = subprocess.run([SMTPCTL, "encrypt", PASSWORD], check=True, capture_output=True, text=True).stdout.strip()
    (folder / "smtpd.conf").write_text(CONFIG.format(folder=folder, hash=hashed, port=port))
    (folder / "smtpd.conf").chmod(0o600)
    with Program(["/usr/sbin/smtpd", "-d", "-f", folder / "smtpd.conf"]) as smtpd:
        wait_until(lambda: smtpd.is_over or _listens(port), "smtpd listens")
        if smtpd.is_over:
            pytest.skip(f"smtpd does not start here: {smtpd.last_words()}")
        yield Relay(port, folder / "ca.pem", folder / "box" / "mails")
        smtpd.stop()


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 5):
        return True
    return False


@pytest.fixture(name="login")
def _login(relay: Relay, smtp) -> Callable[..., SmtpSettings]:
    """`login(password)`: the settings that reach the server."""

    def make(password: str = PASSWORD) -> SmtpSettings:
        known = {"ca_file": relay.ca_file, "user": "moretta", "password": Secret(password)}
        return smtp(relay.port, security="starttls", timeout_s=20.0, **known)

    return make


async def test_an_alert_ends_in_a_maildir(
    bus, start, relay, login, settings_of, make_alert, recorded, eventually, logs
):
    """Through STARTTLS with our authority, logged in, queued and delivered: the mail is whole."""
    await start(settings_of(login(), ("anna@example.org",)))
    await bus.store(ALERTS, make_alert())
    await eventually(recorded, lambda found: found == [("anna", "firing", 1, "sent", "accepted")])
    await until(lambda: any((relay.mails / "new").glob("*")), "a mail in the Maildir", 30)
    [message] = mailbox.Maildir(relay.mails, create=False)
    assert message["Message-ID"].endswith("@example.org>")
    assert message["Subject"] == "Market Forville: 62% wear masks (alert below 70%)"
    assert [part.get_content_type() for part in message.get_payload()] == ["text/plain", "text/html"]


async def test_a_wrong_password_is_told(login):
    """The server's own refusal of a login is understood as one."""
    settings = login("wrong")
    async with SmtpSession(settings, settings.tls()) as session:
        failure = await session.open()
    assert failure is not None
    assert (failure.kind, failure.code) == ("auth", 535)


async def test_an_unknown_recipient_is_refused_for_good(login):
    """The server's own answer to an address it does not have is final for that recipient."""
    settings = login()
    async with SmtpSession(settings, settings.tls()) as session:
        failure = await session.send(EmailMessage(), "nobody-here@example.org")
    assert failure is not None
    assert failure.stage == "recipient"
    assert (judge(failure).retry, judge(failure).reason) == (False, "recipient")
