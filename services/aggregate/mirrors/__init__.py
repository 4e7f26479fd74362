"""Readers' mirrors of the public streams, and the limits of readers' consumers (ADR 45)."""
