"""Mutual TLS between services and a real nats-server: who is refused with which word, and renewal on both sides."""

import asyncio
import re
import signal
import ssl
from dataclasses import dataclass
from pathlib import Path

import pytest
from authority import ENDS, Authority, Volume, only_these, serving
from nats.aio.transport import TcpTransport
from nats_process import NatsProcess
from patience import until
from prometheus_client import REGISTRY

from operate.orders import connect_as
from proto.public import WindowV1
from proto.subjects import WINDOWS
from services.bus import Bus, NatsSettings
from services.kernel.settings import SettingsError

MS = 1_000_000
ENDED = r"(alert unknown ca|Broken pipe|Connection reset by peer|Connection lost|unexpected EOF)"
"""What a client hears whose certificate is refused: by TLS 1.3 it may write before it reads why."""
TRUST = r".*; is NATS there, and does it trust the CA of nats.client_cert_file\?"


@dataclass
class SecureServer:
    """A server that asks for certificates, and the secrets that it and its client have."""

    server: NatsProcess
    authority: Authority
    ours: Volume
    theirs: Volume
    folder: Path

    def settings(self, **files: str | None) -> NatsSettings:
        named = {"ca_file": self.ours.ca, "client_cert_file": self.ours.pem} | files
        return NatsSettings(url=self.server.url, **named)

    async def reload(self) -> None:
        """SIGHUP, and wait until the server says that its TLS is another."""
        before = len(self.server.output)
        self.server.signal(signal.SIGHUP)
        told = "Reloaded server configuration"
        await until(lambda: any(told in line for line in self.server.output[before:]), told)


@pytest.fixture(name="place")
def _place(tmp_path: Path):
    authority = Authority()
    ours = Volume(tmp_path / "ours", ca=authority.pem, pem=authority.issue("notify"))
    theirs = Volume(tmp_path / "theirs", ca=authority.pem, pem=authority.issue("127.0.0.1"))
    block = f'tls {{ cert_file: "{theirs.pem}", key_file: "{theirs.pem}", ca_file: "{theirs.ca}", verify: true }}'
    server = NatsProcess(tmp_path, config=block).start()
    yield SecureServer(server, authority, ours, theirs, tmp_path)
    server.stop()


async def refused(settings: NatsSettings, words: str) -> None:
    """Connecting goes on, and says why it has not come to an end: the words are a regular expression."""
    said: list[str] = []
    connecting = asyncio.create_task(Bus.connect(settings, "notify", on_error=said.append))
    await until(lambda: any(re.search(words, one) for one in said), lambda: f"{words!r} in {said}", 30)
    assert not connecting.done()
    connecting.cancel()
    await asyncio.gather(connecting, return_exceptions=True)


async def test_who_is_not_known_is_refused(place: SecureServer):
    """Without a certificate, with a stranger's, to a server that nobody named vouches for, or by no TLS at all."""
    stranger = place.folder / "stranger"
    stranger.write_bytes(Authority().issue("notify"))
    await refused(place.settings(client_cert_file=None), "name one in nats.client_cert_file")
    await refused(place.settings(ca_file=None, client_cert_file=None), "set nats.ca_file to the file of the issuing CA")
    await refused(place.settings(client_cert_file=str(stranger)), "unknown ca")
    await refused(place.settings(ca_file="system"), "unable to get local issuer certificate")
    place.theirs.put(ca=place.authority.pem, pem=place.authority.issue("elsewhere.example"))
    await place.reload()
    await refused(place.settings(), "IP address mismatch")


async def test_an_operators_command_tells_what_to_mend(place: SecureServer):
    """One line for the person at the terminal: a file of no use, or what TLS said while nobody let it in."""
    (place.folder / "stranger").write_bytes(Authority().issue("operator"))
    cases = {
        f"{{ca_file: {place.ours.ca}, client_cert_file: gone}}": "nats.client_cert_file: cannot use gone: No such file",
        f"{{ca_file: {place.ours.ca}, client_cert_file: {place.folder}/stranger}}": f"nats.url: .*{ENDED}{TRUST}",
        f"{{client_cert_file: {place.ours.pem}}}": "nats.ca_file: is missing; TLS needs",
    }
    file = place.folder / "operator.yaml"
    for files, sentence in cases.items():
        file.write_text(f"nats: {files[:-1]}, url: {place.server.url}}}")
        with pytest.raises(SettingsError, match=rf"^{file}: {sentence}"):
            await connect_as("operator", file)
    file.write_text(f"nats: {{ca_file: {place.ours.ca}, client_cert_file: {place.ours.pem}, url: {place.server.url}}}")
    await (await connect_as("operator", file)).close()


