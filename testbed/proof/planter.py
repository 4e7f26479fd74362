"""Plants a canary in each kind of place: rows of a picture that no camera shows. The proof must find each of them.

`moretta prove` runs it as a separate process, outside the services and their sandbox: `python -m ... PLAN.json`. A
search that does not find its canary is blind and proves nothing.
"""

import base64
import json
import os
import resource
import smtplib
import socket
import sys
import threading
import time
import urllib.request
from email.message import EmailMessage
from pathlib import Path
from typing import Any

_held: list[bytearray] = []
READY = "planted"
"""The message once everything is planted; the port of the metrics page follows it."""


def plant(plan: dict[str, Any]) -> None:
    """Plant everything, and hold the canary in memory until killed."""
    rows = {name: bytes.fromhex(row) for name, row in plan["rows"].items()}
    Path(plan["file"]).write_bytes(b"head" + rows["files"] + b"tail")
    Path(plan["elsewhere"]).write_bytes(rows["strace"])
    Path(plan["image"]["file"]).write_bytes(bytes.fromhex(plan["image"]["data"]))
    sys.stderr.buffer.write(b"a line with " + rows["logs"] + b"\n")
    _mail(plan["smtp_port"], plan["sender"], rows["mails"])
    _sms(plan["sms"], plan["sender"], rows["sms"])
    _send(plan["listener"], rows["network"])
    port = _page(rows["metrics"])
    _crash(Path(plan["cores"]), rows["cores"])
    _held.append(bytearray(rows["memory"]))
    sys.stderr.write(f"{READY} {port}\n")
    sys.stderr.flush()
    while True:
        time.sleep(1)


def _mail(port: int, sender: str, row: bytes) -> None:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = sender, "canary@market.example", "planted"
    mail.set_content("as an attachment")
    mail.add_attachment(row, maintype="application", subtype="octet-stream", filename="canary")
    with smtplib.SMTP("127.0.0.1", port, timeout=10) as server:
        server.send_message(mail)


def _sms(url: str, sender: str, row: bytes) -> None:
    body = json.dumps({"to": sender, "text": base64.b64encode(row).decode()}).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310 - our own gateway's
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        answer.read()


def _send(port: int, row: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(row)
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1)


def _page(row: bytes) -> int:
    """Serve a metrics page with the row in a label's value; return its port."""
    server = socket.create_server(("127.0.0.1", 0))
    page = b'canary{row="' + row.hex().encode() + b'"} 1\n'

    def serve() -> None:
        while True:
            connection, _ = server.accept()
            with connection:
                connection.recv(4_096)
                connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + page)

    threading.Thread(target=serve, daemon=True).start()
    return int(server.getsockname()[1])


def _crash(folder: Path, row: bytes) -> None:
    """Let a child process crash with the row in its memory. The system dumps its core in the usual place."""
    child = os.fork()
    if child == 0:
        os.chdir(folder)
        _, hard = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
        _held.append(bytearray(row))
        os.abort()
    os.waitpid(child, 0)


if __name__ == "__main__":
    plant(json.loads(Path(sys.argv[1]).read_text()))
