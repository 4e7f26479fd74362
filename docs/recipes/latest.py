# Prints the latest window of each zone, then each new one. Run: venv/bin/python latest.py
import json

from connect import connect, run
from nats.js.api import DeliverPolicy


async def main():
    js = (await connect()).jetstream()
    latest = {"ordered_consumer": True, "deliver_policy": DeliverPolicy.LAST_PER_SUBJECT}
    windows = await js.subscribe("moretta.v1.windows.>", stream="WINDOWS", **latest)
    async for message in windows.messages:
        window = json.loads(message.data)
        print(window["end"], window["site"], window["zone"], window["rate"], window["persons"], flush=True)


run(main)
