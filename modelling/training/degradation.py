"""What light and a camera do to a picture: dark, over-exposed, blurred, moved, compressed."""

from __future__ import annotations

import io
import math
import random
from fractions import Fraction

import av
import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional
from torchvision.transforms.v2 import functional as transforms


def relit(pixels: Tensor, dice: random.Random) -> Tensor:
    """The RGB picture in other light: brightness, contrast, saturation, hue; at times dark and noisy, over-exposed or
    grey.
    """
    values = pixels.float()
    if dice.random() < 0.8:
        values = values * dice.uniform(0.6, 1.4)
        values = (values - values.mean()) * dice.uniform(0.6, 1.4) + values.mean()
        grey = values.mean(0, keepdim=True)
        values = grey + (values - grey) * dice.uniform(0.4, 1.5)
        values = values * torch.tensor([dice.uniform(0.88, 1.12) for _ in range(3)]).reshape(3, 1, 1)
    chance = dice.random()
    if chance < 0.12:
        values = 255 * (values.clamp(0, 255) / 255) ** dice.uniform(1.5, 3.0) * dice.uniform(0.3, 0.8)
        values = values + torch.randn_like(values) * dice.uniform(2, 10)
    elif chance < 0.2:
        values = values * dice.uniform(1.3, 2.0) + dice.uniform(0, 30)
    if dice.random() < 0.08:
        values = values.mean(0, keepdim=True).expand(3, -1, -1)
    return values.clamp(0, 255).to(torch.uint8)


def moved(pixels: Tensor, length: int, angle: float) -> Tensor:
    """The picture blurred along a line of `length` pixels at `angle` (radians), as by a movement."""
    steps = torch.linspace(-1, 1, 2 * length) * (length - 1) / 2
    side = length + 1 - length % 2
    kernel = torch.zeros(side, side)
    kernel[
        (steps * math.sin(angle) + side // 2).round().long(), (steps * math.cos(angle) + side // 2).round().long()
    ] = 1
    kernel = (kernel / kernel.sum()).expand(len(pixels), 1, side, side)
    blurred = functional.conv2d(pixels[None].float(), kernel, padding=side // 2, groups=len(pixels))
    return blurred[0].clamp(0, 255).to(torch.uint8)


def jpeg(pixels: Tensor, quality: int) -> Tensor:
    """The RGB picture [3, H, W] after JPEG of a quality from 0 to 95."""
    written = io.BytesIO()
    Image.fromarray(pixels.permute(1, 2, 0).contiguous().numpy()).save(written, "JPEG", quality=quality)
    with Image.open(written) as picture:
        return torch.from_numpy(np.array(picture)).permute(2, 0, 1).contiguous()


def h264(pixels: Tensor, quantiser: int) -> Tensor:
    """The RGB picture [3, H, W], sides even, after H.264 at a constant rate factor (0 to 51; 23 is x264's default)."""
    coder = av.CodecContext.create("libx264", "w")
    coder.height, coder.width = pixels.shape[1:]
    coder.pix_fmt, coder.time_base, coder.thread_count = "yuv420p", Fraction(1, 25), 1
    coder.options = {"preset": "ultrafast", "tune": "zerolatency", "crf": str(quantiser)}
    frame = av.VideoFrame.from_ndarray(pixels.permute(1, 2, 0).contiguous().numpy(), "rgb24")
    # One thread: a pool of threads would not be there in the processes that are forked to make scenes.
    packets = [*coder.encode(frame.reformat(format="yuv420p", threads=1)), *coder.encode(None)]
    reader = av.CodecContext.create("h264", "r")
    frames = [got for packet in packets for got in reader.decode(packet)] + list(reader.decode(None))
    return torch.from_numpy(frames[0].reformat(format="rgb24", threads=1).to_ndarray()).permute(2, 0, 1).contiguous()


def filmed(pixels: Tensor, dice: random.Random) -> Tensor:
    """The RGB picture after a poor camera: at times blurred, moved or compressed (JPEG or H.264)."""
    chance = dice.random()
    if chance < 0.13:
        pixels = transforms.gaussian_blur(pixels, [5, 5], [dice.uniform(0.5, 1.6)])
    elif chance < 0.2:
        pixels = moved(pixels, dice.randint(3, 8), dice.uniform(0, math.pi))
    chance = dice.random()
    if chance < 0.2:
        pixels = jpeg(pixels, dice.randint(25, 85))
    elif chance < 0.32:
        pixels = h264(pixels, dice.randint(24, 40))
    return pixels
