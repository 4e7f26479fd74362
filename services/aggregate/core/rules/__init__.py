"""What follows from a window: rate alerts as a fold over windows, and operational alerts. Pure."""
