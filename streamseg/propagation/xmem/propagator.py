"""XMem as a propagator: frames and index maps outside, tensors and probabilities inside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from streamseg.config import XMemConfig
from streamseg.errors import MissingDependencyError
from streamseg.propagation import Propagator
from streamseg.types import Frame, Labels, Mask, Propagated

try:
    import torch
except ImportError:
    raise MissingDependencyError("torch", "neural", "XMem needs it.") from None

from torch import Tensor
from torch.nn import functional as F

from streamseg.engines.torch import pick_device
from streamseg.propagation.xmem.loop import Features, Network, XMemPropagator
from streamseg.weights import cache_dir, load_xmem

_MEAN = (0.485, 0.456, 0.406)
_DEVIATION = (0.229, 0.224, 0.225)
_DTYPES = {"float16": torch.float16, "float32": torch.float32}


class NeuralPropagator:
    """Carries masks by XMem at a working resolution.

    Args:
        network: XMem, on its device.
        config: Working height, memory, what is kept of buffered frames.
    """

    def __init__(self, network: Network, config: XMemConfig) -> None:
        self._config = config
        self._network = network
        self._eye = _Eye(network, config)
        self._core = XMemPropagator(network, config.memory, config.windows)
        self._shape = (0, 0)

    @classmethod
    def from_config(cls, config: XMemConfig) -> NeuralPropagator:
        """Load the network that the config names.

        Raises:
            CheckpointError: Its weights are missing or of another shape.
            MissingDependencyError: torch is not installed.
        """
        device = pick_device(config.device)
        network = load_xmem(config.checkpoint, str(device))
        if config.engine.is_plain:
            return cls(network, config)
        from streamseg.engines.xmem import on_engines

        cache = cache_dir() / "engines"
        return cls(on_engines(network, config.engine, cache, config.memory.top_k), config)

    def engines(self) -> dict[str, object]:
        """Which engines run the network; nothing where it runs as it is."""
        summary = getattr(self._network, "summary", None)
        return {} if summary is None else summary()

    @property
    def ids(self) -> tuple[int, ...]:
        return self._core.ids

    def step(self, frame: Frame, seeds: Mapping[int, Mask] | None = None) -> Propagated:
        """Advance to `frame`; see `Propagator.step`."""
        self._shape = (frame.height, frame.width)
        image, features = self._eye.look(frame, self._core)
        if not seeds:
            return self._published(self._core.step(image, features=features))
        size = (image.shape[2], image.shape[1])
        masks = torch.from_numpy(np.stack([_shrink(mask, size) for mask in seeds.values()]))
        return self._published(self._core.step(image, masks, tuple(seeds), features))

    def remove(self, ids: Iterable[int]) -> None:
        self._core.remove(ids)

    def spawn(self) -> NeuralPropagator:
        return self._with(self._core.spawn())

    def fork(self) -> NeuralPropagator:
        return self._with(self._core.fork())

    def adopt(self, lane: Propagator, ids: Mapping[int, int]) -> Propagated:
        """Take over the lane's objects; see `Propagator.adopt`.

        Raises:
            TypeError: The lane is another kind of propagator.
        """
        if not isinstance(lane, NeuralPropagator):
            raise TypeError(f"expected a lane of XMem, got {type(lane).__name__}")
        probabilities = self._core.adopt(lane._core, ids)
        self._shape = lane._shape
        return self._published(probabilities)

    def reset(self) -> None:
        self._core.reset()

    def _with(self, core: XMemPropagator) -> NeuralPropagator:
        twin = object.__new__(NeuralPropagator)
        twin._config, twin._eye, twin._core = self._config, self._eye, core
        twin._network = self._network
        twin._shape = self._shape
        return twin

    @torch.inference_mode()
    def _published(self, probabilities: Tensor) -> Propagated:
        """(n + 1, h, w) probabilities at working size to labels at the frame's, and scores."""
        ids = self._core.ids
        if not ids:
            return Propagated(np.zeros(self._shape, np.uint16), {})
        scores = dict(zip(ids, _confidence(probabilities), strict=True))
        full = probabilities
        if tuple(probabilities.shape[-2:]) != self._shape:
            full = F.interpolate(probabilities[None], self._shape, mode="bilinear")[0]
        names: Labels = np.array([0, *ids], np.uint16)
        return Propagated(names[full.argmax(0).cpu().numpy()], scores)


class _Eye:
    """Brings a frame to the network's size and range, and keeps what the network says of it."""

    def __init__(self, network: Network, config: XMemConfig) -> None:
        self._device = network.device
        self._height = config.height
        self._kept = _DTYPES.get(config.keep_features)
        # A key of its own per network, device and size: never equal to another's.
        self._memo_key = (object(), str(self._device), config.height)
        self._mean = torch.tensor(_MEAN, device=self._device)[:, None, None] * 255
        self._scale = 1 / (torch.tensor(_DEVIATION, device=self._device)[:, None, None] * 255)

    def look(self, frame: Frame, core: XMemPropagator) -> tuple[Tensor, Features]:
        """The frame as (3, h, w) float32, normalised, and its features."""
        image = self._normalised(frame)
        if self._kept is None:
            return image, core.encode(image)
        fresh: list[Any] = []

        def encode() -> Any:
            fresh.append(core.encode(image))
            return _cast(fresh[0], self._kept)

        kept = frame.memo(self._memo_key, encode)
        # What was computed just now is exact; only a replay sees the kept precision.
        return image, fresh[0] if fresh else _cast(kept, torch.float32)

    def _normalised(self, frame: Frame) -> Tensor:
        image: NDArray[Any] = frame.image
        short = min(frame.height, frame.width)
        if short > self._height:
            scale = self._height / short
            size = (round(frame.width * scale), round(frame.height * scale))
            image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        pixels = _tensor(image).to(self._device).permute(2, 0, 1)
        normalised: Tensor = (pixels.float() - self._mean) * self._scale
        return normalised


def _tensor(image: NDArray[Any]) -> Tensor:
    """A view of the picture; torch wants it writable, and nobody writes."""
    if not image.flags.writeable:
        image = image.copy()
    return torch.from_numpy(image)


def _cast(features: Any, dtype: torch.dtype | None) -> Any:
    """The same named tuple, each tensor in `dtype`."""
    return type(features)(*(tensor.to(dtype) for tensor in features))


def _shrink(mask: Mask, size: tuple[int, int]) -> NDArray[np.float32]:
    """(H, W) bool to (h, w) float32 coverage; `size` is (w, h)."""
    coverage: NDArray[Any] = mask.astype(np.float32)
    if (mask.shape[1], mask.shape[0]) != size:
        coverage = cv2.resize(coverage, size, interpolation=cv2.INTER_AREA)
    return coverage


def _confidence(probabilities: Tensor) -> list[float]:
    """Per object: how far its mean probability, over the pixels it wins, lies above a half.

    1 for certain, 0 for an object that wins no pixel or wins them by less than even odds.
    """
    best, winner = probabilities.flatten(1).max(0)
    pixels = torch.bincount(winner, minlength=len(probabilities))
    summed = torch.bincount(winner, best, minlength=len(probabilities))
    mean = summed / pixels.clamp(min=1)
    return [float(score) for score in (2 * mean[1:] - 1).clamp(0, 1)]