async def test_a_certificate_is_refused_before_the_client_goes_on(place: SecureServer, monkeypatch: pytest.MonkeyPatch):
    """By TLS 1.3 the handshake succeeds first. A client that is slow finds its connection ended, and tells it alike."""
    connect_tls = TcpTransport.connect_tls

    async def slow(self: TcpTransport, *args) -> None:
        await connect_tls(self, *args)
        await until(lambda: self._io_writer.transport.get_protocol() is None, "the connection's end")

    monkeypatch.setattr(TcpTransport, "connect_tls", slow)
    stranger = place.folder / "stranger"
    stranger.write_bytes(Authority().issue("notify"))
    await refused(place.settings(client_cert_file=str(stranger)), ENDED)


async def test_nothing_is_said_in_the_open_when_tls_is_asked_for(place: SecureServer):
    """A server, or whoever stands before it, that says it has no TLS hears no password."""
    heard = asyncio.Event()

    async def strip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"server_id":"x","version":"2.11.0","max_payload":1000}\r\n')
        if await reader.read():
            heard.set()
        writer.close()

    server = await asyncio.start_server(strip, "127.0.0.1", 0)
    settings = place.settings()
    for scheme in ("nats", "tls"):
        url = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        files = {"ca_file": settings.ca_file, "client_cert_file": settings.client_cert_file}
        await refused(NatsSettings(url=url, user="a", **files), "offers no TLS")
    server.close()
    await server.wait_closed()
    assert not heard.is_set()


async def test_nothing_older_than_tls_1_2_is_spoken(place: SecureServer):
    """Neither by us to an old server, nor by the server to an old client."""
    old = serving(Path(place.theirs.pem))
    insist(old)
    reasons: list[str] = []

    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"server_id":"x","version":"2.11.0","max_payload":1000,"tls_required":true}\r\n')
        try:
            await writer.start_tls(old)
        except ssl.SSLError as error:
            reasons.append(error.reason)
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    url = f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    await refused(NatsSettings(url=url, ca_file=place.ours.ca), "")
    await until(lambda: reasons, "why it was refused")
    server.close()
    await server.wait_closed()
    assert set(reasons) == {"UNSUPPORTED_PROTOCOL"}
    reader, writer = await asyncio.open_connection("127.0.0.1", place.server.port)
    assert (await reader.readline()).startswith(b"INFO")
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    insist(client)
    with pytest.raises(ssl.SSLError, match=r"(?i)protocol.version"):
        await writer.start_tls(client)
    writer.close()


async def test_another_authority_takes_over_without_a_restart(place: SecureServer, monkeypatch: pytest.MonkeyPatch):
    """First both are believed, then both sides show the new one's certificates, then it alone is: no window is lost."""
    only_these(monkeypatch)
    bus = await Bus.connect(place.settings(), "aggregate")
    await bus.ensure_streams([str(WINDOWS.stream)])
    new = Authority()
    stored, done = 0, asyncio.Event()

    async def publish() -> None:
        nonlocal stored
        while not done.is_set():
            await bus.store(
                WINDOWS, WindowV1(site="s", zone="z", profile="lab", start=stored * MS, end=(stored + 1) * MS)
            )
            stored += 1

    publishing = asyncio.create_task(publish())
    steps = [
        {"ca": place.authority.pem + new.pem, "of": place.authority},
        {"ca": place.authority.pem + new.pem, "of": new},
        {"ca": new.pem, "of": new},
    ]
    for step in steps:
        place.ours.put(ca=step["ca"], pem=step["of"].issue("notify"))
        place.theirs.put(ca=step["ca"], pem=step["of"].issue("127.0.0.1"))
        await place.reload()
        before, reconnects = stored, bus.client.stats["reconnects"]
        await bus.client.force_reconnect()

        def goes_on(stored_s=before + 20, count=reconnects):
            return stored >= stored_s and bus.client.stats["reconnects"] != count

        await until(goes_on, "a new connection, and windows by it", 30)
    await refused(place.settings(client_cert_file=str(old_of(place))), "unknown ca")
    done.set()
    await publishing
    assert [one.message.start // MS for one in await bus.history(WINDOWS, site="s", zone="z")] == list(range(stored))
    expiries = {side: expiry(side) for side in ("own", "peer", "authority")}
    assert (expiries["own"], expiries["peer"]) == (ENDS.timestamp(), ENDS.timestamp())
    assert expiries["authority"] > ENDS.timestamp()
    await bus.close()


def insist(context: ssl.SSLContext) -> None:
    """Let it speak TLS 1.1, which OpenSSL does no more by itself, and nothing else."""
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1


def old_of(place: SecureServer) -> Path:
    """A certificate of the authority that was."""
    file = place.folder / "old"
    file.write_bytes(place.authority.issue("notify"))
    return file


def expiry(side: str) -> float:
    name = "moretta_certificate_expiry_timestamp_seconds"
    return REGISTRY.get_sample_value(name, {"use": "nats", "side": side}) or 0.0
