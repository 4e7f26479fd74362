"""Runs the proof beside a process that plants rows of the real film: `python leaking_proof.py SCRATCH`.

In a process and a network of its own, as `moretta prove`: it searches what the process started, and all that passes.
What was found is printed as JSON.
"""

import asyncio
import json
import sys
from pathlib import Path

from services.kernel.log import LogSettings, configure
from testbed.proof.capture import isolate
from testbed.proof.planting import canary_image, planted
from testbed.proof.proof import Proof, ProofOptions, prove
from testbed.proof.search import PLACES


async def leak(proof: Proof) -> None:
    """Plant rows of the real film wherever the planter plants canaries, and let them stay."""
    rows = {name: proof.secret.rows[index] for index, name in enumerate(PLACES)}
    holding = planted("leaker", rows, canary_image(), proof.ground)
    url = await holding.__aenter__()
    proof.closing.push_async_exit(holding)
    await proof.taps.of("aggregate").publish("moretta.v1.drift.leak.cam.2026-01-01", rows["bus"] + rows["jetstream"])
    # The page that notify would have served.
    proof.box.children["notify"].program.environment["MORETTA_PROBES__PORT"] = url.split(":")[2].split("/")[0]


if __name__ == "__main__":
    configure("moretta", LogSettings(level="error"))
    options = ProofOptions(seconds=2, trouble=False, isolated=isolate() is None, leak=leak)
    findings = asyncio.run(prove(Path(sys.argv[1]), options, lambda text: print(text, file=sys.stderr)))
    print(json.dumps(findings.figures()))
