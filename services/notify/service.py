"""Wiring of the service notify: alerts in, mails and their records out."""

from proto.subjects import ALERTS, DEAD, DELIVERIES
from services.app import App
from services.bus import Bus, clock
from services.log import get_logger
from services.notify.delivery import Notifier, server_facts
from services.notify.directory import Directory
from services.notify.settings import NotifyFile, is_loopback

log = get_logger()

DURABLE = "notify"
_IN_FLIGHT = 256
"""Alerts that may wait for a retry while others are told; each recipient's order is kept by `ledger.chain`."""


async def wire(app: App, settings: NotifyFile) -> None:
    """Start the service. Readiness is NATS and the clock: a mail server out of reach is retried, metered and logged."""
    directory = Directory.of(settings)
    _warn(settings)
    bus = await Bus.connect(settings.nats, app.name)
    app.on_stop("close NATS", bus.close)
    await bus.ensure_streams([str(row.stream) for row in (ALERTS, DELIVERIES, DEAD)])
    notifier = Notifier(bus, directory)

    async def apply(changed: NotifyFile) -> None:
        changed_directory = Directory.of(changed)
        notifier.use(changed_directory)
        _warn(changed)
        app.spawn("check the mail server", check_server(changed_directory), may_end=True)

    app.on_reload(apply)
    app.watch(bus)
    app.spawn("watch the clock", clock.watch(lambda: bus.clock_offset(str(ALERTS.stream)), app.probes.ready))
    app.intake("consume alerts", _consume(bus, notifier, directory))
    app.on_stop("finish the mails in flight", notifier.stop)  # before the intake ends: steps run last-in-first-out


async def _consume(bus: Bus, notifier: Notifier, directory: Directory) -> None:
    await check_server(directory)
    await bus.consume(ALERTS, DURABLE, notifier.handle, in_flight=_IN_FLIGHT)


async def check_server(directory: Directory) -> None:
    """Log in one line whether the mail server would take mails now, and else what would be right."""
    if directory.smtp is None:
        return
    host, port = directory.smtp.host, directory.smtp.port_in_use()
    async with directory.session() as session:
        failure = await session.open()
    if failure is None:
        log.info("the mail server is ready", host=host, port=port, security=directory.smtp.security)
    else:
        log.error("the mail server takes no mail; trying on with every alert", **server_facts(host, port, failure))


def _warn(settings: NotifyFile) -> None:
    notify = settings.notify
    if not notify.receivers:
        log.warning("notify.receivers is empty: nobody is told about alerts")
        return
    if notify.salt is None:
        log.warning(
            "notify.salt is not set: who reads DELIVERIES and suspects an address can check it;"
            " put 32 random characters into a file and name it in notify.salt_file"
        )
    smtp = notify.smtp
    if smtp is not None and not is_loopback(smtp.host) and not (smtp.verify and smtp.security != "none"):
        log.warning("mails travel without a checked encryption", host=smtp.host, security=smtp.security)
