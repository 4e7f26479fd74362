# Prints the windows published in the last day, or since SINCE (2026-11-24T08:00+01:00), in their order.
# Install: python3 -m venv venv && venv/bin/pip install 'nats-py[nkeys]' (Python 3.11 or later)
# Run: venv/bin/python replay.py [SINCE] [SITE]
# By the variables NATS_URL and NATS_NKEY (the seed's file); with TLS NATS_CA, and NATS_CERT and NATS_KEY.

import asyncio
import json
import os
import ssl
import sys
import time
from datetime import UTC, datetime

import nats
from nats.js.errors import NotFoundError


async def connect():
    """Connect as subscriber."""
    tls = None
    if "NATS_CA" in os.environ:
        tls = ssl.create_default_context(cafile=os.environ["NATS_CA"])
    if tls and "NATS_CERT" in os.environ:
        tls.load_cert_chain(os.environ["NATS_CERT"], os.environ["NATS_KEY"])
    return await nats.connect(
        os.environ.get("NATS_URL", "nats://127.0.0.1:4222"),
        nkeys_seed=os.environ.get("NATS_NKEY", "subscriber.nk"),
        inbox_prefix=b"_INBOX_subscriber",
        max_reconnect_attempts=-1,
        tls=tls,
    )


def line(window):
    """A window as one line; null: not published."""
    end = datetime.fromtimestamp(window["end"] // 10**9, UTC).isoformat()
    shown = (f"{name}={json.dumps(window[name])}" for name in ("rate", "interval", "persons", "coverage"))
    return f"{end} {window['site']} {window['zone']} {' '.join(shown)}".replace(", ", ",")


async def ask(js, sequence, subject):
    """The first message of the subject from that sequence on; None if there is none."""
    try:
        return await js.get_msg("WINDOWS", seq=sequence, subject=subject, next=True)
    except NotFoundError:
        return None


async def first_since(js, moment):
    """The sequence of the first message that was stored from then on (s UTC): found by halving."""
    state = (await js.stream_info("WINDOWS")).state
    low, high = max(1, state.first_seq), state.last_seq + 1
    while low < high:
        middle = (low + high) // 2
        msg = await ask(js, middle, ">")
        if msg is None or msg.time.timestamp() >= moment:
            high = middle
        else:
            low = msg.seq + 1
    return low


async def main(since=None, site="*"):
    nc = await connect()
    js = nc.jetstream(prefix="moretta.api")
    moment = datetime.fromisoformat(since).timestamp() if since else time.time() - 24 * 3600
    sequence = await first_since(js, moment)
    while msg := await ask(js, sequence, f"moretta.v1.windows.{site}.*"):
        sequence = msg.seq + 1
        window = json.loads(msg.data)
        if window.get("type") == "WindowV1":
            print(line(window))
    await nc.close()


asyncio.run(main(*sys.argv[1:]))
