"""Secrets stay in their files: nothing that a running system writes, shows or is started with holds one.

Every peer is as bad as can be: each refuses, and says back all that it was sent.
"""

import contextlib
import json
import re
import signal
import socketserver
import stat
import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from secrets import token_hex

import psutil
import pytest
import secrecy
from command_line import moretta
from free_ports import free_port
from patience import patient
from up_process import UpProcess

NAMES = (
    "camera", "whip", "operator", "salt", "smtp", "hook-secret", "hook-token", "hook-path", "sms-token", "sms-password",
    "reports", "address", "field-address",
)  # fmt: skip
NUMBER = "+33612345678"
LIMIT_S = 90.0


class Echo(BaseHTTPRequestHandler):
    """Refuses each request, and says it back: headers, path and body."""

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        said = f"{self.requestline}\n{self.headers}\n".encode() + self.rfile.read(length)
        self.server.asked.append(self.path)
        self.send_response(401, said.decode(errors="replace").replace("\r", " ").replace("\n", " ")[:2000])
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    do_POST = do_GET  # noqa: N815 - http.server's name

    def log_message(self, *_: object) -> None:
        """Say nothing: the watch over what tests write would hear it."""


class EchoMail(socketserver.StreamRequestHandler):
    """Takes a greeting, and refuses everything else with what it was sent."""

    def handle(self) -> None:
        self.wfile.write(b"220 evil ESMTP\r\n")
        for line in self.rfile:
            self.server.asked.append(line.decode(errors="replace"))
            if line.upper().startswith(b"EHLO"):
                self.wfile.write(b"250-evil\r\n250-SMTPUTF8\r\n250 8BITMIME\r\n")
            elif line.upper().startswith(b"QUIT"):
                return
            else:
                self.wfile.write(b"550 5.7.1 you said " + line.rstrip() + b"\r\n")


class MailServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True


@contextlib.contextmanager
def serving(server: socketserver.BaseServer) -> Iterator[socketserver.BaseServer]:
    server.asked = []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


@pytest.fixture(name="secrets")
def _secrets() -> dict[str, str]:
    made = {name: token_hex(16) for name in NAMES}
    for secret in made.values():
        secrecy.keep(secret)
    return made


@pytest.fixture(name="evil")
def _evil() -> Iterator[tuple[ThreadingHTTPServer, MailServer]]:
    with (
        serving(ThreadingHTTPServer(("127.0.0.1", 0), Echo)) as web,
        serving(MailServer(("127.0.0.1", 0), EchoMail)) as mail,
    ):
        yield web, mail


def settings(folder: Path, secrets: dict[str, str], web: int, mail: int) -> Path:
    """A file that names each secret once, and whose windows end soon: the camera that is refused becomes an alert."""
    for name in (
        "whip",
        "operator",
        "salt",
        "smtp",
        "hook-secret",
        "hook-token",
        "sms-token",
        "sms-password",
        "reports",
    ):
        (folder / name).write_text(secrets[name])
    (folder / "camera").write_text(f"http://user:{secrets['camera']}@127.0.0.1:{web}/s?key={secrets['camera']}")
    (folder / "hook-path").write_text(f"http://127.0.0.1:{web}/hook/{secrets['hook-path']}")
    file = folder / "site.yaml"
    file.write_text(
        f"""
sites:
  - id: forville
    profile: lab
    window_s: 4
    lateness_s: 1
    operations: {{camera_down_windows: 1}}
    cameras:
      - {{id: gate, url_file: camera}}
      - {{id: phone, url: "whip://", token_file: whip}}
ingest: {{web: {{host: 127.0.0.1, port: 0, operator_token_file: operator}}}}
notify:
  salt_file: salt
  smtp: {{host: 127.0.0.1, port: {mail}, security: none, sender: moretta@example.org}}
  sms:
    max_per_day: 5
    provider:
      url: "http://127.0.0.1:{web}/sms?to=$to"
      headers: {{Authorization: "Bearer $token", X-Pass: $password}}
      json: {{to: $to, text: $text}}
      token_file: sms-token
      password_file: sms-password
      user: moretta
    reports: {{port: {free_port()}, url: "http://127.0.0.1:1", token_file: reports}}
  receivers:
    - id: operators
      audience: operators
      email: ["{secrets["address"]}@example.org"]
      sms: ["{NUMBER}"]
      webhooks: [{{url_file: hook-path, secret_file: hook-secret, token_file: hook-token}}]
    - {{id: field, email: ["{secrets["field-address"]}@example.org"]}}
"""
    )
    return file


