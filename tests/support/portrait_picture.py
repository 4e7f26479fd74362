"""A picture with one face, as inference gets it: NASA's portrait of Eileen Collins (public domain) in planar I420."""

import av
import numpy as np
import skimage.data


def picture(width=640, height=360, rgb=None):
    """An I420 picture with the astronaut's portrait, or `rgb`, on its left, as high as fits; the rest is black."""
    rgb = skimage.data.astronaut() if rgb is None else rgb
    side = min(width, height)
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), "rgb24")
    small = frame.reformat(side, side, "yuv420p", dst_colorspace="itu601").to_ndarray()
    result = np.full((height * 3 // 2, width), 128, np.uint8)
    result[:height] = 16
    result[:side, :side] = small[:side]
    for target, source in zip(chroma(result), chroma(small), strict=True):
        target[: side // 2, : side // 2] = source
    return result


def chroma(i420):
    """Views of the two chroma planes."""
    height, width = i420.shape[0] * 2 // 3, i420.shape[1]
    return i420[height:].reshape(2, height // 2, width // 2)
