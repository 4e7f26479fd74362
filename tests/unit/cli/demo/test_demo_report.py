"""What the demo writes on the console."""

from email.message import EmailMessage
from io import StringIO
from pathlib import Path

import msgspec
import pytest
from messages import alert, window
from rich.console import Console

from operate.simulation.demo import report
from operate.simulation.demo.command import Demo, screenshot
from operate.simulation.demo.record import Record
from operate.simulation.demo.sink import Mail
from operate.simulation.plan import Passage
from proto.public import CameraV1, Lifetime

SECOND = 1_000_000_000
START = 1_764_000_000 * SECOND  # 16:00:00 UTC
WINDOW = window(START, 5, (14, 0, 1), site="demo", profile="lab", end=START + 10 * SECOND, coverage=0.97)
FIRING = alert(
    site="demo", rule="few-masks", profile="lab", since=START, start=START, end=START + 10 * SECOND, rate=0.263,
    interval=(0.118, 0.488), persons=19, fire_below=0.6, clear_above=0.7,
)  # fmt: skip
CAMERA = CameraV1(
    site="demo",
    camera="gate",
    state="live",
    since=START,
    at=START,
    lifetime=Lifetime(START, START + 10 * SECOND, 20, 0),
)


def shown(renderable) -> str:
    console = Console(file=StringIO(), width=110)
    console.print(renderable)
    return console.file.getvalue()


def recorded(*messages, passages=None) -> Record:
    record = Record(passages=passages or {})
    for message in messages:
        record.take(message)
    return record


@pytest.fixture(name="mail")
def _mail() -> Mail:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "moretta@example.org", "staff@example.org", "Too few masks"
    message.set_content("26 % of the people wore a mask. [bold]No markup[/bold]\n")
    return Mail(Path("mails/mail-1.eml"), message)


def simulated() -> Record:
    times = {"at": 2.0, "first": 0.5, "visible": 1.5, "hidden": 0.0}
    seen = [Passage(camera="gate", verdict="masked" if i < 6 else "unmasked", **times) for i in range(21)]
    return recorded(CAMERA, WINDOW, FIRING, passages={"gate": seen})


def test_windows_show_numbers_beside_the_truth():
    """Each row has people, rate with interval and coverage, and what is true."""
    text = shown(report.windows(simulated()))
    row = next(line for line in text.splitlines() if "16:00:00" in line)
    assert row.split() == ["16:00:00", "–", "16:00:10", "20", "21", "26%", "(12%", "to", "49%)", "29%", "97%"]


def test_no_truth_is_shown_of_a_real_camera():
    """Where nothing is known of the truth, no column pretends to know it."""
    text = shown(report.windows(recorded(CAMERA, WINDOW)))
    assert "true" not in text
    assert "26% (12% to 49%)" in text


def test_no_window_yet_says_so():
    """An empty table would look broken."""
    assert "the first one is open" in shown(report.windows(recorded()))


def test_live_shows_cameras_pixels_alert_and_mails():
    """The live picture names every part of the system that is at work."""
    record = simulated()
    record.mails = 1
    text = shown(report.live(record))
    assert "gate: live" in text
    assert "at most 0 of 20 lived longer than 100 ms, or were not confirmed" in text
    assert "FIRING at 16:00:10: 26% of 19 with a mask, fewer than 60%" in text
    assert "mails    1" in text


def test_live_before_anything_came():
    """Before the first message it says that it starts."""
    text = shown(report.live(recorded()))
    for words in ("starting", "none yet", "no alert yet", "mails    0"):
        assert words in text


def test_broken_camera_shows_its_reason():
    """A wrong address is seen at once."""
    broken = msgspec.structs.replace(CAMERA, state="failed-config", reason="not-found")
    assert "gate: failed-config (not-found)" in shown(report.live(recorded(broken)))


