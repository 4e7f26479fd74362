"""The proof's needles, image formats and verdicts: no I/O, no clock, no randomness."""
