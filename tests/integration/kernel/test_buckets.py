"""Buckets as every NATS user reads them: nats-py's own KV (NATS ADR-8) finds what the services write."""

import pytest
from golden import BY_TYPE
from on_bus import connected
from patience import patient

from proto.codec import decode
from proto.subjects import STREAMS, TABLE, Stream

BUCKETS = [one for one in STREAMS if one.name.startswith("KV_")]
ROWS = {one.name: [row for row in TABLE if row.stream == one.name] for one in BUCKETS}


@pytest.mark.parametrize("stream", BUCKETS, ids=str)
async def test_a_bucket_is_a_bucket(nats_server, stream: Stream):
    """Bucket B is the stream KV_B on `$KV.B.>`; `keys`, `get` and `watch` find each entry, and what it says."""
    bucket, found = stream.name.removeprefix("KV_"), {}
    assert stream.subjects == (f"$KV.{bucket}.>",)
    async with connected(nats_server.url, "aggregate") as bus:
        await bus.ensure_streams([stream.name])
        kv = await bus.streams.js.key_value(bucket)
        watcher = await kv.watchall()
        assert await watcher.updates(timeout=patient(5)) is None, "nothing is there yet"
        for row in ROWS[stream.name]:
            message = BY_TYPE[row.message]
            subject = row.of(message)
            if stream.expires:
                await bus.streams.put(row, message, expected=0, ttl_s=60)
            else:
                await bus.store(row, message)
            entry = await watcher.updates(timeout=patient(5))
            found[entry.key] = subject
            assert decode(row, (await kv.get(entry.key)).value) == decode(row, entry.value) == message
        await watcher.stop()
        assert [f"$KV.{bucket}.{key}" for key in found] == [*found.values()]
        assert sorted(await kv.keys()) == sorted(found)
