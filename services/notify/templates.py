"""Fills the layouts of mails with Jinja. A layout knows no language: `texts` and report_words.txt have the words."""

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from services.notify.texts.mail_contents import Bodies

_JINJA = Environment(
    loader=PackageLoader("services.notify", "templates"),
    autoescape=select_autoescape(["html"], default=False),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    extensions=["jinja2.ext.do"],
)


def render(name: str, **values: object) -> Bodies:
    """Return the plain and the HTML body of the layout `name`. HTML escapes everything that comes from a name."""
    return Bodies(*(_JINJA.get_template(f"{name}.{form}").render(values) for form in ("txt", "html")))


def variables(template: str, **values: object) -> Any:
    """Return the variables that a template sets at its top, as attributes. Nothing is escaped in them yet."""
    return _JINJA.get_template(f"{template}.txt").make_module(values)
