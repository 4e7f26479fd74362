"""What a window comes from and what comes from it, as spans: the runners of aggregate and of notify."""

from dataclasses import replace

from fair_clock import fair_host
from messages import alert, window
from msgspec import structs
from otlp import traced

from proto.public import WindowV1
from services.aggregate.runner import SiteRunner
from services.aggregate.settings import AggregateSettings
from services.kernel.tracing import current
from services.notify.dispatch.runner import _traces
from services.notify.notification import Group, Notification, notice_of

ALERT = alert(site="market", rule="low", end=60)
WINDOW = window(0, site="market", end=60)


class Bus:
    """Keeps under which span something was stored."""

    def __init__(self):
        self.under = {}

    async def store_once(self, _row, message, **_):
        self.under[type(message)] = current().traceparent
        return True


def trace(number: int) -> str:
    return f"00-{'a' * 32}-{number:016x}-01"


class Config:
    site, window, lateness = "market", 60, 5


async def test_a_window_names_the_frames_of_its_time_and_an_alert_goes_on_from_its_window():
    """Also frames of the next window were seen by then; an alert of another zone begins a trace of its own."""
    bus = Bus()
    runner = SiteRunner(bus, Config(), AggregateSettings(), fair_host(), lambda _: None)
    runner._frames.extend((at, trace(at)) for at in (10, 59, 60, 61))
    with traced() as memory:
        await runner._publish([WINDOW, ALERT, structs.replace(ALERT, zone="hall")])
        window, alert, other = memory.get_finished_spans()
    assert [link.context.span_id for link in window.links] == [10, 59]
    assert alert.parent.span_id == window.context.span_id
    assert dict(alert.attributes) == {
        "moretta.site": "market", "moretta.zone": "_site", "moretta.rule": "low", "moretta.outcome": "firing",
    }  # fmt: skip
    assert other.parent is None
    assert bus.under[WindowV1].endswith(f"-{window.context.span_id:016x}-01")
    assert not any(str(value).isdigit() for span in (window, alert) for value in span.attributes.values())


def notification(*numbers: int, new=(), resolved=()) -> Notification:
    notices = {
        n: replace(notice_of(structs.replace(ALERT, alert=f"{n:016x}"), 1), trace=trace(n))
        for n in (*numbers, *resolved)
    }
    ended = tuple(replace(notices[n], state="resolved") for n in resolved)
    return Notification(
        "1" * 16, Group("staff", "market", "field"), "first", 1, "1" * 16, 1, tuple(notices[n] for n in numbers),
        ended, frozenset(notices[n].alert for n in new),
    )  # fmt: skip


def test_a_decision_goes_on_from_the_one_alert_that_is_news():
    """Several are linked, and those of a reminder, which nothing has just caused."""
    assert _traces(notification(1, 2, new=[2])) == (trace(2), [])
    assert _traces(notification(1, resolved=[2])) == (trace(2), [])
    assert _traces(notification(1, 2, 3, new=[1, 3])) == ("", [trace(1), trace(3)])
    assert _traces(notification(1, 2)) == ("", [trace(1), trace(2)])
