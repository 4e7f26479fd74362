"""The channels: one way each to reach a recipient, with what the settings say of it."""
