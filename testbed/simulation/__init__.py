"""`moretta simulate`: simulated passers-by with a known truth, as a film or as sightings on the bus."""
