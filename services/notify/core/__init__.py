"""The pure part of notify: wording, messages, outcomes, order. No I/O, no clock, no randomness."""
