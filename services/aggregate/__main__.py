"""`python -m services.aggregate -c FILE`."""

import sys

from services.aggregate.service import wire
from services.aggregate.settings import AggregateFile
from services.app import main

if __name__ == "__main__":
    sys.exit(main("aggregate", AggregateFile, wire))
