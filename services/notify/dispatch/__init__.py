"""Dispatch: decides for each site who is told what and when, and stores each decision before it is delivered."""
