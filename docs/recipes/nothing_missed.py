# Prints every window, those published while it or the network was away, too; README.md has a CSV log in one line.
# Install: python3 -m venv venv && venv/bin/pip install 'nats-py[nkeys]' (Python 3.11); keep moretta_reader.py beside it
# Run: venv/bin/python nothing_missed.py [SITE] [--position FILE] [--json | --csv]
# By the variables NATS_URL and NATS_NKEY (the seed's file); with TLS NATS_CA, and NATS_CERT and NATS_KEY.
# FILE, one for each that runs, keeps how far it came. Killed at the wrong moment it prints one twice; it misses none.

import argparse
import contextlib
import csv
import io
import json
import os
import stat
import sys
from pathlib import Path

try:
    from moretta_reader import Wrong, connected, line, moment, read, run, say, show, site
    from nats.errors import Error
    from nats.js.errors import NotFoundError
except ModuleNotFoundError:
    sys.stderr.write("moretta_reader.py is missing: keep it beside this program\n")
    sys.exit(2)

COLUMNS = ("end", "site", "zone", "rate", "persons", "coverage")


class Position:
    """How far it came: the stream's sequence, and the end of each zone's last window, which no other stream changes."""

    def __init__(self, file, of):
        self.file, self.of = Path(file), of
        try:
            kept = json.loads(self.file.read_text()) if self.file.exists() else {}
            self.created, self.done, self.ends = (
                kept.get("created"),
                int(kept.get("done", 0)),
                dict(kept.get("ends", {})),
            )
            before = kept.get("of", "*")
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise Wrong(f"{file} cannot be read as a position ({error}); remove it to have all windows again") from None
        if kept and before != of:
            raise Wrong(f"{file} is how far it came with {_named(before)}; with {_named(of)} name another --position")
        self.is_new = not kept

    def at(self, info):
        """Begin anew where the stream is another one, or was put back to an earlier state."""
        created, before = str(info.created), self.created
        if created == before and info.state.last_seq >= self.done:
            return
        self.created, self.done = created, 0
        if before:
            say("the stream is another one, or an earlier one: what was printed before is left out")

    def news(self, window):
        """Whether it is later than the last of its zone: a stream restored from a backup has the old ones again."""
        return window["end"] > self.ends.get(f"{window['site']}.{window['zone']}", -1)

    def keep(self, sequence, window):
        """Keep that a message was dealt with, and which window it was."""
        self.done = sequence
        if window:
            self.ends[f"{window['site']}.{window['zone']}"] = window["end"]
        new = self.file.with_name(self.file.name + ".new")
        try:
            kept = {"of": self.of, "created": self.created, "done": self.done, "ends": self.ends}
            new.write_text(json.dumps(kept))
            new.replace(self.file)
        except OSError as error:
            raise Wrong(f"{self.file}: {error.strerror}; how far it came cannot be kept") from None


def _named(of):
    return "all sites" if of == "*" else f"site {of}"


async def catch_up(bus, position, form):
    """Print what is stored behind the last one printed."""
    position.at(await bus.js.stream_info("WINDOWS"))
    with contextlib.suppress(NotFoundError):
        while True:
            msg = await bus.js.get_msg("WINDOWS", seq=position.done + 1, subject=subject(position.of), next=True)
            window = read(msg, "WindowV1")
            if window and not position.news(window):
                window = None
            if window:
                show(form(window))
            position.keep(msg.seq, window)


def row(window):
    """A window as a row of CSV; empty: not published."""
    text = io.StringIO()
    cells = (window.get(name) for name in COLUMNS[1:])
    csv.writer(text, lineterminator="").writerow([moment(window["end"]), *cells])
    return text.getvalue()


def heading(position):
    """The first row of a log: where it is empty, or, if that can't be seen as in a pipe, at the first start."""
    log = os.fstat(sys.stdout.fileno())
    if log.st_size == 0 if stat.S_ISREG(log.st_mode) else position.is_new:
        show(",".join(COLUMNS))


def subject(of):
    """Where the windows of a site are, or of all."""
    return f"moretta.v1.windows.{of}.*"


async def main(of, file, form):
    position = Position(file, of)
    async with connected() as bus:
        if form is row:
            heading(position)
        if why := await bus.unknown(of):
            say(why)
        told = await bus.subscribe(subject(of))
        await bus.flush()
        say(f"listening; {file} keeps how far it came")
        while not bus.is_closed:  # what comes live says only that there is something to ask for
            with contextlib.suppress(Error):
                await catch_up(bus, position, form)
            with contextlib.suppress(Error):
                await told.next_msg(timeout=10)


parser = argparse.ArgumentParser(description="Prints every window, those published while it was away, too.")
parser.add_argument("site", nargs="?", type=site, metavar="SITE", help="of this site; default: of all")
parser.add_argument(
    "--position", metavar="FILE", help="keeps how far it came; default: windows.position, of a site SITE.position"
)
form = parser.add_mutually_exclusive_group()
form.add_argument(
    "--json", dest="form", action="store_const", const=json.dumps, default=line, help="print it as it came"
)
form.add_argument(
    "--csv", dest="form", action="store_const", const=row, help="print end, site, zone, rate, persons, coverage"
)
given = parser.parse_args()
run(main(given.site or "*", given.position or f"{given.site or 'windows'}.position", given.form))
