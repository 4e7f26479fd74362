"""Runs ingest with WebRTC on 127.0.0.1 alone, so that a test needs no network: `loopback_ingest.py ingest -c FILE`."""

import runpy
import sys

import aioice.ice

aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]
sys.argv = [f"services.{sys.argv[1]}", *sys.argv[2:]]
runpy.run_module("services.ingest", run_name="__main__")
