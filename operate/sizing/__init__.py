"""`moretta size`: the resources that a number of cameras needs, by measurements."""

from typing import Literal

Sent = Literal["1080p25", "720p25", "720p8", "360p8"]
"""The streams that were measured: lines of a picture, and pictures a second."""
