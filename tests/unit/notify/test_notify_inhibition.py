"""Which operational alerts hold back an alert about a rate."""

from types import SimpleNamespace

from messages import alert, fault

from services.notify.dispatch.muting import OPEN_END, Inhibition
from services.notify.notification import notice_of

PLACE = SimpleNamespace(cameras={"gate": frozenset({"north"}), "door": frozenset({"south"})})
RATE = notice_of(alert(zone="north"), 1)


def test_what_nothing_ever_held_back_is_free_from_the_beginning():
    """Of a site without an operational alert, and beside those of other zones and cameras."""
    inhibition = Inhibition()
    assert inhibition.until(RATE, PLACE, 10) == 0
    assert inhibition.take(notice_of(fault(name="door"), 5))
    assert inhibition.until(RATE, PLACE, 10) == 0


def test_all_cameras_of_a_zone_hold_it_back_until_the_first_is_seen_again_for_a_while():
    """While they are down nobody knows until when; then for as long as it takes to gather what is seen."""
    inhibition = Inhibition()
    inhibition.take(notice_of(fault(name="gate"), 5))
    assert inhibition.until(RATE, PLACE, 10) == OPEN_END
    inhibition.take(notice_of(fault(name="gate", state="resolved"), 7))
    assert inhibition.until(RATE, PLACE, 10) == 17
    inhibition.forget(8)
    assert inhibition.until(RATE, PLACE, 10) == 0
