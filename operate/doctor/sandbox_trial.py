"""Enters inference's sandbox in a separate process, since no process can leave it again, and prints the result."""

import contextlib
import json
import sys
from pathlib import Path

from services.aggregate.settings import AggregateFile
from services.inference.settings import InferenceFile
from services.kernel.faults import StartError
from services.kernel.log import LogSettings, configure
from services.kernel.settings import load
from services.sandbox import Sandbox


def main(file: Path) -> None:
    """Print each measure with its state and the reason."""
    configure("doctor", LogSettings(level="error"))
    sandbox = Sandbox("inference", InferenceFile)
    with contextlib.suppress(StartError):  # the caller judges what is lacking
        sandbox.enter(file, load(file, AggregateFile))
    print(json.dumps({measure: [one.state, one.why] for measure, one in sandbox.findings.items()}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
