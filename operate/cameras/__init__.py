"""Finds cameras by ONVIF, shows their streams, and writes one into the settings (ADR 43)."""
