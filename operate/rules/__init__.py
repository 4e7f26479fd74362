"""`moretta rules test`: tests a site's rules on written timelines, as `promtool test rules` does for Prometheus."""
