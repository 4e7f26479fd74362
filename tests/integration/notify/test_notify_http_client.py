"""Requests to gateways and webhooks: what is reused, what is never kept, what is never followed."""

import asyncio
import socket
import ssl

import pytest
from aiohttp import web
from http_peer import HttpPeer

from services.notify.channels.http_client import READ_BYTES, HttpClient
from services.notify.channels.http_exchange import HttpAnswer, HttpRequest
from services.notify.channels.sms.settings import SmsSettings
from services.notify.outcome import Failure


@pytest.fixture(name="client")
async def _client():
    client = HttpClient(20.0, SmsSettings().tls())
    yield client
    await client.close()


def get(peer: HttpPeer, path: str = "") -> HttpRequest:
    return HttpRequest("GET", peer.url(path), {})


async def test_a_url_goes_out_as_it_was_written(client):
    """Escapes that a provider demands are neither undone nor doubled."""
    async with HttpPeer() as peer:
        await client.send(get(peer, "a%2Fb/%7Ec?text=%C3%A9+%26&to=%2B33#no"))
    assert peer.got[0].path == "/a%2Fb/%7Ec?text=%C3%A9+%26&to=%2B33"


async def test_cookies_and_secrets_stay_with_whom_they_are_of(client):
    """A cookie is not sent back; a redirect takes no header elsewhere."""
    async with HttpPeer() as peer, HttpPeer() as other:
        stay = web.Response(headers={"Set-Cookie": "a=b"})
        peer.answers = [stay, web.Response(status=307, headers={"Location": other.url()})]
        request = HttpRequest("POST", peer.url(), {"Authorization": "Bearer t0ken"}, b"body")
        answers = [await client.send(request) for _ in range(2)]
        assert [answer.status for answer in answers if isinstance(answer, HttpAnswer)] == [200, 307]
        assert "Cookie" not in peer.got[1].headers
        assert other.got == []


async def test_a_body_is_read_no_further_than_needed(client):
    """Nor unpacked: what claims to be packed comes as it is."""
    async with HttpPeer() as peer:
        peer.answers = [web.Response(body=b"x" * 10**6), web.Response(body=b"", status=204), web.Response(body=b"abc")]
        bodies = [
            answer.body for answer in [await client.send(get(peer)) for _ in range(3)] if isinstance(answer, HttpAnswer)
        ]
    assert bodies == [b"x" * READ_BYTES, b"", b"abc"]
    assert peer.got[0].headers["Accept-Encoding"] == "identity"


async def test_many_at_once_all_come_through(client):
    """Fifty requests in one burst, each with its own answer."""
    async with HttpPeer() as peer:
        peer.answers = [web.Response(text=str(number)) for number in range(50)]
        answers = await asyncio.gather(*(client.send(get(peer)) for _ in range(50)))
    assert {answer.body for answer in answers if isinstance(answer, HttpAnswer)} == {b"%d" % n for n in range(50)}


async def test_a_server_that_comes_back_is_reached_again(client):
    """A connection that died in the meantime is one failure at most."""
    async with HttpPeer() as peer:
        assert isinstance(await client.send(get(peer)), HttpAnswer)
        peer.answers = ["drop"]
        assert await client.send(HttpRequest("POST", peer.url(), {})) == Failure("disconnected", "data")
        assert isinstance(await client.send(get(peer)), HttpAnswer)


@pytest.mark.parametrize("url", ["http://[::1", "http://127.0.0.1:99999/", "nonsense", "http://"])
async def test_a_url_that_is_none_raises_nothing(client, url: str):
    """Settings are checked; a channel raises nothing all the same, and quotes nothing."""
    failure = await client.send(HttpRequest("GET", url, {}))
    assert isinstance(failure, Failure)
    assert url not in failure.detail


async def test_a_header_that_is_none_raises_nothing(client):
    """A secret with a line end in it would smuggle a header."""
    async with HttpPeer() as peer:
        failure = await client.send(HttpRequest("GET", peer.url(), {"Authorization": "Bearer a\r\nX: y"}))
        assert isinstance(failure, Failure)
        assert peer.got == []


def test_nothing_older_than_tls_1_2_is_spoken():
    """And hosts and authorities are checked."""
    context = SmsSettings().tls().context
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert (context.check_hostname, context.verify_mode) == (True, ssl.CERT_REQUIRED)


@pytest.mark.parametrize(
    "host", ["169.254.169.254", "[::ffff:169.254.169.254]", "169.254.7.7", "hook.test", "metadata.goog"]
)
async def test_nothing_is_sent_to_a_metadata_service(client, monkeypatch, host):
    """However its address is written, and whoever's name stands for it: told as a mistake of the settings."""
    resolve = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda name, *more, **so: resolve({"hook.test": "169.254.169.254"}.get(name, name), *more, **so),
    )
    failure = await client.send(HttpRequest("POST", f"http://{host}/latest", {}, b"body"))
    assert isinstance(failure, Failure)
    assert failure.kind == "misconfigured"
    assert "metadata service" in failure.detail or "link-local" in failure.detail
