"""`moretta check-config`: a settings file, or values of the chart, checked before anything runs with them."""
