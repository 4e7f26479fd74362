# What the other recipes in Python share: the way in, what is believed of what comes, and a window as one line.
# Run: not by itself. Keep it beside them; windows.py shows how it is used.
# Exit codes of all: 0 done, 2 something to set right, which a line on standard error names.

import argparse
import asyncio
import atexit
import contextlib
import json
import logging
import os
import re
import socket
import ssl
import sys
from datetime import UTC, datetime
from pathlib import Path

try:
    import nats
    import nkeys
    from nats.errors import ConnectionClosedError, Error
    from nats.js.errors import NotFoundError
except ImportError as missing:
    print(f"{missing.name} is missing: venv/bin/pip install 'nats-py[nkeys]'", file=sys.stderr)
    sys.exit(2)

FIGURES = ("rate", "interval", "persons", "coverage")
_TIMES = {"WindowV1": ("start", "end"), "AlertV1": ("since", "end")}
_NO_MESSAGE = {"status", "nats-service-error", "nats-service-error-code"}

logging.getLogger("asyncio").setLevel(logging.ERROR)  # a warning about how TLS ends says nothing to anybody


class Wrong(Exception):
    """Something to set right; the text says what."""


class TlsError(Error):
    """TLS as it was asked for can't be had."""


class Enough(Exception):
    """The reader of standard output has closed it, as `head` does."""


def say(text):
    """Say something on standard error, if somebody reads that."""
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def show(text):
    """Print a line at once; Wrong if it can't be written, as on a full disk."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        raise Enough from None
    except OSError as error:
        raise Wrong(f"standard output: {error.strerror}") from None


def run(main):
    """Run a recipe to its end; what is wrong is one line, and exit code 2."""
    try:
        asyncio.run(main)
    except Wrong as error:
        say(error)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    except Enough:
        sys.exit(0)


@atexit.register
def _drop_unread():
    """Drop what can't be written any more: Python tries again at its end, complains, and ends with 120."""
    for stream in filter(None, (sys.stdout, sys.stderr)):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def site(text):
    """The name of a site, for argparse."""
    if not re.fullmatch(r"[a-z0-9-]{1,32}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no site: small letters, digits and hyphens")
    return text


@contextlib.asynccontextmanager
async def connected():
    """Connect as subscriber. A server lost later is waited for; a refused seed ends the program."""
    reader = Reader(asyncio.current_task())
    try:
        await reader.start()
        yield reader
        if reader.is_closed:  # what was being read ended without a word
            raise ConnectionClosedError
    except (Error, OSError) as error:
        raise Wrong(reader.why or reader.words(error)) from None
    except asyncio.CancelledError:
        if reader.why is None:
            raise
        raise Wrong(reader.why) from None
    finally:
        await reader.leave()


class Reader(nats.NATS):
    """NATS's own client; it speaks TLS or not at all where TLS was asked for."""

    def __init__(self, task):
        super().__init__()
        self.task = task
        self.urls = (os.environ.get("NATS_URL") or "nats://127.0.0.1:4222").split(",")
        self.seed = os.environ.get("NATS_NKEY") or "subscriber.nk"
        self.why, self.leaving, self.failures, self.losses = None, False, 0, 0

    async def start(self):
        """Connect; Wrong if no server lets us in."""
        seed = _seed(self.seed)
        for url in self.urls:
            if not re.fullmatch(r"((nats|tls)://)?[^/\s@]+/?", url):
                shown = re.sub("^(.*//)?.*@", r"\1", url)
                raise Wrong(
                    f"NATS_URL: {shown!r} is no address such as nats://127.0.0.1:4222 or tls://nats.example.org"
                )
        await self.connect(
            self.urls,
            nkeys_seed_str=seed,
            inbox_prefix=b"_INBOX_subscriber",
            tls=_tls(self.urls),
            max_reconnect_attempts=-1,
            error_cb=self._failed,
            disconnected_cb=self._lost,
            reconnected_cb=self._back,
            closed_cb=self._ended,
        )
        self.failures = -1  # from now on
        if not self.is_connected:
            raise Wrong(self.words(ConnectionResetError()))
        self.js = self.jetstream(prefix="moretta.api")

    async def leave(self):
        """Close, if it was open; nats-py waits for ever for a server that refused our TLS."""
        self.leaving = True
        if self.options:
            with contextlib.suppress(Exception):
                await asyncio.wait_for(self.close(), 1)

    def _connect_command(self):
        """The first that we say, and the last moment to find out that all would be read on the way."""
        if "tls" in self.options and not self._server_info.get("tls_required"):
            raise TlsError("it offers no TLS, which NATS_CA or tls:// asks for")
        with contextlib.suppress(Wrong):  # a box that comes back has made new ones; unreadable: the last one
            self._nkeys_seed_str = _seed(self.seed)
        self._setup_nkeys_seed_connect()
        return super()._connect_command()

    @property
    def ssl_context(self):
        if self._server_info.get("tls_verify") and not os.environ.get("NATS_CERT"):
            raise TlsError("it asks for a certificate: name yours in NATS_CERT and NATS_KEY")
        return super().ssl_context

    async def _failed(self, error):
        text = str(error).lower()
        if self.failures >= 0:  # still at the start: each server is tried once
            self.failures += 1
            if self.failures >= len(self.urls):
                raise Wrong(self.words(error)) from None
        elif "violation" in text or isinstance(error, (ssl.SSLCertVerificationError, TlsError)):
            self._end(error)

    async def _lost(self):
        self.losses += 1
        if not self.leaving and not self.why:
            say(f"lost {self.urls[0]}, waiting for it")

    async def _back(self):
        say(f"{self.urls[0]} is back")

    async def _ended(self):
        if not self.leaving:
            self._end(self.last_error or ConnectionClosedError())

    def _end(self, error):
        if self.why is None:
            self.why = self.words(error)
            self.task.cancel()

    def words(self, error):
        """What went wrong and what to set, in one line."""
        text = " ".join((str(error) or type(error).__name__).removeprefix("nats: ").split())
        if "authorization" in text.lower():
            text = f"it refuses the seed in NATS_NKEY ({self.seed}); get the present one"
        elif "violation" in text.lower():
            text += "; is the seed in NATS_NKEY that of subscriber?"
        elif isinstance(error, socket.gaierror):
            text = "no such host; is NATS_URL right?"
        elif isinstance(error, ssl.SSLCertVerificationError):
            why = error.verify_message
            text = f"its certificate is not believed ({why}); are NATS_CA, and the name in NATS_URL, right?"
        elif "tls" in self.options and isinstance(error, (ssl.SSLError, ConnectionError)):
            text += "; does it know who vouches for NATS_CERT?"
        elif isinstance(error, TimeoutError):
            text = "no answer in time"
        elif isinstance(error, OSError):
            text = "nobody listens there; is NATS_URL right?"
        return f"{self.urls[0]}: {text}"

    async def subjects(self, stream, wanted):
        """The subjects of a stream of which something is stored; none where a new Moretta has no streams yet."""
        try:
            info = await self.js.stream_info(stream, subjects_filter=wanted)
        except NotFoundError:
            return []
        return sorted(info.state.subjects or {})

    async def last(self, stream, subject):
        """The last message of a subject; None if it was taken away meanwhile."""
        with contextlib.suppress(NotFoundError):
            return await self.js.get_last_msg(stream, subject)

    async def unknown(self, name):
        """What to say of a site of which no window was published; None if there is one, or any will do."""
        known = [one.split(".")[3] for one in await self.subjects("WINDOWS", "moretta.v1.windows.*._site")]
        if name in known or (name == "*" and known):
            return None
        of = "" if name == "*" else f" of site {name}"
        return f"no window{of} was published yet" + (f"; there are: {', '.join(known)}" if known else "")

    async def known(self, name):
        """Wrong if no window of this site was published."""
        if why := await self.unknown(name):
            raise Wrong(why)


