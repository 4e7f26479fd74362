"""A context of the command `nats` beside each seed of a person: who connects with it has that identity's rights.

The binary is not here. A context is read as jsm.go reads it (natscontext/context.go): URL, seed, CA, and what inboxes
are called.
"""

import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from authority import Authority, Volume
from nats.aio.client import Client
from nats_process import NatsProcess
from patience import patient

from operate.identities import ServerTls
from operate.nats.apply import apply
from operate.nats.nats_yaml import NatsFile, ServerPart
from services.bus.connection.client import come_as
from services.bus.nkey import Seed

GET, LIST = "$JS.API.STREAM.MSG.GET.WINDOWS", "$JS.API.STREAM.LIST"
"""What `nats stream get WINDOWS` and `nats stream ls` ask."""


@contextlib.asynccontextmanager
async def coming(context: dict[str, str], url: str) -> AsyncIterator[tuple[Client, list[str]]]:
    """Connect to `url` as `nats --context FILE` does; yields what the server refuses, too."""
    refused = list[str]()

    async def error(found: Exception) -> None:
        refused.append(str(found))

    tls = ssl.create_default_context(cafile=context["ca"]) if "ca" in context else None
    if tls:
        tls.load_cert_chain(context["cert"], context["key"])
    inbox = context.get("inbox_prefix", "_INBOX").encode()
    seed, client = Seed(Path(context["nkey"]).read_text()), Client()
    come_as(client, seed.public)
    await client.connect(url, signature_cb=seed.sign, inbox_prefix=inbox, error_cb=error, tls=tls)
    try:
        yield client, refused
    finally:
        await client.close()


@contextlib.contextmanager
def running(folder: Path, nats: Path) -> Iterator[NatsProcess]:
    """A server with the configuration of the folder `nats`, at a port and with a store of its own."""
    config = json.loads((nats / "nats.conf").read_text())
    whole = lambda port, store: json.dumps(  # noqa: E731
        config | {"listen": f"127.0.0.1:{port}", "jetstream": config["jetstream"] | {"store_dir": store}}
    )
    server = NatsProcess(folder, whole=whole).start()
    try:
        yield server
    finally:
        server.stop()


async def asked(context: dict[str, str], url: str, subject: str) -> list[str]:
    """Ask JetStream's API until it answers; returns what was refused."""
    async with coming(context, url) as (client, refused):
        await client.request(subject, b"{}", timeout=patient(2))
        return refused


@pytest.fixture(name="nats", scope="module")
def _nats(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nats")
    apply(folder, NatsFile(readers=["acme"]))
    return folder


@pytest.mark.parametrize(
    ("user", "subject"), [("operator", GET), ("backup", GET), ("subscriber", LIST), ("subscriber-acme", LIST)]
)
async def test_a_question_is_answered_and_nothing_is_refused(tmp_path: Path, nats: Path, user: str, subject: str):
    """The answer comes to an inbox of the name that the context has."""
    with running(tmp_path, nats) as server:
        assert await asked(json.loads((nats / f"{user}.json").read_text()), server.url, subject) == []


async def test_the_operators_inboxes_have_a_name_that_nats_has_to_be_told(tmp_path: Path, nats: Path):
    context = json.loads((nats / "operator.json").read_text())
    del context["inbox_prefix"]
    with running(tmp_path, nats) as server, pytest.raises(TimeoutError):
        await asked(context, server.url, GET)


async def test_with_tls_ones_own_certificate_is_all_that_is_to_be_added(tmp_path: Path):
    authority, nats = Authority(), tmp_path / "nats"
    theirs = Volume(tmp_path / "theirs", ca=authority.pem, pem=authority.issue("127.0.0.1"))
    ours = Volume(tmp_path / "ours", pem=authority.issue("operator"))
    tls = ServerTls(cert_file=theirs.pem, key_file=theirs.pem, ca_file=theirs.ca)
    apply(nats, NatsFile(server=ServerPart(url="tls://127.0.0.1:4222", tls=tls)))
    context = json.loads((nats / "operator.json").read_text()) | {"cert": ours.pem, "key": ours.pem}
    with running(tmp_path, nats) as server:
        assert await asked(context, f"tls://127.0.0.1:{server.port}", GET) == []
