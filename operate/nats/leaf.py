"""`moretta nats-config --leaf` and `--hub`: a site's connection to a hub, and the hub (ADR 25)."""

import re
from pathlib import Path

import msgspec
from msgspec import structs
from rich.console import Console
from rich.table import Table

from operate.identities import Hub, Kept, KeptHub, Leaf, Tls
from operate.identities.hub import STATE, Leaves, link_of
from operate.identities.leafnodes import LEAF_USER
from operate.nats.kubernetes import release_of, steps
from operate.nats.readers import AGAIN, Readers, joined, users_of
from operate.nats.sizes import joined as sizes_joined
from operate.nats.sizes import told
from operate.nats.where import COMMAND, LISTEN, Where, checked
from proto.types import SiteId
from services.bus.sizes import Sizes
from services.kernel.settings import SettingsError

Named = tuple[str | None, str | None]
"""What was given of `--kubernetes` and `--namespace`."""
_HUB_URL = re.compile(r"(nats|tls|wss)://[A-Za-z0-9.\-]+:\d{1,5}\Z")
_PUBLIC_KEY = re.compile(r"U[A-Z2-7]{55}\Z")


def is_hub(folder: Path) -> bool:
    """Whether the folder is a hub's."""
    return (folder / STATE).exists()


def tls_of(files: tuple[str, str, str] | None, option: str = "--tls") -> Tls | None:
    """Return what `--tls CERT KEY CA` says; SettingsError if one of the files is not here."""
    if files is None:
        return None
    for file in files:
        if not Path(file).is_file():
            raise SettingsError(COMMAND, [(option, f"{file} is no file here; CERT KEY CA are three PEM files")])
    cert, key, ca = (str(Path(file).absolute()) for file in files)
    return Tls(cert, key, ca)


def leaf_of(urls: list[str], sites: list[str], tls: Tls | None = None) -> Leaf | None:
    """Return what `--leaf` and `--site` say of a site; None if they say nothing, SettingsError if half of it."""
    if not urls and not sites and tls is None:
        return None
    if not urls or not sites:
        missing = "--site" if urls else "--leaf"
        why = "is missing; --leaf URL names the hub, --site ID each site of this server that the hub hears of"
        raise SettingsError(COMMAND, [(missing, why)])
    for url in urls:
        if not _HUB_URL.match(url):
            raise SettingsError(COMMAND, [("--leaf", f"{url!r} is no URL such as tls://hub.example:7422")])
    for site in sites:
        _check(site)
    return Leaf(hubs=urls, sites=sites, tls=tls)


def _check(site: str) -> None:
    try:
        msgspec.convert(site, SiteId)
    except msgspec.ValidationError:
        why = f"{site!r} is no site's id: 1-32 of a-z, 0-9 and inner hyphens"
        raise SettingsError(COMMAND, [("--site", why)]) from None


def leaves_of(given: list[str]) -> Leaves:
    """Return the leaves of `--site ID[+ID...]=KEY[,KEY]`, without a key for one that shall go.

    SettingsError for anything else, or a site named twice.
    """
    found: Leaves = {}
    for one in given:
        sites, _, keys = one.partition("=")
        for site in sites.split("+"):
            _check(site)
        for key in keys.split(",") if keys or "=" not in one else ():
            if not _PUBLIC_KEY.match(key):
                shown_key = "a seed" if key.startswith("S") else repr(key)  # whoever pasted the wrong one
                why = f"{sites}: {shown_key} is no public key; the site's `{COMMAND} --leaf` prints --site {sites}=U..."
                raise SettingsError(COMMAND, [("--site", why)])
        found[sites] = keys.split(",") if keys else []
    _apart(found)
    return found


def _apart(leaves: Leaves) -> None:
    """SettingsError if a site or a key belongs to two leaves: one could write the other's windows."""
    for what, each in (("site", [s.split("+") for s in leaves]), ("key", list(leaves.values()))):
        flat = [one for some in each for one in some]
        if twice := sorted({one for one in flat if flat.count(one) > 1}):
            raise SettingsError(COMMAND, [("--site", f"{what} {twice[0]} belongs to two leaves; give each its own")])


def hub_done(
    what: str,
    folder: Path,
    where: Where,
    sites: list[str],
    tls: Tls | None,
    console: Console,
    release: Named = (None, None),
    readers: Readers | None = None,
    sizes: Sizes | None = None,
) -> list[str]:
    """Make or update a hub and show it; returns what comes next. `where` has `leaf_listen` beside a site's three."""
    if what not in {"make", "update"}:
        raise SettingsError(COMMAND, [(f"--{what}", "is a site's; at a hub --update --site ID=KEY,KEY changes keys")])
    kept = hub(folder, where, sites, tls, release, readers, sizes, update=what == "update")
    shown(kept, console)
    return hub_steps(kept)


