"""What a NATS subject pattern takes, as the server decides it."""


def takes(pattern: str, subject: str) -> bool:
    """Return whether a pattern (`*` one token, a last `>` one or more) takes a subject, or all of another pattern."""
    want, have = pattern.split("."), subject.split(".")
    if want[-1] == ">":
        return len(have) >= len(want) and all(map(_token, want[:-1], have))
    return len(want) == len(have) and all(map(_token, want, have))


def overlap(one: str, other: str) -> bool:
    """Return whether there is a subject that both patterns take."""
    left, right = one.split("."), other.split(".")
    for a, b in zip(left, right, strict=False):
        if ">" in (a, b):
            return True
        if a != b and "*" not in (a, b):
            return False
    return len(left) == len(right)


def _token(want: str, have: str) -> bool:
    return want in {"*", have}
