"""Writes docs/metrics.md, the tables of all metrics and spans, from the services' own registries and outcome enums.

`python -P tools/metrics_table.py FILE` writes it. Each service is imported in a separate process, because a process has
only one registry.
"""

import json
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import get_args

from proto.frames import Outcome
from proto.notifications import NotificationReason, WithheldReason
from proto.permissions import SERVICES
from proto.public import DeliveryOutcome, DeliveryReason
from proto.subjects import STREAMS, TABLE, Account
from proto.types import CameraReason, CameraState, Channel
from services.aggregate.core.exchange import DropReason
from services.aggregate.mirrors.keeper import State as ReaderState
from services.bus.service.micro import Fate
from services.ingest.core.attempts import Ended
from services.kernel.tls import Use
from services.kernel.tracing.span import ATTRIBUTES, SPANS
from services.kernel.tracing.span import DropReason as SpanDropReason
from services.notify.channels.sms.report_server import Made
from services.sandbox.measures import MEASURES, STATES

Values = tuple[str, ...] | str
"""All values that a label may have, or their source in words."""
LABELS: dict[str, Values] = {
    "site": "the settings' sites",
    "camera": "the settings' cameras",
    "zone": "the settings' zones, and `_site`, the whole site",
    "condition": "`running`, `settings`, `nats`, `rights`, `storing`, `clock`, by site `site NAME`, `streams of NAME`",
    "account": get_args(Account),
    "row": tuple(sorted({row.message.__name__ for row in TABLE})),
    "stream": tuple(stream.name for stream in STREAMS),
    "channel": get_args(Channel),
    "made": get_args(Made),
    "measure": MEASURES,
    "use": get_args(Use),
    "side": ("own", "authority", "peer"),
    "day": ("today", "yesterday", "baseline"),
    "quantile": ("0.1", "0.5", "0.9"),
    "decoder": "FFmpeg's name of the one decoder that a camera has, or `none`",
    "decoded": "`all` pictures, or the `referenced` ones, on which others depend",
    "size": "the one size that a camera's pictures have, or `unknown`",
    "service": SERVICES,
    "version": "Moretta's own",
    "python": "the one that runs it",
    "build": "a digest of the wheel's own files, which tells two builds of a version apart",
    "id": "the model in use",
    "sha256": "the model in use",
    "moretta_drift_stayed_share.day": ("today", "yesterday"),
    "moretta_settings_reloads.outcome": ("applied", "invalid"),
    "moretta_bus_questions.outcome": get_args(Fate),
    "moretta_camera_state.state": get_args(CameraState),
    "moretta_camera_failures.reason": get_args(CameraReason),
    "moretta_ingest_frames.outcome": get_args(Ended),
    "moretta_inference_frames.outcome": get_args(Outcome),
    "moretta_sandbox_state.state": STATES,
    "moretta_readers.state": get_args(ReaderState),
    "moretta_aggregate_dropped_messages.reason": get_args(DropReason),
    "moretta_aggregate_stream_reach_seconds.stream": ("SIGHTINGS",),
    "moretta_notify_attempts.outcome": get_args(DeliveryOutcome),
    "moretta_notify_attempts.reason": get_args(DeliveryReason),
    "moretta_notify_recorded.outcome": get_args(DeliveryOutcome),
    "moretta_notify_recorded.reason": get_args(DeliveryReason),
    "moretta_notify_notifications.reason": get_args(NotificationReason),
    "moretta_notify_withheld.reason": get_args(WithheldReason),
    "moretta_tracing_spans_dropped.reason": get_args(SpanDropReason),
}
"""By label, or by metric and label if several metrics have a label of that name."""
_SUFFIX = {"counter": "_total", "info": "_info"}
_UNITS = ("seconds", "bytes", "ratio", "share", "pixels", "fps", "info")
_IN_WORDS = {
    "row": "the types of the messages in [subjects.md](subjects.md)",
    "stream": "the streams in [architecture.md](architecture.md#on-the-bus)",
}
"""The words that replace many values in the document."""


@dataclass(frozen=True, order=True)
class Measured:
    """One metric, as its service has it. `name` is the family's, without the suffix of its type."""

    name: str
    type: str
    tells: str
    labels: tuple[str, ...]
    services: tuple[str, ...] = ()

    @property
    def exposed(self) -> str:
        """Its name as Prometheus sees it."""
        return self.name + _SUFFIX.get(self.type, "")

    @property
    def unit(self) -> str:
        """The unit, with which its name ends; empty for a plain count."""
        last = self.name.rpartition("_")[2]
        return last if last in _UNITS else ""


def values_of(metric: str, label: str) -> Values:
    """Return the values that a label of a metric family may have; KeyError if `LABELS` lacks the label."""
    return LABELS.get(f"{metric}.{label}") or LABELS[label]


_LISTING = str(Path(__file__).with_name("metrics_of_service.py"))


@cache
def everything() -> tuple[Measured, ...]:
    """Return the metrics of all services, by name. The result is cached: it takes a process for each service."""
    found: dict[Measured, list[str]] = {}
    for service in SERVICES:
        command = [sys.executable, "-P", _LISTING, service]
        listed = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
        for name, kind, tells, labels in listed:
            found.setdefault(Measured(name, kind, tells, tuple(labels)), []).append(service)
    return tuple(sorted(Measured(m.name, m.type, m.tells, m.labels, tuple(of)) for m, of in found.items()))


def markdown() -> str:
    """Return the document."""
    lines = [_HEAD, "| metric | type, unit | of | tells | labels |", "|---|---|---|---|---|"]
    lines += map(_row, everything())
    lines += ["", _SPANS, "| span | kind | tells |", "|---|---|---|"]
    lines += [f"| `{name}` | {kind} | {tells} |" for name, (kind, tells) in SPANS.items()]
    return "\n".join(lines) + "\n"


def _row(metric: Measured) -> str:
    of = "all" if metric.services == SERVICES else ", ".join(metric.services)
    kind = f"{metric.type}, {metric.unit}" if metric.unit and metric.unit != "info" else metric.type
    labels = "; ".join(_label(metric.name, label) for label in metric.labels)
    return f"| `{metric.exposed}` | {kind} | {of} | {metric.tells} | {labels} |"


def _label(metric: str, label: str) -> str:
    values = values_of(metric, label)
    words = values if isinstance(values, str) else ", ".join(f"`{value}`" for value in values)
    words = _IN_WORDS.get(label, words) if f"{metric}.{label}" not in LABELS else words
    return f"**{label}**: {words}"


_HEAD = """# Metrics and spans

Made by `make contracts` from the services themselves; what to watch, and why, is in
[operations.md](operations.md#probes-and-metrics). Beside these there are prometheus_client's `process_*` (processor
time, memory, open files) and `python_info`. No metric carries a verdict, or a count of people finer than a published
window: `moretta_window_*` are those windows, and are there only where `aggregate.publish_metrics` says so
([other-systems.md](other-systems.md#prometheus)). Times are times: a picture with more faces takes longer
([privacy.md](privacy.md#not-promised)).

Values of labels are all that there can be. `all` are all four services, each where it has a use for it: only ingest,
aggregate and notify watch their clock, and a service without a camera, a site or a certificate has no series of any.
The series of a site or camera go when it goes from the settings; gauges also when another replica takes it over.

## Metrics
"""
_SPANS = f"""## Spans

Of [traces](operations.md#traces). A span has a name, times, what it is within and what it comes from, and of these
attributes those that fit: {", ".join(f"`moretta.{name}`" for name in ATTRIBUTES)}.
"""


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(markdown(), encoding="utf-8")
