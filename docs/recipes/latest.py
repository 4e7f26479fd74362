# Prints the latest window of each zone, then each new one. Run: venv/bin/python latest.py
import json

from connect import connect, run


async def main():
    nc = await connect()
    bucket = await nc.jetstream().key_value("moretta_latest")
    async for entry in await bucket.watch("windows.>"):
        if entry is None:  # all that there was
            continue
        window = json.loads(entry.value)
        print(window["end"], window["site"], window["zone"], window["rate"], window["persons"], flush=True)


run(main)
