"""Decoding in windows: exact where it is used, whole where it would not be."""

import numpy as np
import pytest
import torch

from streamseg.config import MemoryConfig, WindowsConfig
from streamseg.nets.xmem import selftest_xmem
from streamseg.propagation.xmem import XMemPropagator
from streamseg.propagation.xmem.windows import (
    CELL,
    HALO,
    MASK_HALO,
    WORTH,
    Side,
    cover,
    decode_in_windows,
    reaching_out,
    whereabouts,
)

ROWS, COLUMNS = 24, 36
SIZE = (12, 14)
CONFIG = WindowsConfig(from_objects=1, high=SIZE[0], wide=SIZE[1])
MEMORY = MemoryConfig(mem_every=3, top_k=8)


def noise(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator)


def biased(bias=0.0):
    """The selftest network, its masks' log-odds moved by `bias`, which keeps it as it is else."""
    network = selftest_xmem()
    network.decoder.pred.bias += bias
    return network


class Counting:
    """A network that remembers how many objects or windows each call decoded."""

    def __init__(self, network):
        self._network = network
        self.decoded, self.refined = [], []

    def __getattr__(self, name):
        return getattr(self._network, name)

    def decode(self, features, readout, sensory, *, update):
        self.decoded.append(len(readout))
        return self._network.decode(features, readout, sensory, update=update)

    def refine(self, skip8, skip4, fused, sensory, *, update):
        self.refined.append(len(fused))
        return self._network.refine(skip8, skip4, fused, sensory, update=update)


def scene(objects=3, dtype=torch.float32, network=None):
    """Network, features, readout and sensory memory of a picture of ROWS × COLUMNS cells."""
    network = (network or biased()).to(dtype)
    with torch.inference_mode():
        features = network.encode_key(noise(1, 3, CELL * ROWS, CELL * COLUMNS).to(dtype))
    readout = noise(objects, 32, ROWS, COLUMNS, seed=1).to(dtype)
    sensory = noise(objects, 16, ROWS, COLUMNS, seed=2).to(dtype)
    return network, features, readout, sensory


def flags(*boxes, objects=1):
    """(n, h, w) cells, from boxes of (object, top, bottom, left, right)."""
    found = np.zeros((objects, ROWS, COLUMNS), np.bool_)
    for at, top, bottom, left, right in boxes:
        found[at, top:bottom, left:right] = True
    return found


# ── a window's exact part ────────────────────────────────────────────────────────────────────

PLACES = [(0, 0), (0, 22), (12, 0), (12, 22), (0, 11), (6, 0), (5, 9)]


@pytest.mark.parametrize(("row", "column"), PLACES)
@torch.inference_mode()
def test_a_window_is_exact_but_for_its_halo(row, column):
    """In float64, so that nothing but the halo can differ; at every kind of edge and corner."""
    network, features, readout, sensory = scene(1, torch.float64)
    expected, expected_state = network.decode(features, readout, sensory)
    fused = network.fuse(features, readout, sensory)
    down, across = Side(row, SIZE[0], ROWS), Side(column, SIZE[1], COLUMNS)

    def cut(tensor, stride):
        return tensor[:, :, down.whole(stride), across.whole(stride)]

    got, state = network.refine(
        cut(features.skip8, 2), cut(features.skip4, 4), cut(fused, 1), cut(sensory, 1)
    )

    def differences(halo):
        rows, own_rows = down.inner(halo, CELL)
        columns, own_columns = across.inner(halo, CELL)
        masks = (got[:, own_rows, own_columns] - expected[:, rows, columns]).abs().max()
        rows, own_rows = down.inner(halo, 1)
        columns, own_columns = across.inner(halo, 1)
        there = expected_state[..., rows, columns]
        return float(masks), float((state[..., own_rows, own_columns] - there).abs().max())

    assert differences(MASK_HALO)[0] < 1e-12
    assert differences(HALO)[1] < 1e-12
    assert differences(MASK_HALO - 1)[0] > 1e-6, "a smaller halo would do"
    assert differences(HALO - 1)[1] > 1e-6, "a smaller halo would do"


# ── where windows go ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("seed", range(8))
def test_exact_cells_cover_every_place_where_an_object_can_be(seed):
    random = np.random.default_rng(seed)
    for _ in range(50):
        cells = np.zeros((ROWS, COLUMNS), np.bool_)
        for _ in range(random.integers(1, 3)):
            top, left = random.integers(0, ROWS), random.integers(0, COLUMNS)
            cells[top : top + random.integers(1, 6), left : left + random.integers(1, 6)] = True
        windows = cover(cells, 5, SIZE)
        covered = np.zeros_like(cells)
        for window in windows:
            assert window.at == 5
            assert (window.rows.length, window.columns.length) == SIZE
            assert 0 <= window.rows.start <= ROWS - SIZE[0]
            assert 0 <= window.columns.start <= COLUMNS - SIZE[1]
            covered[slice(*window.rows.exact(HALO)), slice(*window.columns.exact(HALO))] = True
        if windows:
            assert covered[cells].all()
            assert len(windows) * SIZE[0] * SIZE[1] <= WORTH * ROWS * COLUMNS


