"""`python -m services.inference -c FILE`."""

import sys

from services.app import main
from services.inference.service import wire
from services.inference.settings import InferenceFile

if __name__ == "__main__":
    sys.exit(main("inference", InferenceFile, wire))
