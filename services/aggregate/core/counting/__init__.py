"""People become tracks, passages and the tallies of a window. Pure."""
