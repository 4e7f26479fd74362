# Prints every window, those too that were published while it, the network or the server was away.
# Run: venv/bin/python nothing_missed.py; another name than "mine" begins anew.
import json

from connect import connect, patiently, run


async def main():
    js = (await connect()).jetstream()
    async for msg in patiently(lambda: js.pull_subscribe("moretta.v1.windows.>", durable="mine", stream="WINDOWS")):
        window = json.loads(msg.data)
        print(window["end"], window["site"], window["zone"], window["rate"], window["persons"], flush=True)
        await msg.ack()


run(main)
