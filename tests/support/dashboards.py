"""The Grafana dashboards as panels and queries, and as a table of what each query says."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from prometheus import FILES

DASHBOARD, OF_WINDOWS = FILES / "dashboard.json", FILES / "windows-dashboard.json"
"""Of the system, and of published windows."""
DASHBOARDS = (DASHBOARD, OF_WINDOWS)


def dashboard(file: Path) -> dict[str, Any]:
    """The whole of one."""
    return json.loads(file.read_text())


def panels(*files: Path) -> list[dict[str, Any]]:
    """All panels of these, or of all, without the rows' headings."""
    return [one for file in files or DASHBOARDS for one in dashboard(file)["panels"] if one["type"] != "row"]


def table(values: Callable[[str], list[tuple[dict[str, str], float]]]) -> str:
    """A table in Markdown: panel, expression (without selectors), and the first values that it has."""
    lines = ["| panel | expression | value |", "|---|---|---|"]
    for panel in panels():
        for query in panel["targets"]:
            found = [f"{_legend(query, labels)} {_number(value)}".strip() for labels, value in values(query["expr"])]
            more = f", {len(found) - 3} more" if len(found) > 3 else ""
            said = (
                ", ".join(sorted(found)[:3]) + more or "nothing here: " + panel["description"].split("Empty while ")[1]
            )
            lines.append(f"| {panel['title']} | `{_short(query['expr'])}` | {said} |")
    return "\n".join(lines) + "\n"


def _legend(query: dict[str, Any], labels: dict[str, str]) -> str:
    if query.get("format") == "table":
        return " ".join(labels.values())
    return re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), query["legendFormat"])


def _number(value: float) -> str:
    return f"{value:.4g}"


def _short(expression: str) -> str:
    bare = re.sub(r'(namespace|site|camera|zone)=~"\$\w+",? ?', "", expression)
    bare = bare.replace("{}", "").replace("moretta_", "")
    bare = bare.replace("$__rate_interval", "…").replace("$__range", "…").replace("|", "\\|")
    return bare if len(bare) <= 80 else bare[:79] + "…"
