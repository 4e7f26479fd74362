"""What `moretta nats-config --stream NAME=SIZE` says: which streams are to be larger than the table has them."""

from collections.abc import Mapping

from operate.identities import limits
from proto.subjects import STREAMS, Stream
from services.bus.sizes import Sizes, in_words, problems, size_of
from services.kernel.settings import SettingsError

_COMMAND, OPTION = "moretta nats-config", "--stream"


def sizes_of(given: list[str], known: tuple[Stream, ...] = STREAMS) -> Sizes | None:
    """Return bytes by stream, None for nothing. SettingsError for no size, another stream, or less than the table's."""
    told = {}
    for one in given:
        name, is_there, size = one.partition("=")
        if not is_there:
            raise SettingsError(_COMMAND, [(OPTION, f"{one!r} is no NAME=SIZE, such as WINDOWS=2GiB")])
        told[name.upper()] = size
    if wrong := list(problems(told, known)):
        raise SettingsError(_COMMAND, [(OPTION, f"{name}: {why}") for name, why in wrong])
    return {name: size_of(size) for name, size in told.items()} or None


def joined(before: Sizes, given: Sizes | None) -> dict[str, int]:
    """Return the sizes from now on; of a stream that gets the table's size none is kept."""
    table = {stream.name: stream.max_bytes for stream in STREAMS}
    return {name: size for name, size in {**before, **(given or {})}.items() if size > table[name]}


def told(sizes: Sizes) -> str:
    """Return a line for people: which streams have other sizes than the table's."""
    return f"larger than by itself: {', '.join(f'{name} {in_words(size)}' for name, size in sizes.items())}"


def limits_told(sizes: Mapping[str, int]) -> str:
    """Return what a site's server may hold then, for people."""
    found = {name: size >> 20 for name, size in limits(sizes).items()}
    return f"JetStream may hold {found['max_file_store']} MiB on the disk and {found['max_memory_store']} in memory"
