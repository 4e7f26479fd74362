"""Fills the layouts of mails with Jinja. The words come from `texts` and `reports`; a layout knows no language."""

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from services.notify.texts.view import Bodies

_JINJA = Environment(
    loader=PackageLoader("services.notify", "templates"),
    autoescape=select_autoescape(["html"], default=False),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


def render(name: str, **values: object) -> Bodies:
    """Return the plain and the HTML body of the layout `name`. HTML escapes everything that comes from a name."""
    return Bodies(*(_JINJA.get_template(f"{name}.{form}").render(values) for form in ("txt", "html")))
