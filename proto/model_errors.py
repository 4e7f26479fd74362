"""What a model's errors do to a rate in a place where nobody measured them (ADR 41). Part of other messages."""

from typing import Annotated

from msgspec import Meta, Struct

from proto.types import Fraction

ShareLimits = tuple[Fraction, Fraction]
"""The limits between which a share lies in 95 % of places."""
Ratio = Annotated[float, Meta(gt=0, le=1e3)]
RatioLimits = tuple[Ratio, Ratio]
"""The same of a ratio."""
Overdispersion = Annotated[float, Meta(ge=1, le=1e3)]
SourceCount = Annotated[int, Meta(ge=2)]


class ModelErrors(Struct, frozen=True, kw_only=True):
    """A model's errors as expected, and their limits, estimated from sources that it did not learn from."""

    sensitivity: Fraction
    """Of the masked people who are judged: the share that is judged masked."""
    sensitivity_limits: ShareLimits
    specificity: Fraction
    """Of the others who are judged (bare, or a badly worn mask): the share that is judged not masked."""
    specificity_limits: ShareLimits
    recall_ratio: Ratio
    """The share of masked people who are judged at all / that of the others."""
    recall_ratio_limits: RatioLimits
    overdispersion: Overdispersion
    """How much more the number of wrong verdicts varies within one place than if people were independent."""
    sources: SourceCount
    """From how many sources this was estimated."""
