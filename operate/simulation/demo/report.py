"""The demo's output on the console (rich): a live view while it runs, and the result at the end."""

from datetime import UTC, datetime
from pathlib import Path

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from operate.simulation.demo.record import JUDGED, PERSONS_WITHIN, RATE_WITHIN, Record
from operate.simulation.demo.sink import Mail
from operate.simulation.scenario import Counting
from operate.view import rate_text, share_text
from proto.public import AlertV1, CameraV1, WindowV1

_STATE_STYLES = {"firing": "bold red", "resolved": "green"}
_REMEDY = "close other programs, or use fewer cameras or a faster machine"
_MORE = "next: .venv/bin/moretta up --simulate keeps running, with numbers to subscribe to"
_HEADERS = ("From", "To", "Subject")
_COUNTING = Counting()
"""The scenario of the demo has no other."""


def live(record: Record) -> RenderableType:
    """Return the current view."""
    return Group(windows(record), _footer(record))


def windows(record: Record) -> Table:
    """Return the closed windows of the whole site, beside the truth if it is known."""
    table = Table(title="Demo market: windows of 10 s, whole site", box=box.SIMPLE_HEAD, title_justify="left")
    table.add_column("window (UTC)")
    for name in _columns(record):
        table.add_column(name, justify="right")
    for start in sorted(record.windows):
        table.add_row(*_row(record, record.windows[start]))
    if not record.windows:
        table.add_row("the first one is open")
    return table


def _columns(record: Record) -> list[str]:
    known = ["people", "true", "with a mask (95 %)", "true", "observed"]
    return known if record.passages else [known[0], known[2], known[4]]


def _row(record: Record, window: WindowV1) -> list[str]:
    span = f"{clock(window.start)} – {clock(window.end)}"
    persons, rate = str(window.persons or 0), rate_text(window)
    if not record.passages:
        return [span, persons, rate, share_text(window.coverage)]
    true = record.truth_of(window)
    return [span, persons, str(true.persons), rate, share_text(true.rate), share_text(window.coverage)]


def _footer(record: Record) -> Text:
    states = ", ".join(f"{c.camera}: {c.state}{f' ({c.reason})' if c.reason else ''}" for c in _cameras(record))
    text = Text(f"cameras  {states or 'starting'}\n{_life_text(record)}\n")
    alert = record.alerts[-1] if record.alerts else None
    text.append(alert_text(alert) if alert else "no alert yet", _STATE_STYLES[alert.state] if alert else "dim")
    text.append(f"\nmails    {record.mails}")
    return text


def _cameras(record: Record) -> list[CameraV1]:
    return [record.cameras[name] for name in sorted(record.cameras)]


def _life_text(record: Record) -> str:
    life = record.pixel_life()
    if life is None:
        return "pixels   none yet"
    return f"pixels   at most {life.late} of {life.pictures} lived longer than 100 ms, or were not confirmed"


def promise(record: Record) -> Text:
    """Return whether the promise was kept over all pictures of the run; if not, the reason and a remedy."""
    life, text = record.pixel_life(), Text("promise  99 of 100 pictures live at most 100 ms: ")
    if life is None or life.kept is None:
        return text.append(f"too few pictures to judge ({life.pictures if life else 0} of {JUDGED})")
    if life.kept:
        return text.append("ok", "green")
    text.append("not ok", "bold red")
    share = f"up to {life.late / life.pictures:.1%} took longer"
    return text.append(f" – {share}: this machine is too busy, or too slow\n         {_REMEDY}")


def clock(at: int) -> str:
    """Return the time of day, UTC."""
    return f"{datetime.fromtimestamp(at / 1e9, UTC):%H:%M:%S}"


def window_line(record: Record, window: WindowV1) -> str:
    """Return a closed window as one line, for a console that is no terminal."""
    names = ["window", *_columns(record)]
    return "  ".join(f"{name} {value}" for name, value in zip(names, _row(record, window), strict=True))


def alert_text(alert: AlertV1) -> str:
    """Return an alert as one line: its state, the end of its window, the rate, and the threshold."""
    rate = f"{alert.rate:.0%} of {alert.persons} with a mask"
    if alert.state == "firing":
        return f"alert    FIRING at {clock(alert.end)}: {rate}, fewer than {alert.fire_below:.0%}"
    return f"alert    cleared at {clock(alert.end)}: {rate}, more than {alert.clear_above:.0%}"


def mail_panel(mail: Mail) -> Panel:
    """Return a mail as a mail program without pictures shows it."""
    headers = "\n".join(f"{name}: {mail.message[name]}" for name in _HEADERS)
    return Panel(Text(f"{headers}\n\n{mail.text}"), title=mail.file.name, title_align="left")


def reckoning(record: Record, mails: list[Mail], folder: Path) -> RenderableType:
    """Return the demo's result: windows, measured against true, alerts, pixels, the first mail, the mails' folder."""
    parts: list[RenderableType] = [windows(record)]
    if record.passages:
        parts.append(_checks(record))
    parts += [Text(alert_text(alert), _STATE_STYLES[alert.state]) for alert in record.alerts]
    parts += [Text(_life_text(record)), promise(record)]
    if mails:
        parts += [Text(""), mail_panel(mails[0])]
    parts.append(Text(f"{len(mails)} mails are kept as .eml in {folder}; no picture was.", overflow="fold"))
    if record.passages:
        parts.append(Text(_MORE, overflow="fold"))
    return Group(*parts)


def _checks(record: Record) -> Table:
    table = Table(title="Measured against the simulation's truth", box=box.SIMPLE_HEAD, title_justify="left")
    for name in ("", "true", "measured", "difference", ""):
        table.add_column(name, justify="left" if not name else "right")
    for check in record.checks():
        verdict = Text("ok", "green") if check.ok else Text("missed", "bold red")
        table.add_row(check.name, check.true, check.measured, check.difference, verdict)
    table.caption = (
        f"people within {PERSONS_WITHIN:.0%}, the masked share within {100 * RATE_WITHIN:.0f} points\n"
        f"true: half the face free, {_COUNTING.smallest_px:g} px or larger, for {_COUNTING.visible_s:g} s"
    )
    return table
