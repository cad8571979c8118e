"""Scenes by name: each a pure function from a seed to a clip, its objects and its sentences."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from pathlib import Path as FilePath
from typing import Protocol

import cv2
import numpy as np

from streamseg.errors import UsageError
from streamseg.synthetic import backgrounds, casting, expressions
from streamseg.synthetic.casting import Director, Part, Rules
from streamseg.synthetic.expressions import Expression
from streamseg.synthetic.motion import Camera
from streamseg.synthetic.stage import SceneObject, Stage, margins
from streamseg.synthetic.textures import load_textures
from streamseg.types import Image, Labels

SPLITS = ("train", "val", "test")
DEFAULT_SIZE = (640, 360)
DEFAULT_FPS = 30.0
DEFAULT_FRAMES = 120


class Play(Protocol):
    """What happens in a scene, moment by moment."""

    @property
    def objects(self) -> Sequence[SceneObject]:
        """Those who are in it from the first frame on."""

    @property
    def expressions(self) -> tuple[Expression, ...]:
        """What can be said about its first second."""

    def draw(self, t_s: float, index: int) -> tuple[Image, Labels]:
        """The picture and the ids at a time."""


class Scene:
    """A clip that is computed, not stored: any frame, in any order, always the same.

    Attributes:
        name: A key of `NAMES`.
        size: Width and height in pixels.
        frames: How many there are; the content of a frame does not depend on it.
    """

    def __init__(
        self, name: str, play: Play, size: tuple[int, int], fps: float, frames: int
    ) -> None:
        self.name = name
        self.size = size
        self.fps = fps
        self.frames = frames
        self._play = play

    def __len__(self) -> int:
        return self.frames

    @property
    def objects(self) -> tuple[SceneObject, ...]:
        """Those who are in it from the first frame on."""
        return tuple(self._play.objects)

    @property
    def expressions(self) -> tuple[Expression, ...]:
        """Sentences about its first second with their right answers."""
        return self._play.expressions

    def frame(self, index: int) -> tuple[Image, Labels]:
        """Draw one frame.

        Returns:
            (H, W, 3) uint8 RGB and (H, W) uint16 object ids, 0 = background; new arrays.

        Raises:
            IndexError: `index` is not in [0, frames).
        """
        if not 0 <= index < self.frames:
            raise IndexError(f"frame {index} of a scene of {self.frames} frames")
        return self._play.draw(index / self.fps, index)


class Clip:
    """One stage and a fixed cast."""

    def __init__(
        self,
        stage: Stage,
        objects: Sequence[SceneObject],
        order: Sequence[int],
        sentences: tuple[Expression, ...],
    ) -> None:
        """Args:
        order: Positions in `objects`, the hindmost first.
        """
        self.objects = tuple(objects)
        self.expressions = sentences
        self._stage = stage
        self._drawn = [self.objects[k] for k in order]

    def draw(self, t_s: float, index: int) -> tuple[Image, Labels]:
        return self._stage.draw(self._drawn, t_s, index)


class Setting:
    """What every scene is made from: the size, the seed's dice and perhaps pictures."""

    def __init__(
        self, name: str, size: tuple[int, int], seed: int, split: str, textures: FilePath | None
    ) -> None:
        self.size = size
        self.unit = min(size[0] / 640.0, size[1] / 360.0)
        self.rng = np.random.default_rng([SPLITS.index(split), zlib.crc32(name.encode()), seed])
        self.textures = load_textures(textures) if textures is not None else []

    def stage(self, rules: Rules, camera: Camera, ground: str, noise: float | None = None) -> Stage:
        """Paint a ground and set the light."""
        around = margins(self.size, camera)
        width, height = self.size[0] + 2 * around[0], self.size[1] + 2 * around[1]
        if self.textures:
            picture = self.textures[int(self.rng.integers(len(self.textures)))]
            image = _covering(picture, width, height)
        else:
            image = backgrounds.paint(ground, height, width, self.unit, self.rng)
        lit = casting.light(rules, self.rng)
        noise = rules.noise if noise is None else noise
        return Stage(image, self.size, camera, lit, noise, int(self.rng.integers(2**31)))

    def ground(self, rules: Rules) -> str:
        return str(self.rng.choice(rules.grounds))


def _covering(picture: Image, width: int, height: int) -> Image:
    """Scale and crop a picture so that it fills width × height."""
    scale = max(width / picture.shape[1], height / picture.shape[0])
    big = (
        max(width, round(picture.shape[1] * scale)),
        max(height, round(picture.shape[0] * scale)),
    )
    resized = cv2.resize(
        picture, big, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    )
    return np.ascontiguousarray(resized[:height, :width])


def _clip(setting: Setting, rules: Rules, cast: Callable[[str], list[Part]] | None = None) -> Clip:
    """Draw a cast by the rules, or take it from `cast` given the ground, and place it."""
    rng = setting.rng
    camera = casting.camera(rules, setting.unit, rng)
    ground = setting.ground(rules)
    stage = setting.stage(rules, camera, ground)
    hidden = backgrounds.HIDDEN_COLOURS[ground]
    drawn = cast(ground) if cast is not None else casting.parts(rules, hidden, rng)
    director = Director(setting.size, rules, camera, rng, setting.textures if rules.rank else ())
    objects = [item for part in drawn if (item := director.place(part)) is not None]
    order = rng.permutation(len(objects))
    sentences = expressions.write(objects, camera, setting.size, rules.rank, rng)
    return Clip(stage, objects, [int(k) for k in order], sentences)


def _level(name: str) -> Callable[[Setting], Play]:
    return lambda setting: _clip(setting, casting.RULES[name])


_PLAYS: dict[str, Callable[[Setting], Play]] = {
    "easy": _level("easy"),
    "medium": _level("medium"),
    "hard": _level("hard"),
}

NAMES = tuple(_PLAYS)
"""The levels, then the special scenes."""


def scene(
    name: str = "easy",
    seed: int = 1,
    split: str = "test",
    size: tuple[int, int] = DEFAULT_SIZE,
    fps: float = DEFAULT_FPS,
    frames: int = DEFAULT_FRAMES,
    textures: FilePath | None = None,
) -> Scene:
    """Make a scene.

    Args:
        name: A level or special scene, one of `NAMES`.
        split: "train", "val" or "test"; the same seed gives different scenes in each.
        size: Width and height, each at least 64.
        textures: A picture, a folder of pictures or a video to take grounds from.

    Raises:
        UsageError: An unknown name or split, or a size, rate or length that cannot be.
    """
    if name not in _PLAYS:
        raise UsageError(f"no synthetic scene named {name!r}; there are: {', '.join(NAMES)}")
    if split not in SPLITS:
        raise UsageError(f"no split named {split!r}; there are: {', '.join(SPLITS)}")
    if min(size) < 64 or max(size) > 8192:
        raise UsageError(f"expected a size from 64x64 to 8192x8192, got {size[0]}x{size[1]}")
    if not 0 < fps <= 1000 or frames < 1 or seed < 0:
        raise UsageError(
            f"expected fps in (0, 1000], frames ≥ 1 and seed ≥ 0, got {fps}, {frames} and {seed}"
        )
    return Scene(name, _PLAYS[name](Setting(name, size, seed, split, textures)), size, fps, frames)
