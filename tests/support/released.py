"""What was released of the contract, a folder a release: bytes of each message, its schema, subjects and rights.

`python tests/support/released.py VERSION` adds a folder when a release is made; what is in one never changes. Each has
the checksums of its files, and of the checksums of the releases before it.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from compatibility import Schema, incompatible
from golden import encodings, path_of
from kept import FOLDER, SUMS, checksum, releases
from msgspec import Struct
from offered import narrowed, offered

from proto.codec import ContractError, decode_as, encode_as
from proto.subjects import Encoding
from schemas import schema_of

_SCHEMAS, _OFFERED = "schemas.json", "subjects.json"
_DECODE: dict[str, Any] = {"json": msgspec.json.decode, "msgpack": msgspec.msgpack.decode}


@dataclass(frozen=True)
class Contract:
    """What is promised: the messages' schemas by type name, and the public subjects (`offered`)."""

    schemas: dict[str, Schema]
    subjects: dict[str, Any]


def present() -> Contract:
    """Return the contract as it is now."""
    schemas = {kind.__name__: schema_of(kind) for kind in encodings()}
    return Contract(schemas, offered())


def frozen(release: Path) -> Contract:
    """Return the contract of a release."""
    return Contract(*(json.loads((release / name).read_text("utf-8")) for name in (_SCHEMAS, _OFFERED)))


def taken_away(old: Contract, new: Contract) -> Iterator[str]:
    """Yield what a release promised and `new` does not, each with its message or subject and its path."""
    for name, schema in old.schemas.items():
        told = incompatible(schema, new.schemas[name]) if name in new.schemas else ["is gone"]
        yield from (f"{name}: {one}" for one in told)
    yield from narrowed(old.subjects, new.subjects)


def add(version: str, folder: Path = FOLDER) -> Path:
    """Keep the contract as it is now; FileExistsError if that version was released already."""
    release, now = folder / version, present()
    release.mkdir(parents=True)
    for kind in encodings():
        (release / path_of(kind).name).write_bytes(path_of(kind).read_bytes())
    for name, part in ((_SCHEMAS, now.schemas), (_OFFERED, now.subjects)):
        (release / name).write_text(json.dumps(part, indent=1, sort_keys=True) + "\n", "utf-8")
    own = [path.name for path in sorted(release.iterdir())]
    earlier = [f"../{one.name}/{SUMS}" for one in releases(folder) if one != release]
    lines = [f"{checksum(release / name)}  {name}\n" for name in own + earlier]
    (release / SUMS).write_text("".join(lines), "utf-8")
    return release


def lost(release: Path) -> Iterator[str]:
    """Yield the messages whose released bytes are refused now, or lose something when they are read."""
    kinds = {kind.__name__: (kind, encoding) for kind, encoding in encodings().items()}
    for path in sorted(release.iterdir()):
        if path.name not in {_SCHEMAS, _OFFERED, SUMS} and path.stem in kinds:
            yield from _lost(path, *kinds[path.stem])


def _lost(path: Path, kind: type[Struct], encoding: Encoding) -> Iterator[str]:
    if path.suffix != f".{encoding}":
        yield f"{path.stem}: was {path.suffix[1:]}, is {encoding}"
        return
    try:
        again = encode_as(encoding, decode_as(kind, encoding, path.read_bytes()))
    except ContractError as error:
        yield str(error)
        return
    if not is_within(*(_DECODE[encoding](data) for data in (path.read_bytes(), again))):
        yield f"{path.stem}: not all of it is read"


def is_within(old: Any, new: Any) -> bool:
    """Whether all that one version knows of a message is in what the other knows of it, with the same values."""
    if isinstance(old, dict) and isinstance(new, dict):
        return all(key in new and is_within(value, new[key]) for key, value in old.items())
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(is_within, old, new))
    return bool(old == new)


if __name__ == "__main__":
    print(add(sys.argv[1]))
