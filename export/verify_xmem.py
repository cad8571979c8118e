"""XMem's whole loop on engines against the plain network: the same masks over a clip?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from streamseg.config import MemoryConfig, WindowsConfig
from streamseg.propagation.xmem.loop import Network, XMemPropagator
from streamseg.synthetic import Scene, scene

IOU_LIMIT = 0.99
CLIP_FRAMES = 60
_MEAN = (0.485, 0.456, 0.406)
_DEVIATION = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True)
class PipelineVerdict:
    """How alike two runs of the loop are.

    Attributes:
        iou: Mean over objects and frames of their masks' overlap.
        difference: Largest difference of a probability.
        frames: Compared.
    """

    iou: float
    difference: float
    frames: int

    @property
    def passed(self) -> bool:
        return self.iou >= IOU_LIMIT


class Clip:
    """A synthetic clip at the network's size: pictures, and masks for the first one.

    Args:
        height: Of the pictures.
        width: Likewise.
        frames: How many.
        shown: The scene, of that size; none: one of a few objects.
    """

    def __init__(
        self, height: int, width: int, frames: int = CLIP_FRAMES, shown: Scene | None = None
    ) -> None:
        self._scene = shown or scene("medium", seed=7, size=(width, height))
        self.frames = frames

    def picture(self, index: int) -> Tensor:
        """(3, H, W) float32, ImageNet-normalised."""
        image, _ = self._scene.frame(index)
        pixels = torch.from_numpy(image).permute(2, 0, 1).float() / 255
        mean, deviation = torch.tensor(_MEAN), torch.tensor(_DEVIATION)
        return (pixels - mean[:, None, None]) / deviation[:, None, None]

    def masks(self, count: int | None = None) -> Tensor:
        """(n, H, W) float32: the first picture's objects, repeated up to `count`."""
        _, labels = self._scene.frame(0)
        masks = [torch.from_numpy(labels == id_).float() for id_ in np.unique(labels)[1:]]
        wanted = len(masks) if count is None else count
        return torch.stack([masks[index % len(masks)] for index in range(wanted)])


def verify_loop(
    network: Network,
    engines: Network,
    clip: Clip,
    memory: MemoryConfig,
    windows: WindowsConfig | None = None,
    on_frame: Callable[[], None] = lambda: None,
) -> PipelineVerdict:
    """Run a clip twice, side by side.

    Args:
        network: What is right.
        engines: What is judged.
        clip: Pictures and first masks.
        memory: Of the loop.
        windows: Likewise.
        on_frame: Called after every frame.
    """
    plain = XMemPropagator(network, memory, windows)
    judged = XMemPropagator(engines, memory, windows)
    found: list[float] = []
    difference = 0.0
    for index in range(clip.frames):
        image = clip.picture(index)
        masks = clip.masks() if index == 0 else None
        expected, got = plain.step(image, masks).cpu(), judged.step(image, masks).cpu()
        difference = max(difference, float((expected - got).abs().max()))
        found += overlaps(expected.argmax(0).numpy(), got.argmax(0).numpy(), len(expected))
        on_frame()
    return PipelineVerdict(float(np.mean(found)), difference, clip.frames)


def overlaps(a: NDArray[np.int64], b: NDArray[np.int64], labels: int) -> list[float]:
    """Overlap of each object that either of two index maps shows."""
    found = []
    for label in range(1, labels):
        one, other = a == label, b == label
        union = int((one | other).sum())
        if union:
            found.append(float((one & other).sum() / union))
    return found
