# Prints the last day of a site by hours, in the site's own time.
# Install: python3 -m venv venv && venv/bin/pip install 'nats-py[nkeys]' (Python 3.11 or later)
# Run: venv/bin/python history.py SITE [ZONE]
# By the variables NATS_URL and NATS_NKEY (the seed's file); with TLS NATS_CA, and NATS_CERT and NATS_KEY.

import asyncio
import json
import os
import ssl
import sys
import time
from datetime import datetime
from zoneinfo import ZoneInfo

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


async def main(site, zone="_site"):
    nc = await connect()
    now = time.time_ns()
    question = {
        "type": "StatsRequestV1",
        "site": site,
        "zone": zone,
        "since": now - 24 * 3600 * 10**9,
        "until": now,
        "step": "hour",
    }
    answer = await nc.request(f"moretta.v1.stats.{site}", json.dumps(question).encode(), timeout=10)
    await nc.close()
    reply = json.loads(answer.data or b"{}")
    if error := reply.get("error") or (answer.headers or {}).get("Nats-Service-Error"):
        sys.exit(f"{error}: {reply.get('path')} {reply.get('value')}")
    for period in reply["periods"]:
        start = datetime.fromtimestamp(period["start"] // 10**9, ZoneInfo(reply["timezone"])).isoformat()
        shown = (f"{name}={json.dumps(period[name])}" for name in ("rate", "interval", "persons", "coverage"))
        print(f"{start} {site} {zone} {' '.join(shown)}".replace(", ", ","))


asyncio.run(main(*sys.argv[1:]))
