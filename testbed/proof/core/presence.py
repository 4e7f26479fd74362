"""How much of somebody's presence leaks, as measured: what the page of a proof says of it (docs/privacy.md)."""

AREA, UPPER = 0.50, 0.50
"""Area under the ROC curve of the best simple classifier that tells a camera's public reports of no face from those
of six, and the upper end of its 95 % interval; 0.5 is a coin (tests/unit/ingest/test_ingest_side_channel.py)."""


def presence_text() -> str:
    """Return what tells whether somebody is in front of a camera, and what does not."""
    return (
        f"A camera's public state and the services' metrics tell nobody from six faces by AUC {AREA:.2f} (95 % bound"
        f" {UPPER:.2f}; 0.5 is a coin) on a machine that keeps the promise: measured once on recorded lifetimes, not in"
        " this run. What still tells it: to the administrator, nats-server's own statistics and the machine's processor"
        " time; to everybody, a machine that is too slow (docs/privacy.md, Presence)."
    )
