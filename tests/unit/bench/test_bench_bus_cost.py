"""What the bench of the bus reads of a server that is starting."""

import asyncio
import contextlib
import json
from pathlib import Path

import pytest

from bench.bus_cost import server_url


@pytest.mark.parametrize("half", ["", '{"nats": ["nats://127.0.'])
async def test_a_ports_file_that_is_still_being_written_is_read_later(tmp_path: Path, half: str):
    """nats-server makes the file first and fills it then."""
    file = tmp_path / "nats-server_1.ports"
    file.write_text(half)
    found = asyncio.create_task(server_url(tmp_path))
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(asyncio.shield(found), 0.2)
    assert not found.done()
    file.write_text(json.dumps({"nats": ["nats://127.0.0.1:4222"]}))
    assert await found == "nats://127.0.0.1:4222"
