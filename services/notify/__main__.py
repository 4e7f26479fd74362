"""`python -m services.notify -c FILE`: tells people about alerts by e-mail."""

import sys

from services.app import main
from services.notify.service import wire
from services.notify.settings import NotifyFile

if __name__ == "__main__":
    sys.exit(main("notify", NotifyFile, wire))
