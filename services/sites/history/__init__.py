"""What was published, over time: windows folded into periods of a site's calendar (ADR 15). Pure.

Roll-ups are made of published windows alone and nothing is counted again, so subtracting published figures from a
longer period's tells nothing that was not published.
"""

from services.sites.history.rollup import MOST, RollUp, TooMany
from services.sites.history.spans import TimeRange, day_start, local, spans

__all__ = ["MOST", "RollUp", "TimeRange", "TooMany", "day_start", "local", "spans"]
