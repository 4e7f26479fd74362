"""Published figures for people: `moretta stats`, `report` and `calibrate`."""
