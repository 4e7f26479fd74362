# Prints the windows published in the last day, or since a time, in their order.
# Install: python3 -m venv venv && venv/bin/pip install 'nats-py[nkeys]' (Python 3.11); keep moretta_reader.py beside it
# Run: venv/bin/python replay.py [SITE] [--since 2026-11-24T08:00+01:00] (UTC where it names no zone)
# By the variables NATS_URL and NATS_NKEY (the seed's file); with TLS NATS_CA, and NATS_CERT and NATS_KEY.

import argparse
import sys
import time
from datetime import UTC, datetime

try:
    from moretta_reader import connected, line, read, run, show, site
    from nats.js.errors import NotFoundError
except ModuleNotFoundError:
    sys.stderr.write("moretta_reader.py is missing: keep it beside this program\n")
    sys.exit(2)


async def ask(bus, sequence, subject):
    """The first message of the subject from that sequence on; None if there is none."""
    try:
        return await bus.js.get_msg("WINDOWS", seq=sequence, subject=subject, next=True)
    except NotFoundError:
        return None


async def first_since(bus, moment):
    """The sequence of the first message that was stored from then on (s UTC): found by halving."""
    state = (await bus.js.stream_info("WINDOWS")).state
    low, high = max(1, state.first_seq), state.last_seq + 1
    while low < high:
        middle = (low + high) // 2
        msg = await ask(bus, middle, ">")
        if msg is None or msg.time.timestamp() >= moment:
            high = middle
        else:
            low = msg.seq + 1
    return low


async def main(of, since):
    async with connected() as bus:
        await bus.known(of)
        sequence = await first_since(bus, since)
        while msg := await ask(bus, sequence, f"moretta.v1.windows.{of}.*"):
            sequence = msg.seq + 1
            if window := read(msg, "WindowV1"):
                show(line(window))


def when(text):
    """A time (s UTC); one without a zone is UTC, as what is printed."""
    try:
        given = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 2026-11-24T08:00+01:00") from None
    found = (given if given.tzinfo else given.replace(tzinfo=UTC)).timestamp()
    if found > time.time():
        raise argparse.ArgumentTypeError(f"{text!r} is still to come; without a zone, such as +01:00, it is UTC")
    return found


parser = argparse.ArgumentParser(description="Prints the windows published in the last day, or since a time.")
parser.add_argument("site", nargs="?", type=site, metavar="SITE", help="of this site; default: of all")
parser.add_argument(
    "--since",
    type=when,
    default=time.time() - 24 * 3600,
    metavar="TIME",
    help="2026-11-24, or 2026-11-24T08:00+01:00; UTC where it names no zone",
)
given = parser.parse_args()
run(main(given.site or "*", given.since))
