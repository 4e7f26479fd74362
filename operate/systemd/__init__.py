"""`moretta service`: a systemd unit, so that a box goes on after a power cut."""
