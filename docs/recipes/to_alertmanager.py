# Hands the alerts of Moretta's webhook to Alertmanager, so that its routes, silences and inhibitions hold for them.
# Prints a line for each. Install: Python 3.11 alone. Run: python3 to_alertmanager.py
# By the variables PORT (9099 on this machine), ALERTMANAGER_URL, and LASTS_S: how long an alert that nobody repeats
# stays; more than `repeat_interval_s` of Moretta's route.

import contextlib
import json
import os
import sys
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

URL = os.environ.get("ALERTMANAGER_URL", "http://127.0.0.1:9093") + "/api/v2/alerts"
LASTS = timedelta(seconds=int(os.environ.get("LASTS_S", "7500")))
FIELDS = ("labels", "annotations", "startsAt", "endsAt", "generatorURL")


def posted(alert):
    """An alert as Alertmanager takes it; it would forget one without an end after its resolve_timeout."""
    known = {name: alert[name] for name in FIELDS}
    if alert["status"] == "firing":
        known["endsAt"] = (datetime.now(UTC) + LASTS).isoformat()
    return known


def hand_on(document):
    """Post the alerts of a webhook's document."""
    body = json.dumps([posted(alert) for alert in document["alerts"]]).encode()
    request = urllib.request.Request(URL, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=5), contextlib.suppress(BrokenPipeError):  # it has them, seen or not
        for alert in document["alerts"]:
            print(alert["status"], *alert["labels"].values(), flush=True)


class Handler(BaseHTTPRequestHandler):
    """Answers 200 once Alertmanager has the alerts, and 502 before, upon which Moretta tries again."""

    def do_POST(self):
        status = 200
        try:
            hand_on(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        except OSError as error:
            print("Alertmanager:", error, file=sys.stderr)
            status = 502
        except (ValueError, KeyError, TypeError):
            status = 400
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        """Say nothing of each request."""


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "9099"))), Handler)
    print(f"listening on {server.server_address[1]}", file=sys.stderr, flush=True)
    server.serve_forever()
