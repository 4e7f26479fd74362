"""What a connection to NATS says about its errors: each new text once, since two that alternate would fill the log."""

from collections.abc import Callable

from prometheus_client import Gauge

from proto.subjects import Account
from services.bus.connection.client import words_of
from services.kernel.log import get_logger

log = get_logger()

CONNECTED = Gauge("moretta_nats_connected", "1 while connected to NATS", ["account"])

OnError = Callable[[str], None]
"""Called with what NATS or the network said."""


class ErrorLog:
    """Passes a connection's errors to `on_error` while there is one, otherwise logs them."""

    def __init__(self, url: str, account: Account, on_error: OnError | None = None) -> None:
        self._url, self._account, self.on_error = url, account, on_error
        self._logged: set[str] = set()
        self.closing = self.secure = False

    async def error(self, error: Exception) -> None:
        """Pass on or log an error, unless that was done since NATS was last there."""
        text = str(error) or type(error).__name__
        if text in self._logged:
            return
        self._logged.add(text)
        if self.on_error is not None:
            self.on_error(text)
            return
        log.error("NATS connection failed", url=self._url, error=words_of(error, secure=self.secure))

    async def lost(self) -> None:
        """Note that the connection is lost, and tell it unless it is being closed."""
        CONNECTED.labels(self._account).set(0)
        self._logged.clear()
        if self.closing:
            return
        log.warning("lost NATS, reconnecting", url=self._url, account=self._account)
