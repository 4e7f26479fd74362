"""The contract: messages, subjects, codec and schemas. Knows msgspec and the standard library only."""
