"""A mail as a page: services.notify.texts.preview_page."""

from services.notify.languages import words_in
from services.notify.texts.email_message import InlineImage, Letter
from services.notify.texts.mail_contents import Bodies
from services.notify.texts.preview_page import page_of

HTML = '<html lang="fr"><body class="page"><img src="cid:chart@1"><p>Bonjour</p></body></html>'


def test_a_page_needs_no_other_file_and_says_what_it_is():
    """Its pictures are inside; above the mail stand its subject, escaped, and that it is a sample."""
    letter = Letter(
        "1" * 16, "1" * 16, None, "market", "field", 0, "fr", "57 % <ici>", Bodies("Bonjour", HTML),
        (InlineImage("chart@1", b"png"),),
    )  # fmt: skip
    page = page_of(letter, words_in("fr"))
    assert page.startswith('<html lang="fr"><body class="page">\n<p style=')
    assert page.endswith('<img src="data:image/png;base64,cG5n"><p>Bonjour</p></body></html>')
    assert "Exemple aux chiffres inventés\u202f; rien n’a été envoyé.<br>" in page
    assert "<strong>Objet\u00a0: 57 % &lt;ici&gt;</strong>" in page
