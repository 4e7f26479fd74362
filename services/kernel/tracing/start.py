"""Switching tracing on, and off again."""

import os
from collections.abc import Callable

from services.kernel.faults import StartError
from services.kernel.log import get_logger
from services.kernel.tracing import span
from services.kernel.tracing.settings import TracingSettings

log = get_logger()

LIMIT_S = 3.0
"""How long the end waits for the last spans to be taken: less than a step of stopping may take."""


def start(service: str, settings: TracingSettings) -> Callable[[], None]:
    """Make spans from now on; returns what ends that. StartError where the settings can't be followed."""
    url = settings.url()
    if url is None:
        return lambda: None
    tls = settings.tls()
    # OpenTelemetry reads dozens of them, while it is imported and later: the settings alone say what is sent where.
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        del os.environ[name]
    try:
        from services.kernel.tracing.engine import Traces
        from services.kernel.tracing.sending import Collector, Sending
    except ModuleNotFoundError as error:
        why = f"tracing.endpoint: {error.name} is not installed; `pip install moretta[tracing]` brings it"
        raise StartError(why) from None
    sending = Sending(Collector(url, settings.headers(), tls).post)
    span.use(Traces(service, settings.ratio, sending))
    log.info("traces go to a collector", host=url.hostname, ratio=settings.ratio)

    def end() -> None:
        span.use(None)
        sending.close(LIMIT_S)

    return end
