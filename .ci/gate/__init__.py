"""The gate, which decides whether work lands. `.ci/run` runs all of it, `make test` its stages."""