def processes(up: UpProcess) -> dict[str, str]:
    """Return what anybody may see, or root may read, of how each process was started."""
    found = {}
    for program in ("ingest", "inference", "aggregate", "notify", "nats-server"):
        process = psutil.Process(up.pid(program))
        found[f"{program} arguments"] = " ".join(process.cmdline())
        found[f"{program} environment"] = json.dumps(process.environ())
    return found


def pages(up: UpProcess) -> dict[str, str]:
    """Return all that the probes answer."""
    found = {}
    for program in ("ingest", "inference", "aggregate", "notify"):
        port = psutil.Process(up.pid(program)).environ()["MORETTA_PROBES__PORT"]
        for page in ("metrics", "readyz", "livez"):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/{page}", timeout=patient(10)) as answer:
                    found[f"{program} /{page}"] = answer.read().decode()
            except urllib.error.HTTPError as error:
                found[f"{program} /{page}"] = error.read().decode()
    return found


def files(folder: Path) -> dict[str, str]:
    """Return every file that was written, identities' own apart."""
    own = folder / "settings/last-up.yaml"
    assert own.is_symlink(), "it leads to the user's own settings, which are searched for nothing"
    written = [path for path in folder.rglob("*") if path.is_file() and path != own]
    kept = [path for path in written if "identities" not in path.relative_to(folder).parts]
    return {str(path): path.read_bytes().decode("latin-1") for path in kept}


def commands(file: Path, data: Path) -> dict[str, str]:
    """Return what commands say of a good file, a broken one, and a system that is as it is."""
    broken = file.with_name("broken.yaml")
    broken.write_text(
        re.sub(r"(id: forville)", r"\1\n    nonsense: 1", file.read_text()).replace("max_per_day: 5", "max_per_day: x")
    )
    operator = data / "identities/operator.yaml"
    found = {}
    for arguments in (
        ["check-config", file], ["check-config", broken], ["notify", "test", "operators", "-c", file],
        ["notify", "status", "-c", operator], ["notify", "status", "-c", operator, "--json"],
        ["transparency", "-c", file, "--out", data / "notice"],
    ):  # fmt: skip
        run = moretta(*arguments, limit_s=LIMIT_S, strict=False)
        found[" ".join(map(str, arguments[:2]))] = run.stdout + run.stderr
    return found


def identities(data: Path) -> dict[str, str]:
    """Return the secrets that `moretta up` made; their files are their owner's alone."""
    made = {}
    for path in (data / "identities").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, f"{path} may be read by others"
        if path.suffix not in {".yaml", ".conf", ".pub"}:
            made[path.name] = path.read_text().strip()
    return made


@pytest.mark.timeout(400)
def test_nothing_that_the_system_writes_or_shows_holds_a_secret(tmp_path, secrets, evil):
    """Logs, the bus, metrics, arguments, environments, stored files, commands: each is searched for each secret."""
    web, mail = evil
    (tmp_path / "secrets").mkdir(mode=0o700)
    file = settings(tmp_path / "secrets", secrets, web.server_address[1], mail.server_address[1])
    data = tmp_path / "data"
    up = UpProcess(["-c", str(file), "--data", str(data)]).start()
    try:
        up.wait_for(lambda: len(web.asked) > 0 and mail.asked and told(up) >= 3, LIMIT_S, "each channel was tried")
        assert {"/s", "/hook", "/sms"} <= {re.match(r"/\w+", path)[0] for path in web.asked}
        wanted = {**secrets, **identities(data), "number": NUMBER.lstrip("+")}
        said = {**processes(up), **pages(up), **commands(file, data)}
        up.signal(signal.SIGHUP)  # every service reads all of it again, and `moretta up` goes on
        reread = "new settings in force"
        up.wait_for(lambda: sum(reread in line for line in up.words) >= 3, LIMIT_S, "the settings are read again")
    finally:
        up.stop()
    said |= {"standard error": "\n".join(up.words), "the bus": json.dumps(up.lines), **files(data)}
    leaks = [(name, where) for where, text in said.items() for name, secret in wanted.items() if secret in text]
    assert leaks == []
    # The search isn't blind: it finds each in the one file where it belongs.
    theirs = "".join(path.read_text() for path in (tmp_path / "secrets").iterdir())
    assert all(secret in theirs for name, secret in wanted.items() if name in secrets)
    assert len(wanted) > len(NAMES) + 5


def told(up: UpProcess) -> int:
    """How many channels have a delivery on record."""
    return len({message["channel"] for message in up.messages("deliveries")})
