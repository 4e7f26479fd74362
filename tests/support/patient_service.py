"""Runs ingest or inference with 2 s for a picture, not 100 ms, so that a slow machine sheds none: NAME -c FILE."""

import runpy
import sys

from services.frames import budget  # and nothing that numpy is in: it starts threads before the sandbox is entered

budget.BUDGET_NS = 2_000_000_000
budget.Shedder.__init__.__defaults__ = (budget.BUDGET_NS, 0)
sys.argv = [f"services.{sys.argv[1]}", *sys.argv[2:]]
runpy.run_module(sys.argv[0], run_name="__main__")
