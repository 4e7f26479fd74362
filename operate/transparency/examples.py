"""Recognises what docs/site.example.yaml has in the place of an operator's own text. Pure."""

import re

EXAMPLES = frozenset({
    "Example Town, 1 Example Street",
    "who answers questions",
    "what the numbers are for",
    "How long backups are kept, what staff were told",
    "Durée des sauvegardes, information du personnel",
    "the data-protection officer",
    "on what it rests (GDPR Article 6(1))",
    "sur quoi il repose (RGPD, article 6(1))",
    "how somebody passes without being measured: another entrance, another hour",
    "comment passer sans être mesuré : une autre entrée, une autre heure",
    "whether numbers, mails and SMS go to other countries, and on what ground",
})  # fmt: skip
"""The texts of the example that are to be replaced; a test compares them with the file."""
_RESERVED = re.compile(r"(?:^|[.@/\s])example\.(?:org|com|net)\b", re.IGNORECASE)
"""Domains that nobody can have (RFC 2606)."""


def is_example(text: str) -> bool:
    """Return whether a text is still the example's, or names an address that is nobody's."""
    return text.strip() in EXAMPLES or _RESERVED.search(text) is not None
