# Prints the last day of a site by hours, in the site's own time; a line begins with START/END of its hour.
# Install: python3 -m venv venv && venv/bin/pip install 'nats-py[nkeys]' (Python 3.11); keep moretta_reader.py beside it
# Run: venv/bin/python history.py SITE [ZONE]
# By the variables NATS_URL and NATS_NKEY (the seed's file); with TLS NATS_CA, and NATS_CERT and NATS_KEY.

import argparse
import json
import sys
import time
from datetime import datetime
from zoneinfo import ZoneInfo

try:
    from moretta_reader import Wrong, connected, line, run, show, site
    from nats.errors import NoRespondersError
except ModuleNotFoundError:
    sys.stderr.write("moretta_reader.py is missing: keep it beside this program\n")
    sys.exit(2)


async def ask(bus, of, zone):
    """The answer of `moretta-stats`; Wrong with its words, or if nobody answers."""
    now = time.time_ns()
    question = {
        "type": "StatsRequestV1",
        "site": of,
        "zone": zone,
        "since": now - 24 * 3600 * 10**9,
        "until": now,
        "step": "hour",
    }
    try:
        answer = await bus.request(f"moretta.v1.stats.{of}", json.dumps(question).encode(), timeout=10)
    except NoRespondersError:
        await bus.known(of)
        raise Wrong(f"nobody answers for site {of}: its aggregate is not running") from None
    reply = json.loads(answer.data or b"{}")
    if error := reply.get("error") or (answer.headers or {}).get("Nats-Service-Error"):
        raise Wrong(
            " ".join(str(one) for one in (f"{error}:", reply.get("path"), reply.get("value")) if one is not None)
        )
    return reply


async def main(of, zone):
    async with connected() as bus:
        reply = await ask(bus, of, zone)
    for period in reply["periods"]:
        both = "/".join(
            datetime.fromtimestamp(period[name] // 10**9, ZoneInfo(reply["timezone"])).isoformat()
            for name in ("start", "end")
        )
        show(line(period | {"site": of, "zone": zone}, both))


parser = argparse.ArgumentParser(description="Prints the last day of a site by hours: START/END by the site's clock.")
parser.add_argument("site", type=site, metavar="SITE")
parser.add_argument("zone", nargs="?", default="_site", metavar="ZONE", help="default: the whole site")
given = parser.parse_args()
run(main(given.site, given.zone))
