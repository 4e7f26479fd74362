"""What `moretta cameras` prints. A camera's own texts are shown as plain text, and no path of a stream."""

import shlex
from collections.abc import Sequence

import msgspec
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from operate.cameras.camera import CameraAnswers
from operate.cameras.core.cost import cost_ms
from operate.cameras.core.discovery import Found
from operate.cameras.core.video_streams import Choice, VideoStream, in_words

_WIDTH = 120


def _console(*, stderr: bool = False) -> Console:
    console = Console(stderr=stderr, highlight=False)
    return console if console.is_terminal else Console(stderr=stderr, highlight=False, width=_WIDTH)


def found(cameras: Sequence[Found], sources: Sequence[str], wait_s: float, *, as_json: bool) -> None:
    """Print the cameras that answered, or where nothing answered."""
    if as_json:
        print(msgspec.json.encode({"cameras": cameras, "asked_from": sources}).decode())
        return
    if not cameras:
        nobody = f"no camera answered within {wait_s:g} s; asked from {', '.join(sources)}."
        why = "ONVIF and its discovery may be switched off in a camera, and the question reaches no other network."
        _console(stderr=True).print(Text(f"{nobody} {why} `moretta cameras show HOST` asks one by its address."))
        return
    many = "1 camera" if len(cameras) == 1 else f"{len(cameras)} cameras"
    _console().print(Text(f"{many}; asked from {', '.join(sources)}", "bold"))
    table = Table(box=SIMPLE_HEAD)
    for name in ("address", "name", "model", ""):
        table.add_column(name, overflow="fold")
    for one in cameras:
        table.add_row(*map(Text, (one.address or one.host, one.name or "–", one.model or "–", one.refused)))
    _console().print(table)
    if usable := [one.address for one in cameras if one.address]:
        following = f"Next: moretta cameras show {shlex.quote(usable[0])} --user NAME --password-file FILE"
        _console().print(Text(following), soft_wrap=True)  # it is pasted: a second line would be a command of its own


def streams(seen: CameraAnswers, choice: Choice | None, *, long_side: int, fps: float, as_json: bool) -> None:
    """Print a camera's streams, and which one would be taken."""
    why = in_words(choice, long_side=long_side, fps=fps) if choice else "none of its streams can be taken"
    if as_json:
        chosen = {**msgspec.to_builtins(choice), "why": why} if choice else None
        answer = {"address": seen.address.label, "model": seen.model, "streams": seen.streams, "choice": chosen}
        print(msgspec.json.encode(answer).decode())
        return
    console = _console()
    console.print(Text(" ".join(part for part in (seen.address.label, seen.model) if part), "bold"))
    console.print(_table(seen, choice, fps))
    taken = f"Moretta would take {choice.token}: {why}." if choice else f"{why.capitalize()}."
    console.print(Text(taken, "bold"))


def _table(seen: CameraAnswers, choice: Choice | None, fps: float) -> Table:
    table = Table(box=SIMPLE_HEAD)
    for name in ("", "stream", "name", "codec", "size", "rate", "bit rate", "costs ingest", ""):
        right = name in {"size", "rate", "bit rate", "costs ingest"}
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    costs = [cost for one in seen.streams if one.refused is None and (cost := _cost(one, fps))]
    for one in seen.streams:
        mark = "→" if choice is not None and one.token == choice.token else ""
        table.add_row(*map(Text, (mark, *_cells(one, fps, max(costs, default=0.0)), one.refused or "")))
    return table


def _cells(one: VideoStream, fps: float, most: float) -> tuple[str, ...]:
    cost = _cost(one, fps)
    return (
        one.token,
        one.name,
        one.codec,
        f"{one.width}x{one.height}" if one.width and one.height else "–",
        f"{one.fps:g}/s" if one.fps else "–",
        f"{one.kbps} kb/s" if one.kbps else "–",
        f"{cost / most:.0%}" if cost and one.refused is None else "–",
    )


def _cost(one: VideoStream, fps: float) -> float | None:
    return cost_ms(one.width, one.height, one.fps, fps) if one.width and one.height and one.fps else None
