# Prints the alerts of one site: those that fire at the moment, then each that fires or is resolved.
# Install: python3 -m venv venv && venv/bin/pip install 'nats-py[nkeys]' (Python 3.11); keep moretta_reader.py beside it
# Run: venv/bin/python alerts.py SITE
# By the variables NATS_URL and NATS_NKEY (the seed's file); with TLS NATS_CA, and NATS_CERT and NATS_KEY.

import argparse
import contextlib
import sys

try:
    from moretta_reader import connected, moment, read, run, say, show, site
    from nats.errors import Error
except ModuleNotFoundError:
    sys.stderr.write("moretta_reader.py is missing: keep it beside this program\n")
    sys.exit(2)


class Board:
    """The last alert of each rule: what comes twice, or is older than what is known, is not printed."""

    def __init__(self):
        self.known = {}

    def take(self, msg):
        """Print an alert that is news; a resolved one that was not seen firing is none."""
        if (alert := read(msg, "AlertV1")) is None:
            return
        before = self.known.get(msg.subject)
        if before == alert or (before and before["end"] > alert["end"]):
            return
        self.known[msg.subject] = alert
        if before or alert["state"] == "firing":
            where = f"{alert['site']} {alert['zone']} {alert['rule']} since={moment(alert['since'])}"
            show(f"{alert['state']} {where} rate={alert.get('rate')} persons={alert.get('persons')}")


async def present(bus, subject, board):
    """Take the last alert of each rule."""
    for one in await bus.subjects("ALERTS", subject):
        if msg := await bus.last("ALERTS", one):
            board.take(msg)


async def main(of):
    async with connected() as bus:
        if why := await bus.unknown(of):
            say(why)
        subject, board, losses = f"moretta.v1.alerts.{of}.*.*", Board(), -1
        live = await bus.subscribe(subject)  # first, so that none is missed between
        await bus.flush()
        while True:
            if losses != bus.losses and bus.is_connected:  # at the start, and after each outage
                with contextlib.suppress(Error):  # lost once more, or the answer came before it could be heard: again
                    since = bus.losses
                    await present(bus, subject, board)
                    losses = since
                    say(f"listening to {subject}")
            with contextlib.suppress(TimeoutError):
                board.take(await live.next_msg(timeout=1))


parser = argparse.ArgumentParser(description="Prints the alerts of one site that fire, and each change.")
parser.add_argument("site", type=site, metavar="SITE")
run(main(parser.parse_args().site))
