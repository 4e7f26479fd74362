"""`moretta transparency`: documents for the public and for a data-protection officer, from the settings.

The notice has two layers, as the Article 29 Working Party recommends (WP260 rev.01, §35; EDPB Guidelines 3/2019, §7):
a sign where the cameras are, and a page with everything that GDPR Article 13 asks for.
"""
