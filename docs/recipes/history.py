# Prints a site's last day by hours of its own clock, asked of aggregate. Run: venv/bin/python history.py SITE
import json
import sys
from datetime import UTC, datetime, timedelta

from connect import connect, run


async def main():
    site = sys.argv[1] if len(sys.argv) > 1 else sys.exit("which site? history.py SITE")
    since = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    question = {"type": "StatsRequestV1", "site": site, "since": since, "step": "hour"}  # or window, day, total
    nc = await connect()
    answer = await nc.request(f"moretta.v1.stats.{site}", json.dumps(question).encode(), timeout=5)
    if why := (answer.headers or {}).get("Nats-Service-Error"):
        sys.exit(why)
    for period in json.loads(answer.data)["periods"]:
        print(period["start"], period["end"], period["rate"], period["persons"], period["coverage"])
    await nc.close()


run(main)
