"""`moretta rules test`: a site's rules on written timelines, as `promtool test rules` does it for Prometheus."""
