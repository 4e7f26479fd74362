# Prints the state of each alert, then each change. Run: venv/bin/python alerts.py
import json

from connect import connect, run


async def main():
    nc = await connect()
    bucket = await nc.jetstream().key_value("moretta_latest")
    async for entry in await bucket.watch("alerts.>"):
        if entry is None:  # all that there was
            continue
        alert = json.loads(entry.value)
        print(alert["state"], alert["site"], alert["zone"], alert["rule"], alert["since"], alert["rate"], flush=True)


run(main)
