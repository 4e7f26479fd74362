# Prints the latest window of each zone, one line each.
# Install: python3 -m venv venv && venv/bin/pip install 'nats-py[nkeys]' (Python 3.11); keep moretta_reader.py beside it
# Run: venv/bin/python latest.py [SITE]
# By the variables NATS_URL and NATS_NKEY (the seed's file); with TLS NATS_CA, and NATS_CERT and NATS_KEY.

import argparse
import sys

try:
    from moretta_reader import connected, line, read, run, show, site
except ModuleNotFoundError:
    sys.stderr.write("moretta_reader.py is missing: keep it beside this program\n")
    sys.exit(2)


async def main(of):
    async with connected() as bus:
        await bus.known(of)
        for subject in await bus.subjects("WINDOWS", f"moretta.v1.windows.{of}.*"):
            msg = await bus.last("WINDOWS", subject)
            if msg and (window := read(msg, "WindowV1")):
                show(line(window))


parser = argparse.ArgumentParser(description="Prints the latest window of each zone.")
parser.add_argument("site", nargs="?", type=site, metavar="SITE", help="of this site; default: of all")
run(main(parser.parse_args().site or "*"))
