"""Where a server listens and clients find it, as `moretta nats-config` takes it."""

import re

from services.kernel.settings import SettingsError, problems

COMMAND = "moretta nats-config"
Where = dict[str, str | None]
"""`listen` and `url`, and what a hub has beside them; None: as it was."""
LISTEN = re.compile(r"[A-Za-z0-9.\-\[\]:]*:\d{1,5}\Z")


def checked(given: Where) -> None:
    """SettingsError if an address is none."""
    from services.bus import NatsSettings

    listen, url = given.get("listen"), given.get("url")
    if listen is not None and not (LISTEN.match(listen) and int(listen.rpartition(":")[2]) < 65_536):
        raise SettingsError(COMMAND, [("--listen", f"{listen!r} is no HOST:PORT, such as 0.0.0.0:4222")])
    if url is not None and (wrong := list(problems(NatsSettings, {"url": url}))):
        raise SettingsError(COMMAND, [("--url", why) for _, why in wrong])
    if url is not None and "@" in url:  # it would be in the process list, and in files that everybody gets
        raise SettingsError(COMMAND, [("--url", "must hold no user and no password: a seed says who somebody is")])
