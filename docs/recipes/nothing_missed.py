# Prints every window, those published while it or the network was away, too.
# Install: python3 -m venv venv && venv/bin/pip install 'nats-py[nkeys]' (Python 3.11 or later)
# Run: venv/bin/python nothing_missed.py [FILE]
# By the variables NATS_URL and NATS_NKEY (the seed's file); with TLS NATS_CA, and NATS_CERT and NATS_KEY.
# FILE keeps the sequence of the last window printed. Killed at the wrong moment it prints one twice; it misses none.

import asyncio
import contextlib
import json
import os
import ssl
import sys
from datetime import UTC, datetime
from pathlib import Path

import nats
import nats.errors
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


async def catch_up(js, file):
    """Print what is stored behind the last one printed."""
    kept = json.loads(file.read_text()) if file.exists() else {}
    created = str((await js.stream_info("WINDOWS")).created)
    done = kept.get("done", 0) if kept.get("created") == created else 0  # a new stream counts from 1
    with contextlib.suppress(NotFoundError):
        while msg := await js.get_msg("WINDOWS", seq=done + 1, subject="moretta.v1.windows.*.*", next=True):
            done, window = msg.seq, json.loads(msg.data)
            if window.get("type") == "WindowV1":
                print(line(window), flush=True)
            file.with_suffix(".new").write_text(json.dumps({"created": created, "done": done}))
            file.with_suffix(".new").replace(file)


async def main(name="windows.position"):
    nc = await connect()
    js = nc.jetstream(prefix="moretta.api")
    told = await nc.subscribe("moretta.v1.windows.*.*")
    while True:  # what comes live says only that there is something to ask for
        with contextlib.suppress(nats.errors.Error, OSError):
            await catch_up(js, Path(name))
        with contextlib.suppress(nats.errors.TimeoutError):
            await told.next_msg(timeout=10)


asyncio.run(main(*sys.argv[1:]))
