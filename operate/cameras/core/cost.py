"""What a stream costs ingest: decoding grows with its pixels and pictures, whatever is analysed of it.

Measured in processor time per analysed picture, five of which are analysed a second: 3 ms at 640x360 with 8 pictures a
second, 7 ms at 1280x720 with 8, 21 to 28 ms at 1920x1080 with 25 (docs/cameras.md). The line below gives 2.8, 5.2 and
24.3 ms: near enough to compare streams, and no forecast of a machine's load.
"""

PER_PICTURE_MS = 2.0
PER_MEGAPIXEL_MS = 2.15
_MUCH = 3.0
"""From this factor on another stream is worth the work of changing it."""
_SECOND_FPS = 8.0


def cost_ms(width: int, height: int, fps: float, analysed_fps: float) -> float:
    """Return the processor time in ms that ingest takes for each analysed picture of a stream."""
    return PER_PICTURE_MS + PER_MEGAPIXEL_MS * width * height / 1e6 * fps / analysed_fps


def saving(width: int, height: int, fps: float, *, analysed_fps: float, long_side: int) -> tuple[int, int, int] | None:
    """Return a smaller stream that would do, and the divisor by which it is cheaper; None if that is not worth it.

    The stream has `long_side` pixels and this stream's shape: (width, height, divisor).
    """
    longer = max(width, height)
    if longer <= 0 or fps <= 0:
        return None
    scale = min(1.0, long_side / longer)
    second = round(width * scale), round(height * scale)
    factor = cost_ms(width, height, fps, analysed_fps) / cost_ms(*second, min(fps, _SECOND_FPS), analysed_fps)
    return (*second, round(factor)) if factor >= _MUCH else None


_PARTS = {2: "half", 3: "a third", 4: "a quarter"}
_ORDINALS = {5: "fifth", 6: "sixth", 7: "seventh", 8: "eighth", 9: "ninth", 10: "tenth", 12: "twelfth"}


def part(divisor: int) -> str:
    """Return one part of so many, in words."""
    article = "an" if divisor == 8 else "a"
    named = f"{article} {_ORDINALS[divisor]}" if divisor in _ORDINALS else f"1/{divisor}"
    return "as much" if divisor <= 1 else _PARTS.get(divisor, named)
