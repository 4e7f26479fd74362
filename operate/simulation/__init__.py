"""`moretta simulate`: passers-by who never were, with known truth, as a film or as sightings on the bus."""
