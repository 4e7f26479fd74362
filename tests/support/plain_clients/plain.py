"""Each way of reading that NATS's users know, by nats.py and nothing else; a line for each."""

import asyncio
import json
import os
import ssl

import nats

WAIT_S = 60


def say(way, data):
    """Print a window's end, site and zone."""
    window = json.loads(data)
    print(way, window["end"], window["site"], window["zone"], flush=True)


async def main():
    """Connect, and read by a durable pull, an ordered consumer, a direct get and core NATS."""
    tls = None
    if "NATS_CA" in os.environ:
        tls = ssl.create_default_context(cafile=os.environ["NATS_CA"])
        tls.load_cert_chain(os.environ["NATS_CERT"], os.environ["NATS_KEY"])
    nc = await nats.connect(os.environ["NATS_URL"].split(","), nkeys_seed=os.environ["NATS_NKEY"], tls=tls)
    live, js = await nc.subscribe("moretta.>"), nc.jetstream()
    pull = await js.pull_subscribe("moretta.v1.windows.>", durable="plain-py", stream="WINDOWS")
    [msg] = await pull.fetch(1, timeout=WAIT_S)
    say("pull", msg.data)
    await msg.ack_sync()
    ordered = await js.subscribe("moretta.v1.windows.>", stream="WINDOWS", ordered_consumer=True)
    say("ordered", (await ordered.next_msg(timeout=WAIT_S)).data)
    say("direct", (await js.get_last_msg("WINDOWS", msg.subject, direct=True)).data)
    print("listening", flush=True)
    while not (heard := await live.next_msg(timeout=WAIT_S)).subject.startswith("moretta.v1.windows."):
        pass
    say("core", heard.data)
    await nc.close()


asyncio.run(main())
