"""A mail as one page for a browser: what `moretta notify preview` writes."""

from base64 import b64encode
from html import escape

from services.notify.texts.email_message import Letter
from services.notify.texts.words import Words

_LOOK = "margin:0;padding:12px 28px;background:#fff3c4;color:#5c4300;font:14px/20px system-ui,sans-serif"


def page_of(letter: Letter, words: Words) -> str:
    """Return a letter as HTML that needs no other file, below its subject and a line that says what it is."""
    html = letter.bodies.html
    for picture in letter.pictures:
        html = html.replace(f"cid:{picture.content_id}", f"data:image/png;base64,{b64encode(picture.png).decode()}")
    sample = words.gettext("Sample with made-up figures; nothing was sent.")
    subject = words.gettext("{label}: {text}", label=words.gettext("Subject"), text=letter.subject)
    head = f'<p style="{_LOOK}">{escape(sample)}<br><strong>{escape(subject)}</strong></p>'
    start = html.index(">", html.index("<body")) + 1
    return f"{html[:start]}\n{head}{html[start:]}"