def read(msg, kind):
    """What a message of this type says; None, and a line on standard error, where it is none (subscribing.md)."""
    headers = {str(getattr(name, "value", name)).lower() for name in msg.headers or {}}
    with contextlib.suppress(ValueError, RecursionError):
        found = json.loads(msg.data or b"")
        if not headers & _NO_MESSAGE and isinstance(found, dict) and found.get("type") == kind:
            where = msg.subject.split(".")[3:]
            fits = [found.get(name) for name in ("site", "zone", "rule")][: len(where)] == where
            if fits and _readable(found, kind):
                return found
    say(f"skipped: no {kind} at {msg.subject}")
    return None


def _readable(found, kind):
    times = all(type(found.get(name)) is int and 0 <= found[name] < 1 << 63 for name in _TIMES[kind])
    figures = all(found.get(name) is None or type(found[name]) in (int, float, list) for name in FIGURES)
    return times and figures and found.get("state", "none") in ("none", "firing", "resolved")


def moment(nanoseconds):
    """A time as text, to the second, in UTC."""
    return datetime.fromtimestamp(nanoseconds // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def line(window, when=None):
    """A window as one line, that begins with its end unless `when` says more; null: not published."""
    shown = " ".join(f"{name}={json.dumps(_rounded(window.get(name)))}" for name in FIGURES)
    return f"{when or moment(window['end'])} {window['site']} {window['zone']} {shown}".replace(", ", ",")


def _rounded(figure):
    if isinstance(figure, list):
        return [_rounded(one) for one in figure]
    return round(figure, 4) if isinstance(figure, float) else figure


def _seed(name):
    """The seed in this file, once it is one. A seed in the place of the file's name is never said."""
    if re.search("SU[A-Z2-7]{40}", name):
        raise Wrong("NATS_NKEY names the file of the seed, and holds a seed itself; save that in a file")
    try:
        seed = Path(name).read_bytes().strip()
        nkeys.from_seed(bytearray(seed)).wipe()
        return seed.decode()
    except OSError as error:
        raise Wrong(f"NATS_NKEY: {name}: {error.strerror}; name the file of subscriber's seed") from None
    except Exception:  # what nkeys raises depends on what is there
        raise Wrong(
            f"NATS_NKEY: {name}: no seed, which is one line of 58 letters and digits that begins with SU"
        ) from None


def _tls(urls):
    """How to speak TLS; None if it was not asked for."""
    ca, cert, key = (os.environ.get(f"NATS_{name}") for name in ("CA", "CERT", "KEY"))
    if not ca and not cert and not any(url.startswith("tls:") for url in urls):
        return None
    if bool(cert) != bool(key):
        raise Wrong(f"NATS_{'KEY' if cert else 'CERT'} is not set; a certificate needs its key")
    try:
        what = f"NATS_CA: {ca}"
        context = ssl.create_default_context(cafile=ca)
        if cert:
            what = f"NATS_CERT, NATS_KEY: {cert}, {key}"
            context.load_cert_chain(cert, key)
    except ssl.SSLError:
        raise Wrong(f"{what}: no certificate in PEM, or not that key's") from None
    except OSError as error:
        raise Wrong(f"{what}: {error.strerror}") from None
    return context
