"""What is to be said of what the doctor saw. Pure."""
