"""A context of the command `nats` beside each seed of a person: whoever comes by it has that identity's rights.

The binary is not here. A context is read as jsm.go reads it (natscontext/context.go): URL, seed, CA, and what inboxes
are called.
"""

import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from nats.aio.client import Client
from nats.errors import NoRespondersError
from nats_process import NatsProcess

from operate.nats.apply import apply
from operate.nats.nats_yaml import NatsFile
from proto.subjects import STATS
from services.bus.connection.client import come_as
from services.bus.nkey import Seed


@contextlib.asynccontextmanager
async def coming(file: Path, url: str) -> AsyncIterator[tuple[Client, list[str]]]:
    """Connect to `url` as `nats --context FILE` does; yields what the server refuses, too."""
    context, refused = json.loads(file.read_text()), list[str]()

    async def error(found: Exception) -> None:
        refused.append(str(found))

    inbox = context.get("inbox_prefix", "_INBOX").encode()
    seed, client = Seed(Path(context["nkey"]).read_text()), Client()
    come_as(client, seed.public)
    await client.connect(url, signature_cb=seed.sign, inbox_prefix=inbox, error_cb=error)
    try:
        yield client, refused
    finally:
        await client.close()


@pytest.fixture(name="folder", scope="module")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nats")
    apply(folder, NatsFile(readers=["acme"]))
    return folder


@pytest.mark.parametrize("user", ["operator", "subscriber", "subscriber-acme"])
async def test_a_question_is_answered_and_nothing_is_refused(tmp_path: Path, folder: Path, user: str):
    """Nobody counts here, so the answer is that nobody is there; it comes to the inbox that the context names."""
    config = json.loads((folder / "nats.conf").read_text())
    whole = lambda port, store: json.dumps(  # noqa: E731
        config | {"listen": f"127.0.0.1:{port}", "jetstream": config["jetstream"] | {"store_dir": store}}
    )
    server = NatsProcess(tmp_path, whole=whole).start()
    try:
        async with coming(folder / f"{user}.json", server.url) as (client, refused):
            with pytest.raises(NoRespondersError):
                await client.request(STATS.subject(site="x"), b"{}", timeout=5)
            assert refused == []
    finally:
        server.stop()
