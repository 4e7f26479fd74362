#!/usr/bin/env python
"""Builds a Grafana dashboard from its source.    tools/dashboard.py SOURCE JSON

For Grafana 11 and later. Panels flow from left to right in rows of 24 columns; the source explains a panel's keys.
"""

import json
import sys
from pathlib import Path
from typing import Any

import yaml

HEIGHT, WIDTH = 8, 24
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
DATASOURCE = {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus", "refresh": 1}
RUNBOOKS = {"name": "runbooks", "label": "Runbooks", "type": "textbox", "query": "docs/runbooks.md"}
HELD = {"lineInterpolation": "stepAfter", "spanNulls": False}
NO_LEGEND: dict[str, Any] = {"id": "custom.hideFrom", "value": {"legend": True, "tooltip": False, "viz": False}}
OPTIONS = {
    "timeseries": {
        "legend": {"displayMode": "list", "placement": "bottom"},
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
    "stat": {"reduceOptions": {"calcs": ["lastNotNull"]}, "textMode": "value_and_name", "colorMode": "value"},
    "bargauge": {"reduceOptions": {"calcs": ["lastNotNull"]}, "orientation": "horizontal", "displayMode": "basic"},
}


def expression(text: str, whole: dict[str, Any]) -> str:
    """Return a query on one line, with the dashboard's parts and selectors filled in."""
    for name, part in whole.get("parts", {}).items():
        text = text.replace(name, part)
    for name, selector in whole["selectors"].items():
        text = text.replace(f"{{{name}}}", f"{{{selector}}}").replace(f"{{{name},", f"{{{selector},")
    return " ".join(text.split())


def variable(name: str, query: str, *, single: bool) -> dict[str, Any]:
    """Return a variable. Its choice "All" also matches series without the label; a single one begins with the first."""
    choice: dict[str, Any] = {"multi": False, "includeAll": False, "current": {}}
    if not single:
        choice = {
            "multi": True, "includeAll": True, "allValue": ".*", "current": {"text": ["All"], "value": ["$__all"]},
        }  # fmt: skip
    return {
        "name": name, "label": name, "type": "query", "datasource": SOURCE, "query": {"query": query, "refId": name},
        "definition": query, "refresh": 2, "sort": 1, **choice,
    }  # fmt: skip


def panel(number: int, told: dict[str, Any], x: int, y: int) -> dict[str, Any]:
    """Return one panel at this place."""
    kind = told.get("type", "timeseries")
    made: dict[str, Any] = {
        "id": number, "title": told["title"],
        "description": told["about"] + (f" Empty while {told['empty']}." if "empty" in told else ""),
        "type": kind, "datasource": SOURCE,
        "gridPos": {"x": x, "y": y, "w": told.get("width", 8), "h": HEIGHT},
        "fieldConfig": {"defaults": defaults(told, kind), "overrides": overrides(told)},
        "options": OPTIONS.get(kind, {}),
        "targets": [asked(*one, kind) for one in enumerate(told["queries"].items())],
    }  # fmt: skip
    if kind == "table":
        made["transformations"] = transformations(list(told["queries"]))
    if "repeat" in told:
        made |= {"repeat": told["repeat"], "repeatDirection": "h", "maxPerRow": WIDTH // told.get("width", 8)}
    if "runbook" in told:
        made["links"] = [{"title": "Runbook", "url": f"${{runbooks}}#{told['runbook']}", "targetBlank": True}]
    return made


def defaults(told: dict[str, Any], kind: str) -> dict[str, Any]:
    """Return how a panel's values are shown."""
    is_instant = kind != "timeseries"
    steps = [{"color": told.get("base", "blue" if is_instant else "transparent"), "value": None}]
    steps += [{"color": colour, "value": value} for colour, value in told.get("limits", {}).items()]
    made = {"unit": told.get("unit", "none"), "thresholds": {"mode": "absolute", "steps": steps}}
    made |= {key: told[key] for key in ("decimals", "max", "noValue") if key in told}
    if "band" in told:
        made["color"] = {"mode": "fixed", "fixedColor": "blue"}
    if not is_instant:
        custom = {"fillOpacity": 5, "thresholdsStyle": {"mode": "line" if "limits" in told else "off"}}
        made |= {"min": 0, "custom": custom | (HELD if told.get("held") else {})}
    return made


def overrides(told: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what is special for one query: the ends of a band, the unit of a column."""
    special: dict[str, list[dict[str, Any]]] = {
        legend: [{"id": "unit", "value": unit}] for legend, unit in told.get("units", {}).items()
    }
    if "band" in told:
        lower, upper = told["band"]
        line: list[dict[str, Any]] = [{"id": "custom.lineWidth", "value": 0}, NO_LEGEND]
        special[lower] = [*line, {"id": "custom.fillOpacity", "value": 0}]
        fill = [{"id": "custom.fillBelowTo", "value": lower}, {"id": "custom.fillOpacity", "value": 20}]
        special[upper] = [*line, *fill]
    return [{"matcher": {"id": "byName", "options": name}, "properties": how} for name, how in special.items()]


def asked(place: int, query: tuple[str, str], kind: str) -> dict[str, Any]:
    """Return one query of a panel."""
    return {
        "refId": chr(65 + place), "datasource": SOURCE, "expr": query[1], "legendFormat": query[0],
        **({"range": True} if kind == "timeseries" else {"instant": True, "range": False}),
        **({"format": "table"} if kind == "table" else {}),
    }  # fmt: skip


def transformations(legends: list[str]) -> list[dict[str, Any]]:
    """Return what makes one table: of several queries each is a column, by its legend."""
    if len(legends) == 1:
        return [{"id": "organize", "options": {"excludeByName": {"Time": True}}}]
    names = {f"Value #{chr(65 + place)}": legend for place, legend in enumerate(legends)}
    columns = {"excludeByName": {"Time": True}, "renameByName": names}
    return [{"id": "merge", "options": {}}, {"id": "organize", "options": columns}]


def panels(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows and panels, laid out."""
    made: list[dict[str, Any]] = []
    x = y = 0
    for row in rows:
        place = {"x": 0, "y": y, "w": WIDTH, "h": 1}
        made.append({"id": len(made) + 1, "title": row["title"], "type": "row", "gridPos": place, "panels": []})
        x, y = 0, y + 1
        for told in row["panels"]:
            if x + told.get("width", 8) > WIDTH:
                x, y = 0, y + HEIGHT
            made.append(panel(len(made) + 1, told, x, y))
            x += told.get("width", 8)
        y += HEIGHT
    return made


def variables(told: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the dashboard's variables; where the runbooks are only if a panel leads there."""
    single = told.get("single", ())
    found = [
        variable(name, expression(query, told), single=name in single) for name, query in told["variables"].items()
    ]
    needs_runbooks = any("runbook" in panel for row in told["rows"] for panel in row["panels"])
    return [DATASOURCE, *found, *([RUNBOOKS] if needs_runbooks else [])]


def dashboard(told: dict[str, Any]) -> dict[str, Any]:
    """Return the whole dashboard."""
    for row in told["rows"]:
        for one in row["panels"]:
            one["queries"] = {legend: expression(query, told) for legend, query in one["queries"].items()}
    return {
        "title": told["title"], "uid": told["uid"], "tags": ["moretta"], "schemaVersion": 39, "version": 1,
        "editable": True, "description": told["about"], "refresh": "30s", "time": {"from": told["from"], "to": "now"},
        "timezone": "browser", "graphTooltip": 1,
        "templating": {"list": variables(told)}, "panels": panels(told["rows"]),
    }  # fmt: skip


if __name__ == "__main__":
    source, target = (Path(argument) for argument in sys.argv[1:])
    made = json.dumps(dashboard(yaml.safe_load(source.read_text())), indent=1, ensure_ascii=False)
    target.write_text(made + "\n")
