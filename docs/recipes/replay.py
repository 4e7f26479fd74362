# Prints the windows that were published in the last day, or since a time or a date (by UTC).
# Run: venv/bin/python replay.py [2026-12-01 | 2026-12-01T08:00:00Z]
import json
import sys
from datetime import UTC, datetime, timedelta

from connect import connect, run
from nats.js.api import ConsumerConfig, DeliverPolicy


async def main():
    since = datetime.fromisoformat(sys.argv[1]) if len(sys.argv) > 1 else datetime.now(UTC) - timedelta(days=1)
    since = since.replace(tzinfo=since.tzinfo or UTC).isoformat()
    start = ConsumerConfig(deliver_policy=DeliverPolicy.BY_START_TIME, opt_start_time=since)
    nc = await connect()
    windows = await nc.jetstream().subscribe(">", stream="WINDOWS", config=start, ordered_consumer=True)
    told = await windows.consumer_info()
    for _ in range(told.num_pending + told.delivered.consumer_seq):
        window = json.loads((await windows.next_msg(timeout=10)).data)
        print(window["end"], window["site"], window["zone"], window["rate"], window["persons"])
    await nc.close()


run(main)
