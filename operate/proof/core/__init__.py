"""What is searched for, and what follows from what was found: no I/O, no clock, no randomness."""
