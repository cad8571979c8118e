"""SAM2's eye: brings pictures and masks to the network's square, and looks at each picture once.

What the image encoder says of a frame is memoised on it under the encoder's weights and precision,
not under the stage that asked: where two stages run the same checkpoint, one look serves both.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Protocol

from streamseg.config import EngineConfig
from streamseg.engines.manifest import weights_sha256
from streamseg.errors import MissingDependencyError
from streamseg.types import Frame, Image, Mask

try:
    import torch
except ImportError:
    raise MissingDependencyError("torch", "neural", "SAM2 needs it.") from None

from torch import Tensor
from torch.nn import functional as F

_MEAN = (0.485, 0.456, 0.406)
_DEVIATION = (0.229, 0.224, 0.225)
"""ImageNet's, of each channel in [0, 1]."""

Features = tuple[Tensor, Tensor, Tensor]
"""What the network says of a picture without knowing any object: embedding, middle and fine."""


class Encoder(Protocol):
    """What the eye calls of a network; see `streamseg.nets.sam2_image.Sam2Image`."""

    size: int

    @property
    def device(self) -> torch.device: ...

    @property
    def dtype(self) -> torch.dtype: ...

    def look(self, image: Tensor) -> Features: ...


class Eye:
    """Looks at frames for one stage.

    Args:
        network: On its device.
        kept: How features are kept on a frame; None: they are not.
        sight: See `sight_of`; none: nobody else's looks are like this one's.
    """

    def __init__(
        self, network: Encoder, kept: torch.dtype | None, sight: Hashable | None = None
    ) -> None:
        self._network, self._kept = network, kept
        self._sight = object() if sight is None else sight
        device = network.device
        deviation = torch.tensor(_DEVIATION, device=device)[:, None, None]
        self._scale = 1 / (255 * deviation)
        self._shift = -torch.tensor(_MEAN, device=device)[:, None, None] / deviation

    def look(self, frame: Frame) -> Features:
        """The frame's features; a frame seen before is not encoded again."""
        if self._kept is None:
            return self._encode(frame.image)
        fresh: list[Features] = []

        def encode() -> Features:
            fresh.append(self._encode(frame.image))
            return _cast(fresh[0], self._kept)

        kept = frame.memo(self._sight, encode)
        # What was computed just now is exact; only a second look sees the kept precision.
        return fresh[0] if fresh else _cast(kept, self._network.dtype)

    def squared(self, mask: Mask) -> Tensor:
        """(H, W) bool to (1, S, S) float32, 0 or 1."""
        given = torch.tensor(mask, device=self._network.device).float()
        return (self._square(given[None, None])[0] >= 0.5).float()

    def _encode(self, image: Image) -> Features:
        # A copy, since the frame's memory may be read-only, which torch refuses to share.
        pixels = torch.tensor(image, device=self._network.device).permute(2, 0, 1)[None].float()
        return self._network.look(self._square(pixels) * self._scale + self._shift)

    def _square(self, picture: Tensor) -> Tensor:
        side = self._network.size
        return resized(picture, (side, side))


def sight_of(encoder: torch.nn.Module, engine: EngineConfig) -> Hashable:
    """What tells looks apart: the encoder's weights, how precisely it runs, and where it lies."""
    device = next(encoder.parameters()).device
    return "sam2", weights_sha256(encoder), engine.precision, engine.autocast, device


def resized(picture: Tensor, size: tuple[int, int]) -> Tensor:
    """(1, C, H, W) to another size, bilinear with antialiasing, as SAM2's own transform."""
    if tuple(picture.shape[-2:]) == size:
        return picture
    return F.interpolate(picture, size, mode="bilinear", align_corners=False, antialias=True)


def _cast(features: Features, dtype: torch.dtype | None) -> Features:
    embedding, middle, fine = (tensor.to(dtype) for tensor in features)
    return embedding, middle, fine
