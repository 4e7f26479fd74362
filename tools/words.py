#!/usr/bin/env python
"""Updates the translation catalogues from the messages in the code. A new message stays empty."""

from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

NOTIFY = Path(__file__).resolve().parent.parent / "services" / "notify"
METHODS = [("**.py", "python"), ("templates/*_words.txt", "jinja2")]
OPTIONS = {"templates/*_words.txt": {"extensions": "jinja2.ext.do", "silent": "false"}}


def messages() -> Catalog:
    """Return the messages of notify's code and of its templates."""
    found = Catalog()
    for file, _, message, _, context in extract_from_dir(NOTIFY, METHODS, OPTIONS):
        found.add(message, locations=[(file, 0)], context=context)
    return found


def update() -> None:
    """Write the catalogues, and print what is to be translated."""
    for path in sorted(NOTIFY.glob("locale/*/LC_MESSAGES/moretta.po")):
        header = path.read_text().split("\n\n")[0].strip()
        catalogue = read_po(path.open("rb"))
        catalogue.update(messages(), no_fuzzy_matching=True)
        catalogue.obsolete.clear()
        found = [message for message in catalogue if message.id]
        for message in found:
            message.flags.clear()
        body = BytesIO()
        write_po(body, catalogue, width=0, sort_output=True, include_lineno=False, omit_header=True)
        path.write_text(f"{header}\n\n{body.getvalue().decode().strip()}\n")
        empty = [m for m in found if not all(m.string if isinstance(m.string, tuple) else [m.string])]
        print(f"{path}: {len(found)} messages, {len(empty)} to be translated", *(f"  {m.id}" for m in empty), sep="\n")


if __name__ == "__main__":
    update()
