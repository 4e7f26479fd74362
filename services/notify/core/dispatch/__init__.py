"""The decisions on who is told what and when: routes, groups, silences, inhibition. Pure."""
