# Prints the state of each alert, since when and the end of the window that decided it; then each change.
# Run: venv/bin/python alerts.py
import json

from connect import connect, run
from nats.js.api import DeliverPolicy


async def main():
    js = (await connect()).jetstream()
    latest = {"ordered_consumer": True, "deliver_policy": DeliverPolicy.LAST_PER_SUBJECT}
    alerts = await js.subscribe("moretta.v1.alerts.>", stream="ALERTS", **latest)
    async for message in alerts.messages:
        alert = json.loads(message.data)
        names = "state", "site", "zone", "rule", "since", "end", "rate"
        print(*(alert[name] for name in names), flush=True)


run(main)
