"""The UDP sockets of a WebRTC peer: aioice's, which reads and sends only what the peer's `RemoteCandidates` allow."""

import asyncio
import struct
import time
from typing import Any

from aioice import ice, stun

from services.ingest.core.ice import RemoteCandidates, Source

_MAX_DATAGRAMS = 1024
_LARGEST_DATAGRAM = 2048

Theirs = ice.StunProtocol
"""aioice's own socket, which ours replaces."""


class Datagrams(asyncio.Queue[Any]):
    """aioice's queue of received datagrams, with a limit: while it is full, new datagrams are lost, as UDP allows.

    An empty datagram would end the connection.
    """

    def __init__(self, candidates: RemoteCandidates) -> None:
        super().__init__()
        self.candidates = candidates

    def put_nowait(self, item: Any) -> None:
        """Put the item, or drop it; None means that the connection is closed, and is never dropped."""
        if item is None or (0 < len(item[0]) <= _LARGEST_DATAGRAM and self.qsize() < _MAX_DATAGRAMS):
            super().put_nowait(item)


class PeerSocket(Theirs):
    """aioice's socket at one local address: it reads and sends only what the peer's `RemoteCandidates` allow.

    Nothing is answered that does not prove the session's password.
    """

    def __init__(self, receiver: ice.Connection) -> None:
        super().__init__(receiver)
        self._asked: dict[bytes, Source] = {}

    @property
    def _candidates(self) -> RemoteCandidates | None:
        """The peer's; None if the connection isn't ours."""
        datagrams = self.receiver._queue  # noqa: SLF001 - put there by PeerConnection
        return datagrams.candidates if isinstance(datagrams, Datagrams) else None

    def datagram_received(self, data: bytes | str, addr: tuple[Any, ...]) -> None:
        """Read a datagram, or drop it."""
        candidates = self._candidates
        if candidates is None or isinstance(data, str):
            super().datagram_received(data, addr)
            return
        source = addr[0], addr[1]
        kind = candidates.heard(data, source, time.monotonic())
        if kind == "request":
            self._requested(data, source, candidates)
        elif kind == "response":
            self._answered(data, source, candidates)
        elif kind is not None:
            self.receiver.data_received(data, self.local_candidate.component)

    def _requested(self, data: bytes, source: Source, candidates: RemoteCandidates) -> None:
        message = _parsed(data)
        if message is None or "PRIORITY" not in message.attributes:  # aioice takes it for granted (RFC 8445 §7.1.1)
            return
        password = self.receiver.local_password.encode()
        if message.check_message_integrity(password) and candidates.accept(source, len(data)):
            self.receiver.request_received(message, source, self)

    def _answered(self, data: bytes, source: Source, candidates: RemoteCandidates) -> None:
        """Hand on the answer to a check, if it comes from where the check was sent."""
        identity = data[8:20]
        transaction, password = self.transactions.get(identity), self.receiver.remote_password
        if transaction is None or password is None or self._asked[identity] != source:
            return
        message = _parsed(data)
        if message is not None and message.check_message_integrity(password.encode()):
            candidates.prove(source)
            transaction.response_received(message, source)

    async def request(
        self,
        request: stun.Message,
        addr: Source,
        integrity_key: bytes | None = None,
        retransmissions: int | None = None,
    ) -> tuple[stun.Message, Source]:
        """Return the response to a request and where it came from; TransactionError if there is none."""
        self._asked[request.transaction_id] = addr
        try:
            return await super().request(request, addr, integrity_key, retransmissions)
        finally:
            del self._asked[request.transaction_id]

    def send_stun(self, message: stun.Message, addr: Source) -> None:
        """Send a message, or drop it."""
        candidates, is_check = self._candidates, message.message_class == stun.Class.REQUEST
        if candidates is None or candidates.may_send(addr, len(bytes(message)), time.monotonic(), is_check=is_check):
            super().send_stun(message, addr)


def _parsed(data: bytes) -> stun.Message | None:
    """Return a STUN message; None if it is none. What anybody may send must not reach the log."""
    try:
        return stun.parse_message(data)
    except (ValueError, struct.error):  # the latter if an attribute has a wrong length
        return None
