# Prints the latest window of each zone, one line each.
# Install: python3 -m venv venv && venv/bin/pip install 'nats-py[nkeys]' (Python 3.11 or later)
# Run: venv/bin/python latest.py [SITE]
# By the variables NATS_URL and NATS_NKEY (the seed's file); with TLS NATS_CA, and NATS_CERT and NATS_KEY.

import asyncio
import json
import os
import ssl
import sys
from datetime import UTC, datetime

import nats


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


async def main(site="*"):
    nc = await connect()
    js = nc.jetstream(prefix="moretta.api")
    info = await js.stream_info("WINDOWS", subjects_filter=f"moretta.v1.windows.{site}.*")
    if not info.state.subjects:
        print("no window was published yet", file=sys.stderr)
    for subject in sorted(info.state.subjects or {}):
        window = json.loads((await js.get_last_msg("WINDOWS", subject)).data)
        if window.get("type") == "WindowV1":
            print(line(window))
    await nc.close()


asyncio.run(main(*sys.argv[1:]))