def test_unconfirmed_pictures_are_not_hidden():
    """Pictures without an answer are among the late ones."""
    late = msgspec.structs.replace(CAMERA, lifetime=Lifetime(START, START + 10 * SECOND, 20, 3))
    assert "at most 3 of 20 lived longer than 100 ms" in shown(report.live(recorded(late)))


@pytest.mark.parametrize(
    ("late", "pictures", "said"),
    [
        (1, 100, ["ok"]),
        (0, 99, ["too few pictures to judge (99 of 100)"]),
        (3, 200, ["not ok", "up to 1.5% took longer", "too busy", "close other programs", "fewer cameras"]),
    ],
)
def test_the_promise_has_a_verdict(late, pictures, said):
    """Over all pictures of the run; where it is not kept, what may be wrong and what to do."""
    lived = msgspec.structs.replace(CAMERA, lifetime=Lifetime(START, START + 10 * SECOND, pictures, late))
    text = shown(report.reckoning(recorded(lived), [], Path("mails")))
    line = text[text.index("promise ") :]
    assert line.startswith(f"promise  99 of 100 pictures live at most 100 ms: {said[0]}")
    assert all(words in line for words in said)
    assert "60" not in line


def test_the_result_says_whom_the_truth_holds():
    """Not all who come: those who can be seen long and well enough."""
    text = shown(report.reckoning(simulated(), [], Path("mails")))
    assert "true: half the face free, 12 px or larger, for 0.6 s" in text


def test_clearing_names_its_own_threshold():
    """An alert that cleared says above what."""
    cleared = msgspec.structs.replace(FIRING, state="resolved", rate=0.9)
    assert report.alert_text(cleared) == "alert    cleared at 16:00:10: 90% of 19 with a mask, more than 70%"


def test_window_line_is_one_line():
    """A console that is no terminal gets one line per window, with the same figures."""
    line = report.window_line(simulated(), WINDOW)
    assert "\n" not in line
    assert line.startswith("window 16:00:00 – 16:00:10  people 20  true 21  with a mask (95 %) 26% (12% to 49%)")


def test_mail_is_shown_as_text(mail):
    """Headers and the plain body are shown as they are; what looks like markup in a mail is not obeyed."""
    text = shown(report.mail_panel(mail))
    for words in ("mail-1.eml", "To: staff@example.org", "Subject: Too few masks", "[bold]No markup[/bold]"):
        assert words in text


def test_reckoning_has_everything(mail):
    """The end shows measured against true with verdicts, alerts, pixels, the mail and where mails are kept."""
    record = simulated()
    record.mails = 1
    text = shown(report.reckoning(record, [mail], Path("mails")))
    people = next(line for line in text.splitlines() if line.strip().startswith("people ") and "%)" in line)
    assert people.split() == ["people", "21", "20", "-1", "(-4.8%)", "ok"]
    assert "alert cleared" in text
    assert "missed" in text
    assert "Too few masks" in text
    assert "1 mails are kept as .eml in mails" in text
    assert ".venv/bin/moretta up --simulate" in text


def test_reckoning_of_a_real_camera_has_no_verdict():
    """Without truth nothing is called right or missed."""
    text = shown(report.reckoning(recorded(CAMERA, WINDOW), [], Path("mails")))
    assert "truth" not in text
    assert "missed" not in text


def test_screenshot_is_a_picture_that_fetches_nothing(tmp_path, mail):
    """The SVG shows the reckoning and has no address in it that a viewer would load."""
    demo = Demo(tmp_path, Path("mails"), Console(file=StringIO()))
    demo.record, demo.mails = simulated(), [mail]
    screenshot(demo, Path("mails"), tmp_path / "shot.svg")
    svg = (tmp_path / "shot.svg").read_text(encoding="utf-8")
    assert svg.startswith("<svg")
    assert "staff@example.org" in svg.replace("&#160;", " ")
    assert "url(" not in svg.replace("url(#", "")
    assert "font-face" not in svg
