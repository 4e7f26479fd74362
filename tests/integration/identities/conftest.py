"""What several files of this folder start from."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from mirrored import make
from readers import Readers


@pytest.fixture(name="server")
async def _server(tmp_path: Path) -> AsyncIterator[Readers]:
    """A server with readers, whose streams are made."""
    server = Readers(tmp_path)
    server.start()
    await make(server)
    yield server
    server.stop()
