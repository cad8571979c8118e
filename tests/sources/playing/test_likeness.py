"""Same scene or another, on pictures made for it."""

from __future__ import annotations

import numpy as np
import pytest

from streamseg.sources.playing.likeness import alike
from streamseg.types import Image


def scene(seed: int, light: float = 1.0) -> Image:
    """(90, 160, 3) uint8: a coarse random picture, darker with less light."""
    coarse = np.random.default_rng(seed).integers(0, 255, (9, 16, 3)) * light
    return np.repeat(np.repeat(coarse, 10, axis=0), 10, axis=1).astype(np.uint8)


@pytest.mark.parametrize("light", [1.0, 0.3])
def test_a_scene_is_like_itself_with_something_moved_and_noise(light: float) -> None:
    before = scene(1, light)
    noise = np.random.default_rng(5).integers(-6, 7, before.shape)
    after = np.clip(before + noise, 0, 255).astype(np.uint8)
    after[20:60, 30:90] = 200
    assert alike(before, after)


@pytest.mark.parametrize("light", [1.0, 0.3])
def test_another_scene_is_not(light: float) -> None:
    assert not alike(scene(1, light), scene(2, light))


def test_plain_pictures() -> None:
    grey, dark = np.full((48, 64, 3), 128, np.uint8), np.full((48, 64, 3), 20, np.uint8)
    assert alike(grey, grey)
    assert not alike(grey, dark)
