# Prints the state of each alert, since when and the end of the window that decided it; then each change.
# Run: venv/bin/python alerts.py
import json

from connect import connect, run


async def main():
    nc = await connect()
    bucket = await nc.jetstream().key_value("moretta_latest")
    async for entry in await bucket.watch("alerts.>"):
        if entry is None:  # all that there was
            continue
        alert = json.loads(entry.value)
        names = "state", "site", "zone", "rule", "since", "end", "rate"
        print(*(alert[name] for name in names), flush=True)


run(main)
