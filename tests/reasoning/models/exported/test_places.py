"""Positions and windows in numpy against transformers' own, for pictures of odd sizes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import transformers
from transformers.vision_utils import (
    get_vision_interpolation_indices_and_weights,
    get_vision_position_ids,
    get_vision_window_index,
)

from streamseg.reasoning.models.exported.places import Sight, text_positions, vision_inputs

GRIDS = [(2, 2), (4, 10), (6, 34), (18, 8), (2, 40)]
IMAGE = 7


def rows(grid: tuple[int, int]) -> np.ndarray:
    """Patches that are their own number, (P, 3)."""
    return np.repeat(np.arange(grid[0] * grid[1], dtype=np.float32)[:, None], 3, axis=1)


@pytest.mark.parametrize("grid", GRIDS)
def test_patches_stand_where_transformers_puts_them(grid: tuple[int, int]) -> None:
    inputs, kept = vision_inputs(rows(grid), grid, Sight(2))
    expected = get_vision_position_ids(torch.tensor([[1, *grid]]), 2).numpy()
    assert (inputs["positions"].reshape(-1, 2) == expected).all()
    assert inputs["patches"].shape == (grid[0] * grid[1] // 4, 4, 3)
    assert (kept == np.arange(len(inputs["patches"]))).all()


@pytest.mark.parametrize("grid", GRIDS)
def test_windows_hold_what_transformers_windows_hold(grid: tuple[int, int]) -> None:
    inputs, kept = vision_inputs(rows(grid), grid, Sight(2, window=4))
    order, ends = get_vision_window_index(torch.tensor([[1, *grid]]), 2, 4 * 2 * 14, 14)
    cells = order.numpy()
    expected = [
        set((cells[start // 4 : end // 4, None] * 4 + np.arange(4)).reshape(-1).tolist())
        for start, end in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True)
    ]
    numbers, there = inputs["patches"][..., 0], inputs["there"]
    assert numbers.shape == there.shape == (len(expected), 64)
    assert [set(window[seen].tolist()) for window, seen in zip(numbers, there, strict=True)] == (
        expected
    )
    flat = numbers.reshape(-1, 4)[kept]
    assert (flat == np.arange(grid[0] * grid[1]).reshape(-1, 4)).all()
    places = get_vision_position_ids(torch.tensor([[1, *grid]]), 2).numpy()
    assert (inputs["positions"][there] == places[numbers[there].astype(int)]).all()


@pytest.mark.parametrize("grid", GRIDS)
def test_the_learnt_grid_is_tapped_as_transformers_taps_it(grid: tuple[int, int]) -> None:
    inputs, _ = vision_inputs(rows(grid), grid, Sight(2, table=8))
    taps, weights = get_vision_interpolation_indices_and_weights(
        torch.tensor([[1, *grid]]), 8, "bilinear", align_corners=True, spatial_merge_size=2
    )
    table = np.random.default_rng(0).normal(size=(64, 5)).astype(np.float32)
    mine = (table[inputs["taps"]] * inputs["weights"][..., None]).sum(-2).reshape(-1, 5)
    expected = (table[taps.numpy()] * weights.numpy()[..., None]).sum(-2)
    np.testing.assert_allclose(mine, expected, atol=1e-5)


@pytest.mark.parametrize("kind", ["Qwen2VLModel", "Qwen2_5_VLModel", "Qwen3VLModel"])
def test_tokens_are_counted_as_transformers_counts_them(kind: str) -> None:
    grids = [(2, 2), (4, 10), (8, 6)]
    ids = [1, 2]
    for down, across in grids:
        ids += [IMAGE] * (down * across // 4) + [3, 4, 5]
    given = torch.tensor([ids])
    model: Any = getattr(transformers, kind)
    with torch.device("meta"):
        network = model(model.config_class())
    expected, deltas = network.get_rope_index(
        given,
        mm_token_type_ids=(given == IMAGE).int(),
        image_grid_thw=torch.tensor([[1, *grid] for grid in grids]),
    )
    found = text_positions(ids, IMAGE, grids, 2)
    assert (found == expected[:, 0].numpy()).all()
    assert found.max() + 1 - len(ids) == int(deltas[0, 0])


def test_words_alone_count_from_nought() -> None:
    assert (text_positions([1, 2, 3], IMAGE, [], 2) == np.arange(3)).all()


@pytest.mark.parametrize(
    ("ids", "grids", "said"),
    [
        ([1, IMAGE, 2], [], "expected 0 runs"),
        ([1, 2], [(2, 2)], "expected 1 runs"),
        ([1, IMAGE, 2], [(2, 4)], "expected 2 picture tokens"),
        ([1, IMAGE, IMAGE, 2], [(2, 2)], "expected 1 picture tokens"),
    ],
)
def test_other_runs_than_the_pictures_are_refused(
    ids: list[int], grids: list[tuple[int, int]], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        text_positions(ids, IMAGE, grids, 2)
