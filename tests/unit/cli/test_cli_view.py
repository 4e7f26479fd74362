"""What is known of a running system from its public messages."""

import msgspec
import pytest
from golden import BY_TYPE
from msgspec import convert, structs

from operate.live_state import LiveState, count_text, rate_text, share_text
from proto.public import AlertV1, CameraV1, DeliveryV1, Lifetime, WindowV1
from proto.sightings import TickV1
from services.sites.settings import SiteSettings

WINDOW, ALERT, CAMERA, DELIVERY = (BY_TYPE[kind] for kind in (WindowV1, AlertV1, CameraV1, DeliveryV1))


def view_of(*messages: msgspec.Struct) -> LiveState:
    view = LiveState()
    for message in messages:
        view.take(message)
    return view


def life(late: int, pictures: int = 300) -> Lifetime:
    return Lifetime(start=0, end=1, pictures=pictures, late=late)


def test_the_latest_of_each_is_kept():
    """By zone, by camera, by rule; what is not public is not looked at."""
    later = structs.replace(WINDOW, start=WINDOW.end)
    other = structs.replace(WINDOW, zone="fish")
    view = view_of(WINDOW, later, other, CAMERA, structs.replace(CAMERA, camera="b"), TickV1(site="cannes"))
    assert view.windows == {("cannes", "_site"): later, ("cannes", "fish"): other}
    assert set(view.cameras) == {("cannes", "gate-1"), ("cannes", "b")}
    assert view.alerts == {}


def test_an_alert_of_before_is_recalled_unless_something_later_came():
    """It may still fire; what is heard first is the later one."""
    firing, over = (structs.replace(ALERT, state=state) for state in ("firing", "resolved"))
    view = LiveState()
    for message in (firing, over):
        view.recall(message)
    assert view.firing() == [firing]
    view = view_of(over)
    view.recall(firing)
    assert view.firing() == []


def test_cameras_up():
    """Only those that are live."""
    states = ["live", "live", "paused", "stalled", "connecting", "ended"]
    view = view_of(*(structs.replace(CAMERA, camera=f"c{i}", state=state) for i, state in enumerate(states)))
    assert (view.cameras_up(), len(view.cameras)) == (2, 6)


def test_what_the_settings_have_no_more_is_forgotten():
    """A removed camera or zone leaves, what ingest still says of it is not taken, and a new one is."""
    fish = structs.replace(WINDOW, zone="fish")
    view = view_of(WINDOW, fish, CAMERA, structs.replace(CAMERA, camera="gone"))
    site = {"id": "cannes", "cameras": [{"id": CAMERA.camera, "url": "x"}, {"id": "new", "url": "x"}]}
    view.keep([convert(site, SiteSettings)])
    for name in ("gone", "new"):
        view.take(structs.replace(CAMERA, camera=name))
    assert set(view.cameras) == {("cannes", CAMERA.camera), ("cannes", "new")}
    assert view.windows == {("cannes", "_site"): WINDOW}


def test_firing():
    """Until it is resolved."""
    other = structs.replace(ALERT, rule="other")
    assert view_of(ALERT, other).firing() == [ALERT, other]
    assert view_of(ALERT, other, structs.replace(ALERT, state="resolved")).firing() == [other]


def test_the_worst_camera():
    """No camera hides behind another; one without pictures in its last window, or without a window, says nothing."""
    cameras = [
        structs.replace(CAMERA, camera="a", lifetime=life(3)),
        structs.replace(CAMERA, camera="b", lifetime=life(3, 50)),
        structs.replace(CAMERA, camera="c", lifetime=life(0, 0)),
        structs.replace(CAMERA, camera="d", lifetime=None),
    ]
    assert view_of(*cameras).late() == (3, 50)
    assert view_of(*cameras[2:]).late() is None


def test_only_mails_that_were_sent_are_counted():
    """Tries that failed are none."""
    outcomes = ["sent", "retrying", "failed", "dead", "sent"]
    assert view_of(*(structs.replace(DELIVERY, outcome=outcome) for outcome in outcomes)).status()["mails"] == 2


def test_status():
    """One object a second, JSON, with nothing finer than what is published."""
    assert LiveState().status() == {"cameras": 0, "cameras_up": 0, "late": None, "firing": [], "mails": 0}
    status = view_of(CAMERA, ALERT, DELIVERY, WINDOW).status()
    assert status == {
        "cameras": 1,
        "cameras_up": 1,
        "late": {"at_most": 3, "pictures": 300},
        "firing": [{"site": "cannes", "zone": "fish", "rule": "low-rate"}],
        "mails": 1,
    }
    assert msgspec.json.decode(msgspec.json.encode(status)) == status


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({}, "78% (56% to 92%)"),
        ({"interval": None}, "78%"),
        ({"rate": None, "persons": 3}, "nobody judged"),
        ({"rate": None, "persons": 0}, "nobody"),
        ({"suppressed": "small-count"}, "too few people to show"),
        ({"suppressed": "nothing-observed"}, "nothing observed"),
        ({"suppressed": "not-under-this-profile"}, "not published under this profile"),
        ({"rate": 0.0, "interval": (0.0, 0.1)}, "0% (0% to 10%)"),
        ({"rate": 1.0, "interval": (0.9, 1.0)}, "100% (90% to 100%)"),
    ],
)
def test_a_rate_as_people_read_it(change: dict, text: str):
    """With its interval, or why there is none."""
    assert rate_text(structs.replace(WINDOW, **change)) == text


def test_what_a_profile_withholds_is_a_dash():
    """A dash is no nought."""
    assert [count_text(None), count_text(0), count_text(12)] == ["–", "0", "12"]
    assert [share_text(None), share_text(0.0), share_text(0.5)] == ["–", "0%", "50%"]
