"""Dispatch: decides for each site which receiver is notified and when, and stores each decision before its delivery."""
