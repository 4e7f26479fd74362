"""Writes the table of reasons for gaps in docs/messages.md from services/statistics/gap_reasons.py."""

import re
import sys
from pathlib import Path

from services.statistics.gap_reasons import GAP_REASONS

_TABLE = re.compile(r"(### Gaps\n\n(?:\|.*\n){2})(?:\|.*\n)*")


def with_table(document: str) -> str:
    """Return the document with a row for each reason; the heading and the head of the table are the document's own."""
    rows = "".join(f"| `{reason}` | {texts.meaning} |\n" for reason, texts in GAP_REASONS.items())
    return _TABLE.sub(lambda found: found[1] + rows, document)


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(with_table(path.read_text("utf-8")), "utf-8")
    print(path)