def test_one_window_in_the_middle_where_it_fits_and_as_few_as_will_do():
    (window,) = cover(flags((0, 8, 12, 10, 16))[0], 0, SIZE)
    assert (window.rows.start, window.columns.start) == (4, 6)
    (window,) = cover(flags((0, 0, 8, 0, 10))[0], 0, SIZE)
    assert (window.rows.start, window.columns.start) == (0, 0)
    (window,) = cover(flags((0, 16, 24, 26, 36))[0], 0, SIZE)
    assert (window.rows.start, window.columns.start) == (12, 22)
    assert len(cover(flags((0, 0, 2, 0, 2), (0, 22, 24, 34, 36))[0], 0, SIZE)) == 2
    assert len(cover(flags((0, 8, 12, 10, 18))[0], 0, SIZE)) == 2
    assert len(cover(flags((0, 4, 6, 5, 7), (0, 14, 18, 24, 28))[0], 0, SIZE)) == 2


@pytest.mark.parametrize("cells", [flags()[0], flags((0, 0, 24, 0, 36))[0]])
def test_no_windows_for_what_is_nowhere_or_everywhere(cells):
    assert cover(cells, 0, SIZE) == []


def test_a_picture_lower_than_a_window_has_lower_windows():
    cells = np.zeros((5, 60), np.bool_)
    cells[1:3, 20:24] = True
    (window,) = cover(cells, 0, SIZE)
    assert window.rows.whole(1) == slice(0, 5)
    assert window.rows.exact(HALO) == (0, 5)


def test_an_object_can_be_where_it_was_and_where_the_memory_sees_it():
    solo = torch.zeros(2, CELL * ROWS, CELL * COLUMNS)
    solo[0, 5 * CELL - 1, 7 * CELL] = 0.06
    solo[1, 0, 0] = 0.04
    remembered = torch.zeros(2, ROWS, COLUMNS)
    remembered[1, 20, 30] = 0.3
    expected = flags((0, 4, 5, 7, 8), (1, 20, 21, 30, 31), objects=2)
    assert np.array_equal(whereabouts(solo, remembered), expected)


# ── decoding ─────────────────────────────────────────────────────────────────────────────────


@torch.inference_mode()
def test_where_nothing_reaches_out_windows_equal_whole_decoding():
    """Log-odds so low that nothing counts as seen: what was refined stands, the rest as before."""
    network, features, readout, sensory = scene(network=biased(-40.0))
    expected, expected_state = network.decode(features, readout, sensory)
    kept = sensory.clone()
    before = torch.full_like(expected, 0.01)
    can_be = flags(
        (0, 0, 3, 0, 3), (1, 8, 12, 8, 12), (2, 2, 4, 2, 4), (2, 20, 22, 30, 32), objects=3
    )
    counting = Counting(network)
    solo, state = decode_in_windows(
        counting, features, readout, sensory, before, can_be, CONFIG, update=True
    )
    assert (counting.refined, counting.decoded) == ([4], [])
    assert torch.equal(sensory, kept)
    assert bool((before == 0.01).all())
    pixels = torch.from_numpy(can_be.repeat(CELL, 1).repeat(CELL, 2))
    torch.testing.assert_close(solo[pixels], expected[pixels], rtol=1e-3, atol=1e-9)
    assert float(expected[pixels].max()) > 0
    cells = torch.from_numpy(can_be)
    moved = (state - sensory).abs().amax(1)
    ours, theirs = state.transpose(0, 1)[:, cells], expected_state.transpose(0, 1)[:, cells]
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    for at, (rows, columns) in enumerate([(12, 16), (16, 20)]):
        assert float(moved[at, rows:, columns:].max()) == 0
        assert bool((solo[at, CELL * rows :, CELL * columns :] == 0.01).all())
    assert float(moved[cells].min()) > 0


