"""Short training clips cut out of synthetic scenes: pictures, and exact masks of a few objects."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import IterableDataset

from streamseg.synthetic import Scene, scene
from streamseg.types import Image, Labels

MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)
LEVELS = ("easy", "medium", "hard")
_ASPECT = 4 / 3
_Picture = TypeVar("_Picture", Image, Labels)
_TRIES = 20
_FEWEST_PIXELS = 80
_LARGEST_SHARE = 0.7


@dataclass(frozen=True, slots=True)
class ClipSizes:
    """What a training clip looks like.

    Attributes:
        frames: T.
        side: S: height and width of the crop, a multiple of 16.
        objects: N; where a scene shows fewer, the rest of the masks are empty.
        heights: Least and greatest height that scenes are drawn at, in pixels.
        longest_gap: Most frames of a 30 fps scene between two of the clip.
        clips_a_scene: Making a scene costs more than drawing it: how many clips each gives.
    """

    frames: int = 5
    side: int = 160
    objects: int = 2
    heights: tuple[int, int] = (180, 480)
    longest_gap: int = 6
    clips_a_scene: int = 2


class TrainingClips(IterableDataset[tuple[Tensor, Tensor]]):
    """Clips without end; the same for the same seed.

    Yields:
        Pictures (T, 3, S, S) float32, ImageNet-normalised, and masks (T, N, S, S) float32 of the
        same objects throughout. Every object with a mask is seen on the first picture.

    Args:
        sizes: See there.
        seed: Of the scenes and of everything drawn by lot.
        split: Of the synthetic scenes.
    """

    def __init__(self, sizes: ClipSizes, seed: int, split: str = "train") -> None:
        self._sizes = sizes
        self._seed = seed
        self._split = split

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        worker = torch.utils.data.get_worker_info()
        random = np.random.default_rng((self._seed, worker.id if worker else 0))
        while True:
            height = int(random.integers(*self._sizes.heights, endpoint=True))
            size = (max(self._sizes.side, int(_ASPECT * height)), max(self._sizes.side, height))
            level = str(random.choice(LEVELS))
            play = scene(level, int(random.integers(1 << 30)), self._split, size)
            for _ in range(self._sizes.clips_a_scene):
                clip = self._clip(play, random)
                if clip is not None:
                    yield clip

    def _clip(self, play: Scene, random: np.random.Generator) -> tuple[Tensor, Tensor] | None:
        frames = self._frames(play, random)
        _, first = play.frame(int(frames[0]))
        for _ in range(_TRIES):
            corner = self._corner(first, random)
            ids = _seen(self._cut(first, corner), self._sizes.side)
            if len(ids):
                break
        else:
            return None
        ids = random.permutation(ids)[: self._sizes.objects]
        pictures, masks = [], []
        look = _Look.drawn(random)
        for index in frames:
            image, labels = play.frame(int(index))
            pictures.append(look.applied(self._cut(image, corner), random))
            cut = self._cut(labels, corner)
            found = [cut == id_ for id_ in ids]
            found += [np.zeros_like(cut, bool)] * (self._sizes.objects - len(ids))
            masks.append(np.stack(found))
        stacked = np.stack(masks).astype(np.float32)
        if look.mirrored:
            stacked = stacked[..., ::-1].copy()
        return torch.stack(pictures), torch.from_numpy(stacked)

    def _frames(self, play: Scene, random: np.random.Generator) -> NDArray[np.int64]:
        """Rising, or falling: a video backwards is a video."""
        gaps = random.integers(1, self._sizes.longest_gap, self._sizes.frames - 1, endpoint=True)
        steps = np.concatenate(([0], np.cumsum(gaps)))
        start = int(random.integers(0, max(1, len(play) - int(steps[-1]))))
        frames: NDArray[np.int64] = np.minimum(start + steps, len(play) - 1)
        return frames[::-1] if random.random() < 0.3 else frames

    def _corner(self, labels: Labels, random: np.random.Generator) -> tuple[int, int]:
        """Top and left of a crop around a pixel of some object, wherever it falls in the crop."""
        side, (height, width) = self._sizes.side, labels.shape
        ids = np.unique(labels[labels > 0])
        if not len(ids):
            return 0, 0
        places = np.argwhere(labels == random.choice(ids))
        y, x = places[random.integers(len(places))] - random.integers(0, side, 2)
        return int(np.clip(y, 0, height - side)), int(np.clip(x, 0, width - side))

    def _cut(self, picture: _Picture, corner: tuple[int, int]) -> _Picture:
        y, x = corner
        return picture[y : y + self._sizes.side, x : x + self._sizes.side]


@dataclass(frozen=True, slots=True)
class _Look:
    """How a whole clip is changed: a scene's colours are not the only ones there are."""

    gain: NDArray[np.float32]
    shift: float
    gamma: float
    noise: float
    blur: float
    mirrored: bool

    @classmethod
    def drawn(cls, random: np.random.Generator) -> _Look:
        return cls(
            gain=random.uniform(0.75, 1.25, 3).astype(np.float32),
            shift=float(random.uniform(-0.1, 0.1)),
            gamma=float(np.exp(random.uniform(-0.35, 0.35))),
            noise=float(random.choice((0.0, 0.0, 0.01, 0.03))),
            blur=float(random.choice((0.0, 0.0, 0.7, 1.2))),
            mirrored=bool(random.random() < 0.5),
        )

    def applied(self, image: Image, random: np.random.Generator) -> Tensor:
        """(S, S, 3) uint8 to (3, S, S) float32, normalised."""
        pixels = image.astype(np.float32) / np.float32(255)
        pixels = pixels ** np.float32(self.gamma) * self.gain + np.float32(self.shift)
        if self.blur:
            pixels = cv2.GaussianBlur(pixels, (0, 0), self.blur).astype(np.float32)
        if self.noise:
            grain = random.standard_normal(pixels.shape, np.float32)
            pixels = pixels + np.float32(self.noise) * grain
        if self.mirrored:
            pixels = pixels[:, ::-1]
        mean, deviation = np.array(MEAN, np.float32), np.array(DEVIATION, np.float32)
        normalised = (pixels.clip(0, 1) - mean) / deviation
        return torch.from_numpy(np.ascontiguousarray(normalised.transpose(2, 0, 1)))


def _seen(labels: Labels, side: int) -> Labels:
    """Ids with enough pixels to be told by, and not so many that there is no outside."""
    ids, counts = np.unique(labels[labels > 0], return_counts=True)
    seen: Labels = ids[(counts >= _FEWEST_PIXELS) & (counts <= _LARGEST_SHARE * side * side)]
    return seen
