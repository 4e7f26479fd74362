"""`moretta prove` runs the real system on a known film and searches every place for traces of its pictures."""
