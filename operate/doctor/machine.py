"""Checks of this machine, or this node: the sandbox's measures, disk, time zones, and certificate files."""

import asyncio
import json
import shutil
import sys
import time
import zoneinfo
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from operate.doctor.core import judged, storage
from operate.doctor.core.findings import Finding, fail, left_out, ok, warn
from operate.settings_file import tls_of
from services.kernel.log import redact
from services.kernel.tls import CertificateError, ends
from services.sandbox.measures import Findings, not_in_force, shortfalls
from services.sandbox.measures import MeasureState as MeasureFinding
from services.sites.settings import SiteSettings


async def sandbox(file: Path, sites: list[SiteSettings]) -> list[Finding]:
    """Return which measures of the sandbox this kernel lets a process take; a separate process tries them."""
    command = [sys.executable, "-P", "-m", "operate.doctor.sandbox_trial", str(file)]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe)
    try:
        output, wrong = await process.communicate()
    except BaseException:
        process.kill()
        await process.wait()
        raise
    if process.returncode:
        last = wrong.decode(errors="replace").strip().splitlines()[-1:]
        return [fail("sandbox", f"could not be tried: {' '.join(last)}", "see the settings' lines")]
    measures: Findings = {name: MeasureFinding(*one) for name, one in json.loads(output).items()}
    return list(_sandbox(measures, sites))


def _sandbox(measures: Findings, sites: list[SiteSettings]) -> Iterator[Finding]:
    lacking = shortfalls(measures, [site.profile for site in sites])
    for why in lacking:
        what, _, todo = why.rpartition("; ")
        yield fail("sandbox", what, todo)
    for measure, why in not_in_force(measures).items():
        if not any(measure in one for one in lacking):
            found, _, todo = why.partition("; ")
            yield warn("sandbox", f"{measure}: {found}", todo or "a newer kernel, or glibc, has it")
    applied = [measure for measure, one in measures.items() if one.state == "applied"]
    if applied:
        yield ok("sandbox", f"in force here: {', '.join(applied)}")


def disk(store: Path | None, url: str, most: int) -> Finding:
    """Return whether JetStream's disk has room for `most` bytes, which its streams may take."""
    if store is None:
        todo = "with --store DIR, on the machine of nats-server, its disk is looked at"
        return left_out("disk", f"where {redact(url)} stores is not known here", todo)
    try:
        free = shutil.disk_usage(store).free
        taken = sum(file.stat().st_size for file in store.rglob("*") if file.is_file())
    except OSError as error:
        return fail("disk", f"{store}: {error.strerror}", "name the folder store_dir of nats-server's configuration")
    return storage.disk(str(store), free, max(0, most - taken))


def time_zones(sites: list[SiteSettings]) -> Finding:
    """Return whether the time zones of the sites are known, and from which source."""
    unknown = [site.timezone for site in sites if not _is_known(site.timezone)]
    if unknown:
        return fail("time zones", f"not known here: {', '.join(unknown)}", "install tzdata, or mend sites[].timezone")
    try:
        beside = f"package tzdata {version('tzdata')}"
    except PackageNotFoundError:
        beside = "no package tzdata"
    system = next((path for path in zoneinfo.TZPATH if Path(path).is_dir()), None)
    return ok("time zones", f"{len({site.timezone for site in sites})} in use, from {system or beside}")


def _is_known(name: str) -> bool:
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        return False
    return True


def certificates(loaded: dict[str, Any]) -> list[Finding]:
    """Return when certificates expire: those that settings name, and those that servers showed us just now."""
    held: list[object] = []
    found = [one for settings in loaded.values() for load in tls_of(settings) if (one := _loaded(load, held))]
    seen: dict[tuple[str, str], float] = {}
    for use, side, end in ends():
        left = end.timestamp() - time.time()
        seen[use, side] = min(left, seen.get((use, side), left))
    found += [judged.certificate(f"certificate {use}", side, left) for (use, side), left in seen.items()]
    return found or [ok("certificates", "none of files that are named here")]


def _loaded(load: Callable[[], object], held: list[object]) -> Finding | None:
    try:
        held.append(load())  # without a reference it is forgotten, and its expiry not told
    except CertificateError as error:
        return fail("certificates", f"{error.field}: {error.why}", "mend the file, or the settings that name it")
    return None
