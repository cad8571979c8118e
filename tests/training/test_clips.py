"""Training clips: what they hold, and that they are the same twice."""

from __future__ import annotations

from itertools import islice

import pytest
import torch

from streamseg.training.clips import ClipSizes, TrainingClips

SIZES = ClipSizes(frames=3, side=96, heights=(180, 240))


@pytest.fixture(scope="module")
def clips():
    return list(islice(TrainingClips(SIZES, seed=3), 6))


def test_shapes_and_values(clips):
    for images, masks in clips:
        assert images.shape == (3, 3, 96, 96)
        assert masks.shape == (3, 2, 96, 96)
        assert images.dtype == masks.dtype == torch.float32
        assert images.abs().max() < 3
        assert set(masks.unique().tolist()) <= {0.0, 1.0}


def test_objects_do_not_overlap_and_the_first_is_seen_at_once(clips):
    for _, masks in clips:
        assert masks.sum(1).max() <= 1
        assert masks[0, 0].sum() >= 80


def test_a_mask_lies_on_its_object(clips):
    """Inside and outside differ in colour, also where the clip is mirrored."""
    apart = [
        (images[:, masks[:, 0] > 0].mean(1) - images[:, masks[:, 0] == 0].mean(1)).abs().max()
        for images, masks in ((i.transpose(0, 1), m) for i, m in clips)
    ]
    assert sorted(apart)[len(apart) // 2] > 0.3


def test_the_same_seed_gives_the_same_clips(clips):
    again = list(islice(TrainingClips(SIZES, seed=3), 2))
    other = next(iter(TrainingClips(SIZES, seed=4)))
    for (images, masks), (images2, masks2) in zip(clips, again, strict=False):
        assert torch.equal(images, images2)
        assert torch.equal(masks, masks2)
    assert not torch.equal(other[0], clips[0][0])
