"""BT.601 limited range, the colours of an I420 picture (ITU-R BT.601-7, section 2.5)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Rows R, G, B (0..255); columns Y - 16, U - 128, V - 128.
RGB_FROM_YUV: NDArray[np.float64] = np.array(
    [
        [255 / 219, 0.0, 1.402 * 255 / 224],
        [255 / 219, -0.344136 * 255 / 224, -0.714136 * 255 / 224],
        [255 / 219, 1.772 * 255 / 224, 0.0],
    ]
)
BGR_FROM_YUV: NDArray[np.float64] = RGB_FROM_YUV[::-1].copy()
