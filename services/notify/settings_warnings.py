"""Warnings about valid settings that may be a mistake, for `moretta check-config` and for each start."""

from collections import defaultdict
from collections.abc import Iterator

from proto.public import OperationalAlertV1, OperationalKind
from proto.types import SiteId
from services.notify.channels.email.settings import SmtpSettings, is_loopback
from services.notify.directory import plan_of
from services.notify.notification import notice_of
from services.notify.routing.plan import RoutingPlan
from services.notify.settings import NotifyFile, ReceiverSettings
from services.sites.problems import Problem
from services.sites.profiles import PROFILES
from services.sites.texts import Text, lacking

Way = tuple[int, str]
"""A receiver, by its index in the settings, and the server that takes its messages."""
_OURS: tuple[OperationalKind, ...] = ("channel-down", "undelivered")


def warnings_of(file: NotifyFile) -> list[Problem]:
    """Return each warning with its path. Warnings quote no address, since these lines end up in logs."""
    smtp = file.notify.smtp
    return [*([] if smtp is None else _open_mails(smtp)), *_one_channel(file), *_untranslated(file)]


def _open_mails(smtp: SmtpSettings) -> Iterator[Problem]:
    """Yield a warning if mails go out unencrypted or to an unverified server. With a password, that is an error."""
    if is_loopback(smtp.host):
        return
    if smtp.security == "none":
        why = f"'none' sends mails and their recipients' addresses openly to {smtp.host!r}; take starttls or tls"
        yield "notify.smtp.security", why
    elif not smtp.verify:
        why = f"false hands mails to whoever answers as {smtp.host!r}; name the server's authority in ca_file instead"
        yield "notify.smtp.verify", why


def _untranslated(file: NotifyFile) -> Iterator[Problem]:
    """Yield the texts in several languages that lack one in which a receiver is told."""
    receivers = file.notify.receivers
    texts: list[tuple[str, Text, set[str]]] = [
        ("notify.contact", file.notify.contact, {receiver.language for receiver in receivers})
    ]
    for index, site in enumerate(file.sites):
        field_languages = {
            one.language for one in receivers if one.audience == "field" and (not one.sites or site.id in one.sites)
        }
        for place, rule in enumerate(site.rules):
            path = f"sites[{index}].rules[{place}]"
            texts += [(f"{path}.name", rule.name, field_languages), (f"{path}.action", rule.action, field_languages)]
    for path, text, languages in texts:
        for language in lacking(text, languages):
            yield path, f"has no text in {language!r}; receivers with that language get the one in the site's"


def _one_channel(file: NotifyFile) -> Iterator[Problem]:
    """Yield, once each, where only the failed channel could report its own failure, or where no channel could."""
    plan, receivers = plan_of(file), file.notify.receivers
    judged = [
        site for site in file.sites if receivers and not PROFILES[site.profile].is_trial
    ]  # nobody depends on a trial
    alone: dict[Way | None, list[SiteId]] = defaultdict(list)
    for site in judged:
        ways = _ways_to_operators(plan, site.id, receivers)
        if len({server for _, server in ways}) <= 1:
            alone[ways[0] if ways else None].append(site.id)
    for way, sites in alone.items():
        where = "" if len(sites) == len(judged) else f" at {', '.join(sites)}"
        if way is None:
            why = f"when a channel fails nobody is told of it{where}; add a receiver with audience: operators"
            yield "notify.receivers", why
            continue
        index, channel = way[0], way[1].partition(" ")[0]
        why = f"if {channel} is down nobody can be told of it{where}: operators are reached by it alone"
        cure = f"add a second channel to receiver {receivers[index].id!r}, or another receiver for operators"
        yield f"notify.receivers[{index}]", f"{why}; {cure}"


def _ways_to_operators(plan: RoutingPlan, site: SiteId, receivers: list[ReceiverSettings]) -> list[Way]:
    """Return how operators are notified of an alarm of notify itself, for the kind that reaches the fewest servers."""
    places = {receiver.id: index for index, receiver in enumerate(receivers)}
    found = []
    for kind in _OURS:
        alarm = OperationalAlertV1(site=site, kind=kind, name="email", state="firing", since=0, at=0)
        led = [places[route.receiver] for route in plan.lead(notice_of(alarm, 0))]
        found.append([(index, server) for index in led for server in _servers(receivers[index])])
    return min(found, key=lambda ways: len({server for _, server in ways}))


def _servers(receiver: ReceiverSettings) -> Iterator[str]:
    """Yield the servers that take a receiver's messages. Each webhook is a server of its own."""
    yield from ["email"] * bool(receiver.email) + ["sms"] * bool(receiver.sms)
    yield from (f"webhook {hook.url.reveal()}" for hook in receiver.webhooks)
