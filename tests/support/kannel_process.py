"""Debian's Kannel with its fake SMS centre: bearerbox, smsbox and fakesmsc as processes on free ports of loopback."""

import contextlib
import re
import shutil
import socket
import urllib.request
from pathlib import Path
from typing import Self
from urllib.parse import unquote_plus, unquote_to_bytes

from free_ports import free_ports
from lacking import lacks
from patience import patient, wait_until
from program import Program

FAKESMSC = Path("/usr/lib/kannel/test/fakesmsc")
PATH = "/usr/sbin:/usr/bin"
_GOT = re.compile(r"Got message \d+: <\S+ \S+ (?:udh \S+ )?(\S+) (.*)>")
CONFIG = """
group = core
admin-port = {admin}
admin-password = bearer
status-password = status
smsbox-port = {box}
box-allow-ip = "127.0.0.1"

group = smsc
smsc = fake
smsc-id = centre
host = 127.0.0.1
port = {centre}
connect-allow-ip = 127.0.0.1

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = {send}

group = sendsms-user
username = moretta
password = kannel-word
max-messages = 10
concatenation = true
"""


def require() -> None:
    """Skip the test by name when Kannel is missing; fail it if MORETTA_REQUIRE_ALL=1."""
    if shutil.which("bearerbox", path=PATH) and shutil.which("smsbox", path=PATH) and FAKESMSC.exists():
        return
    lacks("Kannel: install kannel kannel-extras")


class Kannel:
    """`with Kannel(folder) as kannel`: `kannel.url` takes SMS, `kannel.parts()` is what the centre got."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ports = dict(zip(("admin", "box", "centre", "send"), free_ports(4), strict=True))
        self._programs = contextlib.ExitStack()
        self._centres: list[Program] = []
        self._before = 0
        self.url = f"http://127.0.0.1:{self._ports['send']}/cgi-bin/sendsms"

    def __enter__(self) -> Self:
        require()
        config = self._folder / "kannel.conf"
        config.write_text(CONFIG.format(**self._ports))
        with self._programs:
            for name, door in (("bearerbox", "box"), ("smsbox", "send")):
                self._start(name, self._ports[door], str(config))
            self.open_centre()
            self._programs = self._programs.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._programs.close()

    def open_centre(self) -> None:
        """Connect the SMS centre, and wait until Kannel knows it."""
        command = [FAKESMSC, "-r", str(self._ports["centre"]), "-m", "0", "1 2 text none"]
        self._centres.append(self._programs.enter_context(Program(command)))
        wait_until(self._is_online, "the SMS centre is online", 30, ignoring=(OSError,))

    def close_centre(self) -> None:
        """Take the SMS centre away: Kannel keeps what it is given."""
        self._centres[-1].stop()

    def forget(self) -> None:
        """Begin anew with what the centre got."""
        self._before += len(self.parts())

    def parts(self) -> list[str]:
        """Return the texts that the centre got, segment by segment."""
        lines = [line for centre in self._centres for line in [*centre.printed, *centre.words]]
        found = [match for line in lines if (match := _GOT.search(line))]
        return [_text(kind, payload) for kind, payload in (match.groups() for match in found)][self._before :]

    def _start(self, name: str, port: int, config: str) -> None:
        """Start a program of Kannel's, and wait until it listens; it says errors alone."""
        binary = shutil.which(name, path=PATH)
        assert binary is not None
        program = self._programs.enter_context(Program([binary, "-v", "3", config]))
        program.until(lambda: _listens(port), f"{name} listens", 30)

    def _is_online(self) -> bool:
        url = f"http://127.0.0.1:{self._ports['admin']}/status.txt?password=status"
        with urllib.request.urlopen(url, timeout=patient(5)) as answer:
            return re.search(r"centre\S*\s.*\(online", answer.read().decode()) is not None


def _text(kind: str, payload: str) -> str:
    """The centre prints 16 bit text, and parts, in URL encoding."""
    if kind == "text":
        return payload
    raw = unquote_to_bytes(payload.replace("+", " "))
    return raw.decode("utf-16-be") if kind == "ucs-2" or raw[:1] < b"\5" else unquote_plus(payload)


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 5):
        return True
    return False
