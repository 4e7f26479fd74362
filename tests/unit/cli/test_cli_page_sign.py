"""Where the camera page is, for people at a terminal: operate.box.screen."""

import json

from operate.box.screen import page_sign


def test_the_sign():
    """Ingest's line about the page becomes a QR code, the address and the fingerprint; other lines nothing."""
    told = {"event": "camera page", "url": "https://192.0.2.7:8443/", "fingerprint": "AB:CD", "service": "ingest"}
    *drawn, address, fingerprint = page_sign(json.dumps(told)).splitlines()
    assert set("".join(drawn)) <= set("█▀▄ ")
    assert len({len(line) for line in drawn}) == 1
    assert told["url"] in address
    assert fingerprint.endswith("AB:CD")
    for other in ("plain text", "{}", json.dumps(told | {"event": "running"})):
        assert page_sign(other) is None
