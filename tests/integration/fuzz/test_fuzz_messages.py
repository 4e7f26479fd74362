"""Nearly right messages and settings: refused with a reason, or within every limit of their type."""

import math
import time
from collections import Counter
from pathlib import Path

import msgspec
import pytest
from fuzzing import COUNT, altered, fuzzed, mutate, report, seeds
from golden import encodings, path_of
from hypothesis import given
from msgspec import Struct

from operate.settings_file import check
from operate.transparency.settings import TransparencyFile
from proto.codec import ContractError, decode_as, encode_as
from services.kernel.settings import Secret, SettingsError

DOCS = Path(__file__).parents[3] / "docs"
LIMIT_S = 30
"""Of processor time."""
"""A hang, not a slow machine."""
KINDS = list(encodings())


@pytest.mark.parametrize("kind", KINDS, ids=[kind.__name__ for kind in KINDS])
def test_no_message_is_accepted_that_breaks_its_type(kind: type[Struct]):
    """Refused with ContractError; else it can be written again, which checks each limit, and is read as the same."""
    encoding, counts, paths = encodings()[kind], Counter(), set()
    module = msgspec.json if encoding == "json" else msgspec.msgpack
    tree = module.decode(path_of(kind).read_bytes())
    golden = path_of(kind).read_bytes()
    corpus = [golden, *(path_of(other).read_bytes() for other in KINDS[:3] if other is not kind)]

    @fuzzed
    @given(seeds)
    def one(seed: int) -> None:
        data = mutate(corpus, seed) if seed % 4 == 0 else module.encode(altered(tree, seed))
        try:
            message = decode_as(kind, encoding, data)
        except ContractError as error:
            paths.add(error.path[:1])
            counts["refused"] += 1
            return
        assert not [number for number in numbers(message) if not math.isfinite(number)], data
        assert decode_as(kind, encoding, encode_as(encoding, message)) == message, data
        counts["accepted"] += 1

    one()
    report(kind.__name__, **counts)
    assert counts["refused"] > 0
    assert counts["accepted"] > 0 or COUNT < 1_000
    assert paths == {"$"}


def numbers(value: object):
    """Every float of a message, however deep."""
    if isinstance(value, Struct):
        value = [getattr(value, name) for name in value.__struct_fields__]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for part in value:
            yield from numbers(part)
    elif isinstance(value, float):
        yield value


def test_settings_are_good_or_their_problems_are_told(tmp_path: Path):
    """Every service's part of a broken file: no traceback, no hang, no line that shows a secret."""
    corpus = [text.encode() for text in (everything(), (DOCS / "site.example.yaml").read_text())]
    file, counts = tmp_path / "site.yaml", Counter()

    @fuzzed
    @given(seeds)
    def one(seed: int) -> None:
        file.write_bytes(mutate(corpus, seed, most=4))
        start = time.process_time()
        try:
            found = check(file)
        except SettingsError as error:  # no YAML at all
            found = [("", str(error))]
        assert time.process_time() - start < LIMIT_S  # minutes, if a depth cost what it may
        assert all("geheim" not in why for _, why in found), found
        counts["refused" if found else "accepted"] += 1

    one()
    report("settings", **counts)
    assert counts["refused"] > 0


def everything() -> str:
    """Return the example with all that is a comment in it, and secrets in place of their files."""
    text = (DOCS / "site.example.yaml").read_text()
    lines = [
        line.replace("# ", "", 1) if line.lstrip().startswith("# ") and ":" in line else line
        for line in text.splitlines()
    ]
    return "\n".join(lines).replace("_file: /run/secrets/", ": geheim-")


LAUGHS = ["a: &a [x, x, x, x, x, x, x, x, x]"] + [
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]" for before, name in zip("abcdefg", "bcdefgh", strict=True)
]
NAN = "{drawn_for: [.inf, .nan], areas: [[[.nan, 0], [1, 0], [0, 1]]]}"


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(LAUGHS),
        "sites: " + "[" * 1_500,
        "sites: " + "{a: " * 1_500,
        "? " * 3_000,
        "sites: !!python/object/apply:os.system [echo]",
        "sites: [{id: 2026-13-45}]",
        f"sites: [{{id: x, cameras: [{{id: a, url: /x, privacy: {NAN}}}]}}]",
        "nats: {url: !!binary aGVsbG8=}",
    ],
    ids=["laughs", "brackets", "braces", "keys", "python", "date", "nan", "binary"],
)  # fmt: skip
def test_settings_that_attack_the_reader_are_refused_at_once(tmp_path: Path, text: str):
    """Entities that grow, depth, types of other languages, numbers that are none."""
    file, start = tmp_path / "site.yaml", time.process_time()
    file.write_text(text)
    try:
        found = check(file)
    except SettingsError as error:
        found = error.problems
    assert found
    assert all(len(why) < 2_000 for _, why in found)
    assert time.process_time() - start < LIMIT_S  # minutes, if a depth cost what it may


def test_a_stand_in_is_never_a_secret():
    """The notice reads no secret, so none can be in it."""
    assert "*" in TransparencyFile.UNREAD
    assert "x" not in repr(Secret("x" * 9)).replace("Secret", "")
