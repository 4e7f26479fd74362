"""matplotlib's fonts."""

import os

from services.inference.report_charts import Figure


def open_fonts() -> None:
    """Draw a word: matplotlib keeps a font open once it was used, which is not what a test leaves behind."""
    figure = Figure()
    figure.text(0, 0, "moretta")
    figure.savefig(os.devnull, format="png")
