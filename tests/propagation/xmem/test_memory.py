"""The element table against plain sums over the same elements."""

import math

import pytest
import torch

from streamseg.config import MemoryConfig
from streamseg.propagation.xmem.memory import Memory
from streamseg.propagation.xmem.rows import Rows

KEY, VALUE, H, W = 6, 5, 2, 3
HW = H * W


class Stream:
    """Seeded frames of a memory, remembered for the plain sums."""

    def __init__(self, seed=0):
        self.generator = torch.Generator().manual_seed(seed)
        self.frames = {}

    def randn(self, *shape):
        return torch.randn(*shape, generator=self.generator)

    def rand(self, *shape):
        return torch.rand(*shape, generator=self.generator)

    def store(self, memory, time, ids):
        key, shrinkage = self.randn(1, KEY, H, W), 1 + self.rand(1, 1, H, W)
        selection = self.rand(1, KEY, H, W)
        values = {id_: self.randn(VALUE, H, W) for id_ in ids}
        memory.add(time, key, shrinkage, selection, values)
        self.frames[time] = (key, shrinkage, selection, values)

    def query(self):
        return self.randn(1, KEY, H, W), self.rand(1, KEY, H, W)


def make(**changes):
    defaults = {"enable_long_term": False, "top_k": 4, "max_bytes": 1 << 30}
    return Memory(MemoryConfig(**{**defaults, **changes}), KEY, torch.device("cpu"))


def plain(frames, key, selection, id_, top_k):
    """Read one object by the formula, over every frame on which it has a value."""
    known = [frame for frame in frames.values() if id_ in frame[3]]
    keys = torch.cat([frame[0][0].flatten(1).T for frame in known])
    shrinkage = torch.cat([frame[1].flatten() for frame in known])
    values = torch.cat([frame[3][id_].flatten(1).T for frame in known])
    out = torch.empty(VALUE, HW)
    for place in range(HW):
        gap = (keys - key[0].flatten(1)[:, place]).square()
        similarity = -shrinkage * (gap * selection[0].flatten(1)[:, place]).sum(1) / math.sqrt(KEY)
        best = similarity.topk(min(top_k, len(similarity)))
        out[:, place] = best.values.softmax(0) @ values[best.indices]
    return out.view(VALUE, H, W)


def test_reading_is_the_formula_for_objects_known_since_different_frames():
    stream, memory = Stream(), make()
    stream.store(memory, 0, [1])
    stream.store(memory, 1, [1])
    stream.store(memory, 2, [1, 7, 3])
    stream.store(memory, 3, [1, 7, 3, 9])
    key, selection = stream.query()
    ids = (7, 9, 1, 3)
    read = memory.read(key, selection, ids)
    assert read.shape == (4, VALUE, H, W)
    for out, id_ in zip(read, ids, strict=True):
        torch.testing.assert_close(out, plain(stream.frames, key, selection, id_, 4))


def test_reading_in_blocks_changes_nothing(monkeypatch):
    stream, memory = Stream(), Memory(MemoryConfig(), KEY, torch.device("cpu"))
    for time in range(5):
        generous = Stream(time)
        key, shrinkage = generous.randn(1, KEY, 8, 9), 1 + generous.rand(1, 1, 8, 9)
        value = {1: generous.randn(VALUE, 8, 9)}
        memory.add(time, key, shrinkage, generous.rand(1, KEY, 8, 9), value)
    key, selection = stream.randn(1, KEY, 8, 9), stream.rand(1, KEY, 8, 9)
    whole = memory.fork().read(key, selection, (1,))
    monkeypatch.setattr("streamseg.propagation.xmem.memory._CPU_BLOCK", 1)
    torch.testing.assert_close(memory.read(key, selection, (1,)), whole)


