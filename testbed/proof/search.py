"""The places of a proof, and the search in them. It records each trace with its place, and each canary seen."""

from __future__ import annotations

import hashlib
import io
import secrets
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from PIL import Image as Pictures

from testbed.proof.core.images import images, is_drawing
from testbed.proof.core.needles import SIZE, Needles, forms
from testbed.proof.core.verdicts import SearchedPlace
from testbed.proof.memory import at_once, chunks, name_of
from testbed.proof.secret import COMMON, FilmNeedles, Label

PLACES = {
    "files": "files in the box's folder: settings, secrets, temporary files",
    "jetstream": "JetStream's store on disk",
    "strace": "files that any process wrote or mapped, wherever",
    "bus": "messages on NATS, with their headers, heard as every identity",
    "logs": "log lines of every process, at level debug",
    "mails": "mails, attachments decoded",
    "sms": "requests to the SMS gateway",
    "metrics": "pages of metrics, readiness and liveness",
    "memory": "memory of every process, 3 s after all cameras were paused",
    "cores": "core dumps, after crashes on purpose",
    "network": "packets on every network interface, the cameras' own apart",
    "images": "image formats and noise in files, messages, logs, mails, SMS, pages",
}
"""The kinds of places. The canary of a place has the place's name."""
WITHOUT_CANARY = {
    "memory-nats": "memory of nats-server, aggregate and notify while cameras run",
    "memory-ingest": "memory of ingest at one moment while cameras run: how many pictures and packets",
    "memory-inference": "memory of inference at one moment while cameras run: how many pictures",
}
DOCUMENTED = {"memory-ingest": 24, "memory-inference": 4}
"""The documented number while cameras run (docs/privacy.md). Ingest has for each of two cameras as a rule two pictures
of the decoder, a scaled one, and nine packets on their way to the decoder: only their sum is compared. Inference has
for each of two lanes a picture in hand and onnxruntime's copy of it."""
_UNITS = {"bus": "messages", "logs": "lines", "mails": "mails", "sms": "requests", "metrics": "pages"}
_UNITS |= {
    "files": "files",
    "jetstream": "files",
    "strace": "files",
    "cores": "crashes",
    "network": "packets",
    "memory": "processes",
}
_ROW = 320
_ALPHABET = bytes(sorted(set(range(256)) - set(b"\r\n\0")))
_TRACES = {"decoded": 16, "scaled": 16, "floats": 16, "packet": 1}
"""The number of rows from which a picture counts as found: successive pictures share some rows of colour."""


def canary_row() -> bytes:
    """Return a row of a picture that no camera shows, without bytes that would end a line."""
    return bytes(secrets.choice(_ALPHABET) for _ in range(_ROW))


class Search:
    """The needles, and the places by name. Several threads may use it, but each place belongs to one thread."""

    def __init__(self, secret: FilmNeedles) -> None:
        self.secret = secret
        self.rows = {name: canary_row() for name in PLACES}
        for name, row in self.rows.items():
            secret.plant(name, row)
        self.needles: Needles = secret.search()
        self.places = {name: SearchedPlace(name, what, _UNITS.get(name, "pieces")) for name, what in PLACES.items()}
        for name, what in WITHOUT_CANARY.items():
            self.places[name] = SearchedPlace(name, what, "processes", canary=None, allowed=DOCUMENTED.get(name))
        self._known: set[str] = set()
        self._planted: set[str] = set()

    def __getitem__(self, name: str) -> SearchedPlace:
        """Return a place."""
        return self.places[name]

    def plants_image(self, data: bytes) -> None:
        """Remember the planted image by its checksum: it is the canary of the search for images."""
        self._planted.add(hashlib.sha256(data).hexdigest())

    def text(self, name: str, where: str, data: bytes) -> None:
        """Search data that people or programs read for rows and images, in every encoding that bytes may have there."""
        self[name].searched(len(data))
        found = {form[at : at + SIZE]: label for form in forms(data) for at, label in self.needles.found(form)}
        self._labels(name, where, found.values())
        self._images(where, data)

    def raw(self, name: str, where: str, data: bytes, *, pieces: int = 1) -> None:
        """Search bytes from a wire, for rows alone."""
        self[name].searched(len(data), pieces)
        self._labels(name, where, [label for _, label in self.needles.found(data)])

    def _labels(self, name: str, where: str, labels: Iterable[object]) -> None:
        for label in labels:
            assert isinstance(label, Label)
            if not label.is_canary:
                self[name].hit(where)
            elif label.name == name:
                self[name].canary = True

    def _images(self, where: str, data: bytes) -> None:
        place = self["images"]
        place.searched(len(data))
        for one in images(data):
            if hashlib.sha256(data).hexdigest() in self._planted:
                place.canary = True
            else:
                place.hit(f"{where}: {one}")

    def part(self, name: str, where: str, data: bytes) -> None:
        """Search an attachment. A drawing, such as the chart of an alert, is decoded; it is no camera's picture."""
        self[name].searched(len(data), 0)
        self._labels(name, where, [label for _, label in self.needles.found(data)])
        if any(one.kind == "PNG" for one in images(data)) and self._is_drawn(name, where, data):
            note = "charts in mails were decoded: few colours, no row of a picture"
            if note not in self["images"].notes:
                self["images"].notes.append(note)
        else:
            self._images(where, data)

    def _is_drawn(self, name: str, where: str, data: bytes) -> bool:
        with Pictures.open(io.BytesIO(data)) as picture:
            picture.load()
            plain = picture.convert("RGB")
            self._labels(name, where, [label for _, label in self.needles.found(plain.convert("L").tobytes())])
            counted = plain.getcolors(plain.width * plain.height) or []
        return is_drawing([count for count, _ in counted])

    def memory(self, name: str, pids: Iterable[int]) -> None:
        """Search processes' memory strictly: any single row counts as found."""
        for pid in pids:
            self._process(name, chunks, pid, lambda where, label: self._labels(name, f"{where}: {label.kind}", [label]))

    def pictures_in_memory(self, name: str, pid: int) -> None:
        """Count the different pictures and packets in a process's memory, by kind."""
        found: Counter[Label] = Counter()
        self._process(name, at_once, pid, lambda _where, label: found.update([label]))
        for kind, least in _TRACES.items():
            times = sum(label.kind == kind and label.number != COMMON and n >= least for label, n in found.items())
            if times:
                self[name].hit(f"{name_of(pid)}: {kind}", times)

    def _process(
        self, name: str, read: Callable[[int], Iterable[bytes]], pid: int, take: Callable[[str, Label], None]
    ) -> None:
        where = f"pid {pid} ({name_of(pid)})"
        try:
            for data in read(pid):
                self[name].searched(max(0, len(data) - SIZE), 0)
                for _, label in self.needles.found(data):
                    assert isinstance(label, Label)
                    take(where, label)
        except ProcessLookupError:
            return
        except OSError as error:
            if Path(f"/proc/{pid}").exists():
                self[name].miss(f"{where}: {error.strerror}")
            return
        self[name].searched(0)
