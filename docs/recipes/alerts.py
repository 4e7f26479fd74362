# Prints the alerts of one site as they fire and are resolved.
# Install: python3 -m venv venv && venv/bin/pip install 'nats-py[nkeys]' (Python 3.11 or later)
# Run: venv/bin/python alerts.py SITE
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


async def main(site):
    nc = await connect()
    subject = f"moretta.v1.alerts.{site}.*.*"
    subscription = await nc.subscribe(subject)
    await nc.flush()
    print(f"listening to {subject}", file=sys.stderr)
    async for msg in subscription.messages:
        alert = json.loads(msg.data)
        if alert.get("type") == "AlertV1":
            since = datetime.fromtimestamp(alert["since"] // 10**9, UTC).isoformat()
            where = f"{alert['site']} {alert['zone']} {alert['rule']}"
            print(f"{alert['state']} {where} since={since} rate={alert['rate']} persons={alert['persons']}", flush=True)


asyncio.run(main(*sys.argv[1:]))
