"""A real film in which nothing moves, and then somebody comes: which pictures its camera hands on."""

from itertools import pairwise

import clips
import numpy as np
from watched_camera import MS, take, watching

STILL_S, FPS = 6, 10


def picture(width: int, height: int, index: int) -> np.ndarray:
    """A grey ramp; from the sixth second on a bright block goes across it."""
    ramp = np.broadcast_to(np.linspace(40, 160, width, dtype=np.uint8), (height, width))
    found = np.repeat(ramp[:, :, None], 3, axis=2).copy()
    if index >= STILL_S * FPS:
        left = (index - STILL_S * FPS) * 6
        found[40:120, left : left + 30] = 230
    return found


async def test_one_a_second_until_somebody_comes(tmp_path):
    """Five a second for two seconds, then one, which vouches for a second; the first that differs comes at once."""
    clip = clips.make_clip(tmp_path / "film.mp4", fps=FPS, pictures=9 * FPS, picture=picture)
    async with watching(str(clip), when_still="one-a-second", paced=False) as (camera, _):  # so nothing is shed
        first = await camera.take()
        periods, times = [first.period_ns], [first.at]
        first.release()
        while (times[-1] - times[0]) / 1e9 < 8.0:
            one = await camera.take()
            periods.append(one.period_ns)
            times.append(one.at)
            one.release()
        stats = camera.stats()
    seconds = [(at - times[0]) / 1e9 for at in times]
    still = [at for at in seconds if 2.5 < at < STILL_S - 0.3]
    assert 2 <= len(still) <= 5, seconds
    assert all(0.85 < b - a < 1.15 for a, b in pairwise(still))
    assert {period for at, period in zip(seconds, periods, strict=True) if at in still} == {1_000 * MS}
    moving = [at for at in seconds if at >= STILL_S - 0.05]
    assert moving[0] - STILL_S < 0.25
    assert len(moving) >= 9, "five a second again"
    assert periods[-1] == 200 * MS
    assert stats.sampled == stats.unmoved + len(times)
    assert stats.unmoved >= 10


async def test_by_default_all_are_analysed(tmp_path):
    """The same film."""
    clip = clips.make_clip(tmp_path / "film.mp4", fps=FPS, pictures=5 * FPS, picture=picture)
    async with watching(str(clip), paced=False) as (camera, _):  # so nothing is shed
        kept = await take(camera, 20)
        assert camera.stats().unmoved == 0
    assert all((b[1] - a[1]) / 1e9 < 0.45 for a, b in pairwise(kept))
