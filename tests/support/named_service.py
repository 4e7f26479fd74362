"""Runs a service, as `python -m services.NAME` does, after it has said whose code it is."""

import json
import runpy
import sys
from importlib.metadata import version
from pathlib import Path

import proto
import services

name = sys.argv.pop(1)
said = {"event": "code", "service": name, "version": version("moretta")}
said |= {part.__name__: str(Path(str(part.__file__)).parent) for part in (proto, services)}
sys.stderr.write(json.dumps(said) + "\n")
runpy.run_module(f"services.{name}", run_name="__main__", alter_sys=True)
