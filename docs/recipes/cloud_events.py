# Posts every window as a CloudEvent (structured mode) to SINK, such as a Knative broker, and misses none.
# Run: SINK=https://broker.example/moretta venv/bin/python cloud_events.py. It posts one at a time, until SINK takes it.
import asyncio
import json
import os
import sys
import urllib.error
import urllib.request

from connect import connect, patiently, run


def event_of(window):
    return {
        "specversion": "1.0",
        "type": f"moretta.v1.{window['type']}",
        "source": f"/moretta/{window['site']}",
        "subject": window["zone"],
        "id": f"{window['zone']}/{window['end']}",
        "time": window["end"],
        "datacontenttype": "application/json",
        "data": window,
    }


async def post(event):
    kind = {"Content-Type": "application/cloudevents+json"}
    request = urllib.request.Request(os.environ["SINK"], json.dumps(event).encode(), kind)
    while True:
        try:
            return await asyncio.to_thread(lambda: urllib.request.urlopen(request, timeout=10).close())
        except (urllib.error.URLError, TimeoutError) as error:
            print(f"SINK: {error}", file=sys.stderr, flush=True)
            await asyncio.sleep(5)


async def main():
    js = (await connect()).jetstream()
    async for msg in patiently(lambda: js.pull_subscribe("moretta.v1.windows.>", durable="events", stream="WINDOWS")):
        await post(event_of(json.loads(msg.data)))
        await msg.ack()


run(main)