def hub(
    folder: Path,
    where: Where,
    sites: list[str],
    tls: Tls | None,
    release: Named,
    readers: Readers | None,
    sizes: Sizes | None = None,
    *,
    update: bool,
) -> KeptHub:
    """Make a hub or, with `update`, change one: the sites given join, get other keys, or (`ID=`) go."""
    _addresses(where)
    kept = KeptHub.open(folder) if update else None
    known = kept.hub if kept else _fresh(folder)
    names = joined(kept.readers if kept else None, readers)
    given = {name: value for name, value in where.items() if value is not None}
    leaves = _changed(known.leaves, leaves_of(sites))
    there = release_of(*release, known.release)
    if there and there != known.release and "url" not in given:
        given["url"] = there.url(tls=(tls or known.tls) is not None)
    secure, streams = tls or known.tls, sizes_joined(known.streams, sizes)
    new = structs.replace(known, **given, leaves=leaves, tls=secure, release=there, streams=streams)
    if kept is None:
        return KeptHub.make(folder, new, names or ())
    kept.update(new, names)
    return kept


def _addresses(where: Where) -> None:
    checked(where)
    leaf_listen = where.get("leaf_listen")
    if leaf_listen is not None and not LISTEN.match(leaf_listen):
        raise SettingsError(COMMAND, [("--hub", f"{leaf_listen!r} is no HOST:PORT, such as 0.0.0.0:7422")])


def _changed(known: Leaves, given: Leaves) -> Leaves:
    names = {link_of(one).name for one in given}
    stay = {one: keys for one, keys in known.items() if link_of(one).name not in names}
    leaves = stay | {one: keys for one, keys in given.items() if keys}
    _apart(leaves)
    return leaves


def _fresh(folder: Path) -> Hub:
    store = str(folder.absolute() / "jetstream")
    return Hub(listen="127.0.0.1:4222", leaf_listen="0.0.0.0:7422", store=store, url="nats://127.0.0.1:4222")


def shown(kept: KeptHub, console: Console) -> None:
    """Print what is where, and which leaves may come."""
    table = Table("file", "for", "what it is", title=str(kept.folder))
    table.add_row("nats.conf", "nats-server", "accounts, public keys and rights; no secret")
    for user in ("subscriber", *users_of(kept.readers)):
        table.add_row(f"{user}.yaml", user, f"settings (-c FILE), naming {user}.nk")
    table.add_row("streams*.nk", "moretta nats-streams", "who makes the hub's streams")
    table.add_row(STATE, "this command", "public keys in force, addresses; no secret")
    console.print(table)
    if kept.hub.streams:
        console.print(told(kept.hub.streams), soft_wrap=True)
    for sites, keys in kept.hub.leaves.items():
        console.print(f"leaf {link_of(sites).name}: sites {sites}, {len(keys)} key(s)", soft_wrap=True)


def hub_steps(kept: KeptHub) -> list[str]:
    """Return the commands that come next at a hub."""
    conf = f"{kept.folder}/nats.conf"
    if kept.hub.release:
        return [*steps(kept, kept.hub.release, "make"), f"moretta nats-streams --out {kept.folder} -c FILE"]
    return [
        f"nats-server -c {conf}   (or --signal reload if it runs, but a restart for a leaf that shall go)",
        AGAIN,
        f"moretta nats-streams --out {kept.folder}   (again after each change)",
    ]


def leaf_steps(kept: Kept) -> list[str]:
    """Return the commands that come next at a site with a leaf."""
    if kept.server.leaf is None:
        return []
    keys, sites = ",".join(kept.server.keys[LEAF_USER]), "+".join(kept.server.leaf.sites)
    at_hub = f"at the hub: moretta nats-config --out DIR --update --site {sites}={keys}"
    streams = f"moretta nats-streams --out {kept.folder}   (makes what the hub copies from)"
    if kept.server.release:
        return [at_hub, f"{streams}, with -c FILE naming the server as it is reached from here"]
    return [
        f"nats.conf has the leaf's seed in it (nats-server reads it nowhere else): keep it as secret as {LEAF_USER}.nk",
        at_hub,
        "start nats-server anew: a reload takes no new connection to a hub into force",
        streams,
    ]