def test_a_removed_object_takes_along_what_was_its_alone():
    stream, memory = Stream(), make()
    stream.store(memory, 0, [1])
    stream.store(memory, 1, [1, 2])
    memory.remove([1, 55])
    assert memory.ids == (2,)
    assert len(memory) == HW
    key, selection = stream.query()
    expected = plain(stream.frames, key, selection, 2, 4)
    torch.testing.assert_close(memory.read(key, selection, (2,))[0], expected)
    memory.remove([2])
    assert len(memory) == 0
    stream.store(memory, 2, [4])
    assert memory.ids == (4,)


def test_a_fork_and_its_origin_go_their_own_ways():
    stream, memory = Stream(), make()
    for time in range(3):
        stream.store(memory, time, [1, 2])
    held = dict(stream.frames)
    twin = memory.fork()
    stream.store(memory, 3, [1, 2])
    other = Stream(9)
    other.frames = dict(held)
    other.store(twin, 3, [1, 2, 5])
    key, selection = stream.query()
    for where, frames in ((memory, stream.frames), (twin, other.frames)):
        for id_ in where.ids:
            at = where.ids.index(id_)
            read = where.fork().read(key, selection, where.ids)[at]
            torch.testing.assert_close(read, plain(frames, key, selection, id_, 4))


def test_adopted_elements_are_the_adopted_objects_alone():
    ours, theirs = Stream(0), Stream(1)
    memory, lane = make(), make()
    for time in range(10, 13):
        ours.store(memory, time, [1, 2])
    for time in range(4):
        theirs.store(lane, time, [1, 8])
    memory.adopt(lane, {8: 2}, shift=9)
    assert set(memory.ids) == {1, 2}
    assert lane.ids == (1, 8)
    assert len(memory) == 7 * HW
    key, selection = ours.query()
    one, two = memory.read(key, selection, (1, 2))
    torch.testing.assert_close(one, plain(ours.frames, key, selection, 1, 4))
    torch.testing.assert_close(two, plain(theirs.frames, key, selection, 8, 4))


def test_adoption_into_an_empty_memory():
    stream, lane, memory = Stream(), make(), make()
    stream.store(lane, 0, [3])
    memory.adopt(lane, {3: 11}, shift=5)
    key, selection = stream.query()
    expected = plain(stream.frames, key, selection, 3, 4)
    torch.testing.assert_close(memory.read(key, selection, (11,))[0], expected)


LONG = {
    "enable_long_term": True,
    "max_mid_term_frames": 4,
    "min_mid_term_frames": 2,
    "num_prototypes": 3,
    "max_long_term_elements": 7,
}


def test_condensing_keeps_the_first_and_the_recent_frames():
    stream, memory = Stream(), make(**LONG)
    for time in range(4):
        stream.store(memory, time, [1])
        memory.read(*stream.query(), memory.ids)
    assert memory.long_term_elements == 3
    assert len(memory) == 2 * HW + 3


def test_prototypes_are_the_most_used_and_values_their_likeness_to_all_candidates():
    stream, memory = Stream(), make(**LONG, top_k=1)
    for time in range(3):
        stream.store(memory, time, [1])
    # Ask for three elements of frame 1 by their own keys: all the usage there is.
    key = stream.frames[1][0][0].flatten(1)
    asked = key[:, [0, 2, 5]]
    memory.read(asked.view(1, KEY, 1, 3), torch.ones(1, KEY, 1, 3), (1,))
    stream.store(memory, 3, [1])
    candidates = [stream.frames[time] for time in (1, 2)]
    keys = torch.cat([frame[0][0].flatten(1).T for frame in candidates])
    shrinkage = torch.cat([frame[1].flatten() for frame in candidates])
    values = torch.cat([frame[3][1].flatten(1).T for frame in candidates])
    selection = stream.frames[1][2][0].flatten(1)[:, [0, 2, 5]].T
    gap = (keys[None] - asked.T[:, None]).square() * selection[:, None]
    weights = (-shrinkage * gap.sum(-1) / math.sqrt(KEY)).softmax(1)
    # A query at a prototype's own key finds it as the best element: top_k is 1.
    read = memory.read(asked.view(1, KEY, 1, 3), torch.ones(1, KEY, 1, 3), (1,))
    torch.testing.assert_close(read[0].flatten(1).T, weights @ values)


