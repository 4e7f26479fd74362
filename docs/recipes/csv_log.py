# Appends every window as a row of CSV, and misses none. Run: venv/bin/python csv_log.py >> windows.csv
import csv
import json
import os
import sys

from connect import connect, patiently, run


async def main():
    columns = ("end", "site", "zone", "rate", "persons", "coverage")
    rows = csv.DictWriter(sys.stdout, columns, extrasaction="ignore", lineterminator="\n")
    if os.fstat(1).st_size == 0:
        rows.writeheader()
    js = (await connect()).jetstream()
    async for msg in patiently(lambda: js.pull_subscribe("moretta.v1.windows.>", durable="csv", stream="WINDOWS")):
        rows.writerow(json.loads(msg.data))
        sys.stdout.flush()
        await msg.ack()


run(main)
