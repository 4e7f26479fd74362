"""What was released of the contract: bytes of each message and its schema, a folder a release.

`python tests/support/released.py VERSION` adds a folder when a release is made; what is in one never changes.
"""

import json
import sys
from pathlib import Path
from typing import Any

from golden import encodings, path_of

from proto.schema import schema_of

FOLDER = Path(__file__).parent.parent / "contract" / "released"
RELEASES = sorted(FOLDER.iterdir()) if FOLDER.exists() else []
_SCHEMAS = "schemas.json"


def schemas_of(release: Path) -> dict[str, dict[str, Any]]:
    """Return the schemas of a release's messages by type name."""
    schemas: dict[str, dict[str, Any]] = json.loads((release / _SCHEMAS).read_text("utf-8"))
    return schemas


def add(version: str) -> Path:
    """Keep the contract as it is now; FileExistsError if that version was released already."""
    folder = FOLDER / version
    folder.mkdir(parents=True)
    for kind in encodings():
        (folder / path_of(kind).name).write_bytes(path_of(kind).read_bytes())
    schemas = {kind.__name__: schema_of(kind) for kind in encodings()}
    (folder / _SCHEMAS).write_text(json.dumps(schemas, indent=1, sort_keys=True) + "\n", "utf-8")
    return folder


if __name__ == "__main__":
    print(add(sys.argv[1]))