@torch.inference_mode()
def test_what_reaches_out_or_has_no_place_is_decoded_whole():
    """Log-odds so high that everything is seen, up to every window's edge."""
    network, features, readout, sensory = scene(network=biased(40.0))
    expected, expected_state = network.decode(features, readout, sensory)
    counting = Counting(network)
    can_be = flags((0, 8, 12, 8, 12), (2, 4, 6, 4, 6), objects=3)
    before = torch.zeros_like(expected)
    solo, state = decode_in_windows(
        counting, features, readout, sensory, before, can_be, CONFIG, update=True
    )
    assert (counting.refined, counting.decoded) == ([2], [3])
    torch.testing.assert_close(solo, expected)
    torch.testing.assert_close(state, expected_state)

    counting = Counting(network)
    nowhere = flags(objects=3)
    decode_in_windows(counting, features, readout, sensory, solo, nowhere, CONFIG, update=True)
    assert (counting.refined, counting.decoded) == ([], [3])


def test_reaching_out_is_being_seen_where_the_refined_cells_end_but_not_the_picture():
    refined = flags((0, 0, 4, 0, 4), (1, 5, 9, 5, 9), (1, 5, 9, 9, 13), objects=2)

    def reaching(at, y, x):
        solo = torch.zeros(2, CELL * ROWS, CELL * COLUMNS)
        solo[at, y, x] = 0.9
        return reaching_out(solo, refined)

    assert reaching(0, 0, 0) == reaching(0, 0, 30) == reaching(0, 30, 0) == []
    assert reaching(0, 63, 5) == reaching(0, 5, 63) == [0]
    assert reaching(1, 80, 100) == reaching(1, 143, 100) == [1]
    assert reaching(1, 100, 80) == reaching(1, 100, 207) == [1]
    assert reaching(1, 100, 143) == reaching(1, 100, 144) == reaching(1, 82, 100) == []


# ── in the loop ──────────────────────────────────────────────────────────────────────────────


def masks(count, shift=0):
    """(n, H, W) small squares in a row."""
    found = torch.zeros(count, CELL * ROWS, CELL * COLUMNS)
    for at in range(count):
        found[at, 100 + shift : 130 + shift, 60 + 90 * at : 90 + 90 * at] = 1
    return found


def pictures(count):
    return [noise(3, CELL * ROWS, CELL * COLUMNS, seed=seed) for seed in range(count)]


def test_fewer_objects_than_from_which_windows_are_used_are_decoded_whole():
    network, frames = Counting(biased(-40.0)), pictures(3)
    windowed = XMemPropagator(network, MEMORY, WindowsConfig(from_objects=3, high=12, wide=12))
    whole = XMemPropagator(biased(-40.0), MEMORY, WindowsConfig(from_objects=0))
    for propagator in (windowed, whole):
        propagator.step(frames[0], masks(2))
    assert torch.equal(windowed.step(frames[1]), whole.step(frames[1]))
    assert (network.refined, network.decoded) == ([], [2])


def test_new_objects_are_decoded_whole_and_then_each_in_its_turn():
    """The masks are put back before every frame, so that each object has a place."""
    network, frames = Counting(biased(-40.0)), pictures(9)
    config = WindowsConfig(from_objects=2, high=12, wide=12, whole_every=4)
    propagator = XMemPropagator(network, MEMORY, config)
    propagator.step(frames[0], masks(3))
    turns = []
    for frame in frames[1:]:
        propagator._solo = masks(3)
        at = dict(propagator._whole_at)
        propagator.step(frame)
        turns.append([id_ for id_, time in propagator._whole_at.items() if at.get(id_) != time])
    assert turns == [[1, 2, 3], [1], [2], [3], [1], [2], [3], [1]]
    assert network.decoded == [3, 1, 1, 1, 1, 1, 1, 1]
    assert network.refined == [2] * 7
    propagator.step(frames[0], masks(3)[2:], [3])
    propagator._solo = masks(3)
    propagator.step(frames[1])
    assert network.decoded[-1] == 1
    assert propagator._whole_at[3] == 10


def test_objects_come_go_and_fork_while_decoded_in_windows():
    network, frames = Counting(biased(-40.0)), pictures(8)
    config = WindowsConfig(from_objects=2, high=12, wide=12)
    propagator = XMemPropagator(network, MEMORY, config)
    propagator.step(frames[0], masks(3))
    propagator.step(frames[1])

    def step(each, index):
        before = len(network.refined)
        each._solo = masks(3)
        out = each.step(frames[index])
        assert len(network.refined) == before + 1
        return out

    fork = propagator.fork()
    expected = [step(propagator, index) for index in (2, 3, 4)]
    lane = fork.spawn()
    lane.step(frames[1], masks(1, 40), [7])
    for index in (2, 3, 4):
        assert torch.equal(step(fork, index), expected[index - 2])
        lane.step(frames[index])
    fork.adopt(lane, {7: 9})
    fork.remove([1])
    assert fork.ids == (2, 3, 9)
    assert set(fork._whole_at) == {2, 3}
    assert set(propagator._whole_at) == {1, 2, 3}
    assert torch.isfinite(step(fork, 5)).all()
