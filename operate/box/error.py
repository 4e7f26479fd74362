"""What a box cannot do: apart from the box, since every command of the command line knows it."""


class BoxError(Exception):
    """The box cannot run; the text says why."""
