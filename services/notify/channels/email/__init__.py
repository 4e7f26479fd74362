"""The channel e-mail: one mail for each recipient, handed to the mail server."""
