"""The mails' layouts, filled by Jinja. The words come from the core; a layout knows no language."""

from collections.abc import Mapping

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from services.notify.core.report_content import ReportView
from services.notify.core.view import Bodies, MailView

_JINJA = Environment(
    loader=PackageLoader("services.notify", "templates"),
    autoescape=select_autoescape(["html"], default=False),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


def render(view: MailView) -> Bodies:
    """Return the plain and the HTML body; everything that comes from a name is escaped in the latter."""
    return Bodies(*(_JINJA.get_template(f"alert.{form}").render(view=view) for form in ("txt", "html")))


def render_report_bodies(view: ReportView, sources: Mapping[str, str]) -> Bodies:
    """Return both bodies of a daily report; `sources` says for each picture's name where the HTML finds it."""
    filled = (_JINJA.get_template(f"report.{form}").render(view=view, sources=sources) for form in ("txt", "html"))
    return Bodies(*filled)
