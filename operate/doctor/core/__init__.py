"""The findings from what the doctor saw. Pure."""
