"""`moretta notify preview` writes what recipients would get, of an invented day, into files. It sends nothing."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from operate.notify.sample import Sample
from operate.rules.file import shipped_errors
from proto.public import AlertV1, OperationalAlertV1
from services.kernel.settings import SettingsError, load
from services.notify.channels.email.mail import Style, letter_about
from services.notify.channels.sms.text import sms_text
from services.notify.directory import plan_of, schedule_of
from services.notify.languages import words_in
from services.notify.notification import Notification, notice_of
from services.notify.reports.daily import question_of
from services.notify.reports.day import report_of
from services.notify.reports.report_view import Footer
from services.notify.reports.schedule import ReportKey, notification_of
from services.notify.reports.writer import render_report
from services.notify.routing.plan import RoutingPlan
from services.notify.settings import NotifyFile
from services.notify.texts.email_message import Letter, MailSender
from services.notify.texts.names import own_text
from services.notify.texts.preview_page import page_of
from services.notify.texts.words import Words
from services.sites.profiles import PROFILES
from services.sites.settings import SiteSettings, local_zone
from services.statistics.calendar import local

_COMMAND = "moretta notify preview"


@dataclass(frozen=True)
class PreviewMessage:
    """One message that a receiver would get; `kind` is a part of its file's name."""

    kind: str
    receiver: str
    notification: Notification
    sample: Sample


async def write(file: Path, out: Path, site: str | None) -> list[Path]:
    """Write the messages about a site, by default the first, and return their files; SettingsError if there are none.

    No secret's file is opened, and nothing is sent.
    """
    settings = load(file, NotifyFile, secrets=False)
    place = _site(file, settings, site)
    day = local(time.time_ns(), local_zone(place)).date() - timedelta(days=1)
    writer = _Writer(settings, Sample(place, day, shipped_errors()), _folder(out))
    written = [path for message in writer.messages() for path in await writer.write(message)]
    if not written:
        why = f"none has an e-mail address or a number and is told anything of {place.id}; nothing was written"
        raise SettingsError(file, [("notify.receivers", why)])
    return sorted(written)


def _site(file: Path, settings: NotifyFile, wanted: str | None) -> SiteSettings:
    known = {site.id: site for site in settings.sites}
    if not known:
        raise SettingsError(file, [("sites", "is empty; a preview is about a site")])
    name = wanted or next(iter(known))
    if name not in known:
        raise SettingsError(_COMMAND, [("--site", f"{name!r} is no site in {file}; there are: {', '.join(known)}")])
    return known[name]


def _folder(out: Path) -> Path:
    try:
        out.mkdir(exist_ok=True)
    except OSError as error:
        raise SettingsError(_COMMAND, [("--out", f"{str(out)!r} can't be made: {error.strerror}")]) from None
    return out


class _Writer:
    def __init__(self, settings: NotifyFile, sample: Sample, out: Path) -> None:
        self._sample, self._out = sample, out
        self._receivers = {one.id: one for one in settings.notify.receivers}
        self._plan, self._schedule, self._sms = plan_of(settings), schedule_of(settings), settings.notify.sms
        notify = settings.notify
        self._style = Style(MailSender("", ""), lambda _: sample.site, notify.public_url or "", notify.contact)

    def messages(self) -> Iterator[PreviewMessage]:
        """Yield what each receiver would get: an alert and its end, of each audience, and the daily report."""
        site = self._sample.site
        rules = site.rules if PROFILES[site.profile].rules else []
        samples = [replace(self._sample, rule=rule) for rule in rules if rule.fire_below > 0]  # a rate is never below 0
        seen: set[tuple[str, str]] = set()
        for sample in samples:
            yield from _about("alert", sample, sample.alerts(), self._plan, seen)
        story = samples[0] if samples else self._sample
        if not site.close_on_end:  # where it is set cameras are films: one that is over is no camera that is down
            yield from _about("fault", story, story.faults(), self._plan, seen)
        for plan in self._schedule:
            if plan.site == site.id:
                key = ReportKey(plan.site, plan.receiver, story.day, plan.due(story.day), plan.zone_detail)
                yield PreviewMessage("report", plan.receiver, notification_of(key, key.due), story)

    async def write(self, message: PreviewMessage) -> list[Path]:
        """Write one message as a page where its receiver has an e-mail address, and as text where it has a number."""
        receiver, written = self._receivers[message.receiver], []
        name, words = f"{message.receiver}-{message.kind}", words_in(receiver.language)
        if receiver.email:
            letter = await self._letter(message, words)
            written.append(_saved(self._out / f"{name}.html", page_of(letter, words)))
        if receiver.sms and self._sms is not None and message.kind != "report":
            text = sms_text(message.notification, message.sample.site, words, self._sms.max_segments)
            written.append(_saved(self._out / f"{name}-sms.txt", f"{text or ''}\n"))
        return written

    async def _letter(self, message: PreviewMessage, words: Words) -> Letter:
        sample, notification = message.sample, message.notification
        if message.kind != "report":
            return await letter_about(notification, words.language, self._style, sample.windows())
        plan = next(one for one in self._schedule if (one.site, one.receiver) == (sample.site.id, message.receiver))
        asked = question_of(sample.site, sample.day, notification.at, zone_detail=plan.zone_detail)
        report = report_of(replace(asked, receiver=message.receiver), sample.windows(), sample.alerts())
        footer = Footer(message.receiver, self._style.link, own_text(self._style.contact, sample.site, words))
        return await render_report(report, sample.site, words, notification, footer)


def _about(
    kind: str,
    sample: Sample,
    messages: list[AlertV1] | list[OperationalAlertV1],
    plan: RoutingPlan,
    seen: set[tuple[str, str]],
) -> Iterator[PreviewMessage]:
    """Yield the beginning and the end of an alert for each receiver that a route leads it to, and who saw none yet."""
    begun, ended = (
        notice_of(message, message.at if isinstance(message, OperationalAlertV1) else message.end)
        for message in messages
    )
    first, last = "a" * 16, "b" * 16
    for route in plan.lead(begun):
        if (kind, route.receiver) in seen:
            continue
        seen.add((kind, route.receiver))
        group, alert = route.group(begun), frozenset({begun.alert})
        began = Notification(first, group, "first", 1, first, begun.stored, (begun,), (), alert)
        yield PreviewMessage(kind, route.receiver, began, sample)
        if route.send_resolved:
            over = Notification(last, group, "all-resolved", 2, first, ended.stored, (), (ended,))
            yield PreviewMessage(f"{kind}-over", route.receiver, over, sample)


def _saved(path: Path, text: str) -> Path:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SettingsError(_COMMAND, [("--out", f"{str(path)!r} can't be written: {error.strerror}")]) from None
    return path
