"""Wires the service notify: alerts in, messages and their records out. One replica at a time serves a site."""

import asyncio

from proto.subjects import ALERTS, NOTIFY_LEASES, NOTIFY_REPLICAS, REPLAY, SILENCE_HELD
from services.bus import Bus
from services.bus.clock import NOTIFY_NS, HostClock
from services.kernel.app import App
from services.kernel.log import get_logger
from services.leases import Leases, SiteSharing, new_replica_name
from services.notify.channels.email.smtp import UP, SmtpSession
from services.notify.channels.sms.report_server import DeliveryReports
from services.notify.delivery.agent import DeliveryAgent
from services.notify.delivery.channels import channels_of, load
from services.notify.delivery.outbox import Outbox
from services.notify.delivery.site_ledger import failure_facts
from services.notify.directory import Directory
from services.notify.dispatch.sites import NotifiedSites
from services.notify.settings import NotifyFile
from services.notify.settings_warnings import warnings_of

log = get_logger()

STREAMS = ("ALERTS", "OPERATIONS", "DELIVERIES", "DEAD", "AUDIT", "KV_SILENCES", "KV_LEASES_NOTIFY")
"""Streams that notify needs. It creates those that are missing."""


async def wire(app: App, file: NotifyFile) -> None:
    """Start the service. Readiness is NATS and the clock; an unreachable mail server is retried, metered and logged."""
    directory = Directory.of(file)
    _warn(file)
    load(directory.smtp)  # before NATS waits for our answers
    bus = await Bus.connect(file.nats, app.name)
    app.on_stop("close NATS", bus.close)
    app.watch(bus)
    await bus.ensure_streams(STREAMS)
    leases = Leases(bus, NOTIFY_LEASES, NOTIFY_REPLICAS, file.notify.replica or new_replica_name())
    agent = DeliveryAgent(Outbox(directory.give_up_after_s))
    sites = NotifiedSites(app, bus, agent, directory)
    host = HostClock(lambda: bus.clock_offset(str(ALERTS.stream)), app.probes.ready, far_ns=NOTIFY_NS)
    await host.measure()
    sharing = SiteSharing(sites, leases, drains=True, wrong=lambda: host.wrong)
    reports = DeliveryReports(bus)

    async def apply(changed: NotifyFile) -> None:
        new = Directory.of(changed)
        await asyncio.to_thread(load, new.smtp)
        channels = channels_of(new, bus, agent.channels)
        await reports.use(changed.notify.sms)
        _warn(changed)
        await sites.recount(channel for name, channel in channels.items() if name not in agent.channels)
        await agent.use(channels, new.give_up_after_s)
        await sites.apply(new)
        await sharing.turn()
        app.spawn("check the mail server", check_server(new), may_end=True)

    app.on_stop("finish what is in flight", agent.stop)
    app.on_stop("stop the sites", sites.stop_all)
    app.spawn("watch the clock", host.watch())
    app.spawn("deliver", agent.run())
    await agent.use(channels_of(directory, bus), directory.give_up_after_s)
    await reports.use(file.notify.sms)
    app.on_stop("take no more delivery reports", reports.stop)
    await leases.read()
    await leases.announce()
    app.spawn("watch the leases", leases.watch())
    await sharing.turn()
    app.spawn("keep the leases", leases.keep())
    app.spawn("share the sites", sharing.run())
    app.spawn("look for sites", sites.discover())
    await bus.serve(REPLAY, sites.replay)
    await bus.serve(SILENCE_HELD, sites.silenced)
    app.on_stop("answer no more", bus.stop_serving)
    app.on_stop("hand the sites over", sharing.hand_over)
    app.on_reload(apply)
    app.spawn("check the mail server", check_server(directory), may_end=True)


async def check_server(directory: Directory) -> None:
    """Log in one line whether the mail server would take mails now, and if not, what to set."""
    if directory.smtp is None:
        UP.set(1)  # no mail server is configured, so none can be down
        return
    host, port = directory.smtp.host, directory.smtp.port_in_use()
    async with SmtpSession(directory.smtp, directory.smtp.tls()) as session:
        failure = await session.open()
    if failure is None:
        log.info("mail server ready", host=host, port=port, security=directory.smtp.security)
    else:
        facts = failure_facts(failure, "email")
        log.error("mail server not usable", host=host, port=port, **facts)


def _warn(settings: NotifyFile) -> None:
    notify = settings.notify
    if not notify.receivers:
        log.warning("notify.receivers is empty")
        return
    if notify.salt is None:
        log.warning(
            "notify.salt is not set",
            risk="a reader of DELIVERIES who suspects an address can check it",
            advice="put 32 random characters into a file and name it in notify.salt_file",
        )
    for path, why in warnings_of(settings):
        log.warning("perhaps not meant", path=path, why=why)
