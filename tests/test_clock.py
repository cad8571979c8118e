"""Virtual time is the stream's own."""

from __future__ import annotations

from streamseg.clock import RealClock, VirtualClock


def test_virtual_time_moves_with_the_pictures_alone() -> None:
    clock = VirtualClock()
    for pts_ns in (5_000, 5_040, 5_080):
        clock.frame_arrived(pts_ns)
    assert clock.now_ns() == 80
    assert clock.now_ns() == 80


def test_virtual_time_never_runs_backwards() -> None:
    clock = VirtualClock()
    for pts_ns in (1_000, 2_000, 0, 500):
        clock.frame_arrived(pts_ns)
    assert clock.now_ns() == 1_500


def test_real_time_runs_by_itself() -> None:
    clock = RealClock()
    before = clock.now_ns()
    clock.frame_arrived(123)
    assert clock.now_ns() >= before
    assert not clock.virtual
