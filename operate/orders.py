"""Operators' requests on the bus: orders to pause or resume, and the list of served sites."""

import asyncio
import errno
import getpass
import re
import time
from pathlib import Path
from typing import Literal, TypeVar

from msgspec import Struct, json, to_builtins

from proto.codec import ContractError, encode_as
from proto.control import PauseReplyV1, PauseRequestV1
from proto.instants import instants_of
from proto.permissions import info_subject
from proto.subjects import PAUSE, STATS_SERVICE, Identity
from services.bus import Bus, NatsSettings, NoWorkers
from services.kernel.app import end_tasks
from services.kernel.log import redact
from services.kernel.settings import Problem, SettingsError, load, problems
from services.kernel.tls import CertificateError

Action = Literal["pause", "resume"]
ANSWER_S = 10.0
UNRECORDED = (
    "in force, but not recorded yet: NATS does not store it. Ingest goes on trying; until its log says"
    ' "pause by an operator" a restart of ingest ends the pause'
)
_CONNECT_S = 3.0
_NOBODY = f"[Errno {errno.ECONNREFUSED}]"
"""In asyncio's words where no program has the port."""
_OTHERS_S = 0.5
"""How long to wait, after the last answer, for the answer of another instance."""
R = TypeVar("R", bound=Struct)


class OperatorFile(Struct, frozen=True, kw_only=True):
    """The part of the settings file that operators' commands read: NATS's address and the operator's seed."""

    nats: NatsSettings = NatsSettings()

    def problems(self) -> list[Problem]:
        """Return the problems that no single key shows."""
        return list(self.nats.problems())


def operator_name() -> str:
    """Return the logged-in user's name, in characters that the audit accepts; SettingsError if it is unknown."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container's user often has no entry in passwd
        why = "is missing, and this account has no name; give the name of whoever gives the order"
        raise SettingsError("moretta", [("--operator", why)]) from None
    return re.sub(r"[^A-Za-z0-9_.@+-]", "_", name)[:64]


async def order(file: Path, action: Action, site: str, camera: str | None, *, operator: str, why: str) -> PauseReplyV1:
    """Give the order and return the orders in force; SettingsError if that fails or ingest refuses it.

    When this returns, the order is in force, and recorded if the reply says so.
    """
    given = PauseRequestV1(site=site, action=action, camera=camera, operator=operator, why=why, at=time.time_ns())
    request = checked(f"moretta {action}", given)
    bus = await operator_bus(file)
    try:
        reply = await bus.request(PAUSE, request, timeout=ANSWER_S)
    except NoWorkers:
        raise SettingsError(
            f"moretta {action}", [("", f"no ingest serves site {site!r}; nothing was changed")]
        ) from None
    except TimeoutError:
        why_not = (
            "ingest did not confirm it: it may be in force and is perhaps not recorded; look at the cameras' state"
        )
        raise SettingsError(f"moretta {action}", [("", why_not)]) from None
    finally:
        await bus.close()
    assert isinstance(reply, PauseReplyV1)
    if reply.error is not None:
        raise SettingsError(f"moretta {action}", [("", reply.error)])
    return reply


async def operator_bus(file: Path) -> Bus:
    """Return an operator's connection to NATS; SettingsError if NATS does not answer."""
    return await connect_as("operator", file)


async def connect_as(identity: Identity, file: Path) -> Bus:
    """Return the connection that a settings file describes; SettingsError if NATS does not answer."""
    nats = load(file, OperatorFile).nats
    heard: list[str] = []
    try:
        return await _connected(nats, identity, heard)
    except TimeoutError:
        # The error of NATS or TLS explains more than the connection reset that follows it.
        telling = (one for one in reversed(heard) if one.startswith(("nats:", "[SSL")))
        error = next(telling, heard[-1] if heard else "")
        if _NOBODY in error:
            why_not = f"nothing listens at {redact(nats.url)}; is NATS there, or `moretta up` running?"
            raise SettingsError(file, [("nats.url", why_not)]) from None
        last = f" ({redact(error)})" if error else ""
        where = f"no connection to {redact(nats.url)} in {_CONNECT_S:g} s{last}"
        raise SettingsError(file, [("nats.url", f"{where}; {_question(nats, identity, error)}")]) from None
    except CertificateError as error:
        raise SettingsError(file, [(error.field, error.why)]) from None


def _question(nats: NatsSettings, identity: Identity, error: str) -> str:
    """Return what to look at. Who refuses a certificate may end the connection before its reason is read."""
    if nats.client_cert_file and "Authorization" not in error and "CERTIFICATE_VERIFY_FAILED" not in error:
        return "is NATS there, and does it trust the CA of nats.client_cert_file?"
    return f"is NATS there, and are user and password, or the seed, those of {identity}?"


async def _connected(nats: NatsSettings, identity: Identity, heard: list[str]) -> Bus:
    """Return a connection; TimeoutError past the limit. nats-py may lose one cancellation, and would try for ever."""
    connecting = asyncio.create_task(Bus.connect(nats, identity, on_error=heard.append))
    try:
        await asyncio.wait({connecting}, timeout=_CONNECT_S)
    finally:
        if not connecting.done():
            await end_tasks([connecting])
    if connecting.cancelled():
        raise TimeoutError
    return connecting.result()


def checked(command: str, request: R) -> R:
    """Return the request if it keeps its contract; SettingsError names the given values that don't."""
    try:
        encode_as("json", request)
        return request
    except ContractError:
        raise SettingsError(command, list(problems(type(request), _given(request)))) from None


def _given(request: Struct) -> dict[str, object]:
    left_out = ("type", *instants_of(type(request)))  # times were read before
    return {name: value for name, value in to_builtins(request).items() if name not in left_out}


def in_words(reply: PauseReplyV1) -> str:
    """Return the orders in force as a sentence."""
    own = ", ".join(reply.paused_cameras)
    if reply.paused:
        return f"{reply.site}: every camera is paused" + (f"; for themselves also {own}" if own else "")
    return f"{reply.site}: paused are {own}" if own else f"{reply.site}: goes on; no order to pause is in force"


async def site_of(bus: Bus, command: str, site: str | None) -> str:
    """Return the site; without one the only site that aggregates answer for. SettingsError unless there is just one."""
    if site is not None:
        return site
    known = sorted(await counted_sites(bus))
    if len(known) == 1:
        return known[0]
    there = f"aggregate counts here for {', '.join(known)}" if known else "no aggregate is connected to this NATS"
    raise SettingsError(command, [("SITE", f"is needed: {there}")])


async def counted_sites(bus: Bus) -> dict[str, dict[str, str]]:
    """Return each site that aggregates answer for, with its time zone, its zones and what closes its windows."""
    answers = [json.decode(data) for data in await bus.ask_all(info_subject(STATS_SERVICE), wait_s=_OTHERS_S)]
    return {one["metadata"]["site"]: one["metadata"] for info in answers for one in info["endpoints"]}
