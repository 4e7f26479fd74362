"""`moretta size`: what a number of cameras needs, from what was measured."""

from typing import Literal

Resolution = Literal["1080p", "720p"]
"""What was measured; each with 25 pictures a second."""
