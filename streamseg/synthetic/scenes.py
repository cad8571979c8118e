"""Scenes by name: each a pure function from a seed to a clip, its objects and its sentences."""

from __future__ import annotations

from pathlib import Path

from streamseg.errors import UsageError
from streamseg.masking import legible
from streamseg.synthetic.plays import PLAYS, SPLITS, Play, Setting
from streamseg.synthetic.sentences.expressions import Expression
from streamseg.synthetic.shifting import LENGTH_S, shifts
from streamseg.synthetic.stage import SceneObject
from streamseg.types import Image, Labels

DEFAULT_SIZE = (640, 360)
DEFAULT_FPS = 30.0
LENGTHS_S = {"reentry": 7.5, "cut": 6.0, "shifts": LENGTH_S, "endless": 20_000 / 30}
"""How long a scene lasts by default where 4 s is not enough."""
MOST_FRAMES = 10**9
MOST_SEEDS = 2**64
LONGEST_S = 1e9
_PLAYS = {**PLAYS, "shifts": shifts}
NAMES = tuple(_PLAYS)
"""The levels, then the special scenes."""


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


def _brief(number: int) -> str:
    return str(number) if abs(number) < 10**30 else f"one of {number.bit_length()} bits"


def scene(
    name: str = "easy",
    seed: int = 1,
    split: str = "test",
    size: tuple[int, int] = DEFAULT_SIZE,
    fps: float = DEFAULT_FPS,
    frames: int | None = None,
    textures: Path | None = None,
    per_kind: int = 2,
) -> Scene:
    """Make a scene.

    Args:
        name: A level or special scene, one of `NAMES`.
        split: "train", "val" or "test"; the same seed gives different scenes in each.
        size: Width and height, each at least 64.
        frames: How many; None for as many as the scene needs to show what it is about.
        textures: A picture, a folder of pictures or a video to take grounds from.
        per_kind: Most sentences of each kind, on the levels; the pictures do not depend on it.

    Raises:
        UsageError: An unknown name or split, or a size, rate or length that cannot be.
    """
    if name not in _PLAYS:
        raise UsageError(f"no synthetic scene named {name!r}; there are: {', '.join(NAMES)}")
    if split not in SPLITS:
        raise UsageError(f"no split named {legible(split)!r}; there are: {', '.join(SPLITS)}")
    if min(size) < 64 or max(size) > 8192:
        width, height = map(_brief, size)
        raise UsageError(f"expected a size from 64x64 to 8192x8192, got {width}x{height}")
    if not 0 < fps <= 1000:
        raise UsageError(f"expected fps in (0, 1000], got {fps}")
    frames = max(1, round(LENGTHS_S.get(name, 4.0) * fps)) if frames is None else frames
    if frames < 1 or seed < 0:
        raise UsageError(
            f"expected frames ≥ 1 and seed ≥ 0, got {_brief(frames)} and {_brief(seed)}"
        )
    if frames > MOST_FRAMES or seed > MOST_SEEDS or frames / fps > LONGEST_S:
        raise UsageError(
            f"expected at most {MOST_FRAMES} frames, {LONGEST_S:g} s and a seed of 64 bits, "
            f"got {_brief(frames)} at {fps:g} a second and {_brief(seed)}"
        )
    setting = Setting(name, size, seed, split, textures, per_kind)
    return Scene(name, _PLAYS[name](setting), size, fps, frames)