def test_the_least_used_are_forgotten_although_objects_came_at_different_times():
    stream, memory = Stream(), make(**LONG)
    ids = [1]
    for time in range(40):
        if time in (5, 9, 22):
            ids = [*ids, time]
        stream.store(memory, time, ids)
        read = memory.read(*stream.query(), ids)
        assert torch.isfinite(read).all()
        assert memory.long_term_elements <= 7
        assert len(memory) <= 7 + 4 * HW
    assert memory.long_term_elements > 3


@pytest.mark.parametrize("shared", [True, False])
def test_first_values_of_later_objects_lie_under_the_first_keys_as_in_the_original(shared):
    stream, memory = Stream(), make(**LONG, share_first_frame=shared)
    for time in range(6):
        stream.store(memory, time, [1] if time < 3 else [1, 2])
        memory.read(*stream.query(), memory.ids)
    # Object 2 came on frame 3, and frame 5 filled the working memory.
    key = stream.frames[0 if shared else 3][0]
    value = stream.frames[3][3][2]
    sharp = torch.full((1, KEY, H, W), 1e4)
    read = memory.read(key, sharp, (1, 2))[1]
    torch.testing.assert_close(read, value, atol=1e-3, rtol=1e-3)


def test_adopted_objects_survive_condensing_with_their_own_first_frame():
    ours, theirs = Stream(0), Stream(1)
    memory, lane = make(**LONG), make(**LONG)
    for time in range(10, 13):
        ours.store(memory, time, [1])
    for time in range(3):
        theirs.store(lane, time, [2])
    memory.adopt(lane, {2: 2}, shift=10)
    for time in range(13, 30):
        ours.store(memory, time, [1, 2])
        memory.read(*ours.query(), (1, 2))
        assert memory.long_term_elements <= 7
        assert len(memory) <= 7 + 8 * HW
    key, _, _, values = theirs.frames[0]
    read = memory.read(key, torch.full((1, KEY, H, W), 1e4), (1, 2))[1]
    torch.testing.assert_close(read, values[2], atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("long_term", [False, True])
def test_the_cap_in_bytes_holds_after_every_frame(long_term):
    stream, cap = Stream(), 24_000
    memory = make(**{**LONG, "enable_long_term": long_term}, max_bytes=cap)
    ids = [1, 2]
    for time in range(60):
        if time == 30:
            ids = [1, 2, 3]
        stream.store(memory, time, ids)
        memory.fit(cap)
        assert memory.nbytes <= cap
        assert torch.isfinite(memory.read(*stream.query(), ids)).all()
    newest, sharp = stream.frames[59], torch.full((1, KEY, H, W), 1e4)
    read = memory.read(newest[0], sharp, ids)[0]
    torch.testing.assert_close(read, newest[3][1], atol=1e-3, rtol=1e-3)


def test_under_an_impossible_cap_the_newest_frame_stays():
    stream, memory = Stream(), make()
    for time in range(4):
        stream.store(memory, time, [1])
    memory.fit(1)
    assert len(memory) == HW
    key, selection = stream.query()
    newest = {3: stream.frames[3]}
    expected = plain(newest, key, selection, 1, 4)
    torch.testing.assert_close(memory.read(key, selection, (1,))[0], expected)


def test_rows_share_storage_until_both_have_grown():
    rows = Rows(torch.zeros(2, 3))
    rows.append(torch.ones(1, 3), slack=4.0)
    twin = rows.fork()
    rows.append(torch.full((1, 3), 2.0), slack=4.0)
    twin.append(torch.full((1, 3), 5.0), slack=4.0)
    assert rows.view[:, 0].tolist() == [0, 0, 1, 2]
    assert twin.view[:, 0].tolist() == [0, 0, 1, 5]
    assert rows.view.data_ptr() != twin.view.data_ptr()
    assert rows.take(torch.tensor([3, 0])).view[:, 0].tolist() == [2, 0]
