"""Charts of published periods, drawn without a screen: `moretta stats` and notify's reports look alike (ADR 19)."""
