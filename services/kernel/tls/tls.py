"""What TLS speaks with, taken from files that may change at any time."""

import datetime as dt
import ssl
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from services.kernel.log import get_logger
from services.kernel.tls.files import Certificate, CertificateError, Content

log = get_logger()

Use = Literal["nats", "whip", "page", "smtp", "sms", "webhook", "tracing"]
_TRIES = 5


@dataclass(frozen=True)
class Loaded:
    """What was made of files."""

    context: ssl.SSLContext
    certificate: Certificate | None
    """What we show; None: nothing."""
    authorities_end: dt.datetime | None
    """When the last of our own authorities ends; None: the system's, or none."""


class Tls:
    """A context for new connections, made anew when its files have changed.

    The files' content is compared, not their times: Kubernetes swaps a link, others write in place, twice in a tick.
    """

    def __init__(
        self, use: Use, read: Callable[[], Sequence[Content]], load: Callable[[Sequence[Content]], Loaded]
    ) -> None:
        """Load. CertificateError if a file can't be used."""
        self.use: Use = use
        self._read, self._load = read, load
        self._trouble: CertificateError | None = None
        self.renewed: Callable[[], None] = lambda: None
        """Called when changed files have come into force."""
        self._seen, found = self._settled()
        if isinstance(found, CertificateError):
            raise found
        self._loaded = found
        self._doubt()
        IN_FORCE.add(self)

    @property
    def context(self) -> ssl.SSLContext:
        """What a new connection is to use, after a look at the files."""
        return self.look().context

    @property
    def certificate(self) -> Certificate | None:
        """What is shown at the moment."""
        return self._loaded.certificate

    @property
    def fingerprint(self) -> str:
        """SHA-256 of what is shown, as browsers have it: AB:CD:...; empty where nothing is."""
        return self._loaded.certificate.fingerprint if self._loaded.certificate is not None else ""

    @property
    def is_stale(self) -> bool:
        """Whether the files can't be used, and what was in them before is in force."""
        return self._trouble is not None

    def look(self) -> Loaded:
        """Return what is in force, after a look at the files; broken ones are told once and left."""
        if self._read() != self._seen:
            self._take()
        return self._loaded

    def renew(self) -> None:
        """Take the files into force. CertificateError if they can't be used; what was before stays in force."""
        self.look()
        if self._trouble is not None:
            raise CertificateError(self._trouble.field, self._trouble.why)

    def _take(self) -> None:
        self._seen, found = self._settled()
        if isinstance(found, CertificateError):
            self._trouble = found
            log.error(
                "changed certificate files can't be used; those before stay in force", use=self.use, why=str(found)
            )
            return
        self._trouble, self._loaded = None, found
        shown = found.certificate
        log.info("new certificate files in force", use=self.use, expires=shown and shown.not_after.isoformat())
        self._doubt()
        self.renewed()

    def _settled(self) -> tuple[Sequence[Content], Loaded | CertificateError]:
        """Return the files' content, and what was made of just that: they may change while they are read."""
        now = self._read()
        for _ in range(_TRIES):
            contents, found = now, self._attempt(now)
            now = self._read()
            if now == contents:
                break
        return contents, found

    def _attempt(self, contents: Sequence[Content]) -> Loaded | CertificateError:
        try:
            return self._load(contents)
        except CertificateError as error:
            return error
        except (ValueError, ssl.SSLError) as error:  # one that only one of the two libraries takes
            return CertificateError(self.use, f"a certificate can't be used: {error}")

    def _doubt(self) -> None:
        """Warn of what others will refuse."""
        shown, now = self._loaded.certificate, dt.datetime.now(dt.UTC)
        if shown is not None and not shown.not_before <= now < shown.not_after:
            span = {"not_before": shown.not_before.isoformat(), "not_after": shown.not_after.isoformat()}
            log.warning("our certificate is not valid now: others will refuse it", use=self.use, **span)


IN_FORCE: "weakref.WeakSet[Tls]" = weakref.WeakSet()
"""Every one that somebody still has."""
