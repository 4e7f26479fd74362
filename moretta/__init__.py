"""The command line: each command reads its options and calls what does the work. Wiring alone (ADR 51)."""
