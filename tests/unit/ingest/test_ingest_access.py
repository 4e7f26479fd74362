"""How often a camera may be offered a peer: services.ingest.web.access."""

from types import SimpleNamespace

from services.ingest.web.access import Access

SECOND = 1_000_000_000


def test_who_has_many_addresses_has_one_limit():
    """As with IPv6, where one connection has 2^64: sixty offers a minute to a camera, and to another one its own."""
    now = [0]
    access = Access(SimpleNamespace(), lambda: now[0])

    def status(number, path="/whip/cannes/phone"):
        found = access.haste(SimpleNamespace(remote=f"2001:db8::{number:x}", path=path))
        return None if found is None else found.status

    assert {status(number) for number in range(60)} == {None}
    assert status(60) == 429
    assert status(60, "/whip/cannes/other") is None
    now[0] = 60 * SECOND
    assert status(61) is None
