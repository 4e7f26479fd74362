# Prints each window as it is published, one line each; nothing_missed.py also those of an outage.
# Install: python3 -m venv venv && venv/bin/pip install 'nats-py[nkeys]' (Python 3.11); keep moretta_reader.py beside it
# Run: venv/bin/python windows.py [SITE] [--json]
# By the variables NATS_URL and NATS_NKEY (the seed's file); with TLS NATS_CA, and NATS_CERT and NATS_KEY.

import argparse
import json
import sys

try:
    from moretta_reader import connected, line, read, run, say, show, site
except ModuleNotFoundError:
    sys.stderr.write("moretta_reader.py is missing: keep it beside this program\n")
    sys.exit(2)


async def main(of, form):
    async with connected() as bus:
        if why := await bus.unknown(of):
            say(why)
        subject = f"moretta.v1.windows.{of}.*"
        subscription = await bus.subscribe(subject)
        await bus.flush()
        say(f"listening to {subject}; a window is published when it has ended")
        async for msg in subscription.messages:
            if window := read(msg, "WindowV1"):
                show(form(window))


parser = argparse.ArgumentParser(description="Prints each window as it is published.")
parser.add_argument("site", nargs="?", type=site, metavar="SITE", help="of this site; default: of all")
parser.add_argument("--json", action="store_const", const=json.dumps, default=line, help="print it as it came")
given = parser.parse_args()
run(main(given.site or "*", given.json))
