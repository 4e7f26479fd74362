"""`python -m services.ingest -c FILE`."""

import sys

from services.app import main
from services.ingest.service import wire
from services.ingest.settings import IngestFile

if __name__ == "__main__":
    sys.exit(main("ingest", IngestFile, wire))
