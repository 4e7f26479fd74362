"""Fills the layouts of mails with Jinja. The words come from the core; a layout knows no language."""

from collections.abc import Mapping

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from services.notify.core.reports.view import ReportView
from services.notify.core.texts.view import Bodies, MailView

_JINJA = Environment(
    loader=PackageLoader("services.notify", "templates"),
    autoescape=select_autoescape(["html"], default=False),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


def render(view: MailView) -> Bodies:
    """Return the plain and the HTML body. The HTML body escapes everything that comes from a name."""
    return Bodies(*(_JINJA.get_template(f"alert.{form}").render(view=view) for form in ("txt", "html")))


def render_report_bodies(view: ReportView, sources: Mapping[str, str]) -> Bodies:
    """Return both bodies of a daily report. `sources` maps each picture's name to its URL in the HTML."""
    filled = (_JINJA.get_template(f"report.{form}").render(view=view, sources=sources) for form in ("txt", "html"))
    return Bodies(*filled)
