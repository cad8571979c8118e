"""Who is meant now: hand-overs that are clear, and once; happenings that are seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from streamseg.propagation.shifting.referent import Moment, Referent, Seen, gap
from streamseg.referents import Happening, Measure, Standing

SIZE = (640, 360)
STEP_S = 1.0 / 30.0
Place = tuple[float, float]


def thing(x: float, y: float = 180.0, side: float = 40.0, whole: bool = True) -> Seen:
    half = side / 2
    return Seen((x - half, y - half, x + half, y + half), side * side, whole)


def play(
    referent: Referent,
    seconds: float,
    cast: Callable[[float], Mapping[int, Seen]],
    anchor: Callable[[float], Seen | None] = lambda t: None,
    start_s: float = 0.0,
    camera: Callable[[float], Place] = lambda t: (0.0, 0.0),
) -> list[tuple[float, frozenset[int]]]:
    """Who is meant from when on."""
    changes: list[tuple[float, frozenset[int]]] = []
    for k in range(round(seconds / STEP_S)):
        t = start_s + k * STEP_S
        meant = referent.watch(Moment(t, cast(t), anchor(t), SIZE, camera(t)))
        if not changes or changes[-1][1] != meant:
            changes.append((t, meant))
    return changes


def test_the_lead_changes_hands_once_and_soon() -> None:
    referent = Referent(Standing(Measure.X))
    changes = play(
        referent, 4.0, lambda t: {1: thing(300), 2: thing(200 + 50 * t)}
    )  # they meet at 2 s
    assert [meant for _, meant in changes] == [{1}, {2}]
    assert 2.0 < changes[1][0] < 2.5


def test_two_that_run_level_do_not_flicker() -> None:
    referent = Referent(Standing(Measure.X))
    wobble = [0.0, 4.0, -3.0, 2.0, -4.0]
    changes = play(
        referent, 3.0, lambda t: {1: thing(300), 2: thing(300 + wobble[round(t / STEP_S) % 5])}
    )
    assert len(changes) == 1


def test_a_lead_that_lasts_but_a_frame_moves_nothing() -> None:
    referent = Referent(Standing(Measure.X))
    changes = play(
        referent, 2.0, lambda t: {1: thing(300), 2: thing(400 if 1.0 <= t < 1.05 else 200)}
    )
    assert [meant for _, meant in changes] == [{1}]


def test_sizes_are_compared_where_they_are_seen_whole() -> None:
    referent = Referent(Standing(Measure.SIZE))
    # 1 is hidden in part for a second: it looks smaller, and is not.
    changes = play(
        referent,
        3.0,
        lambda t: {
            1: thing(200, side=20, whole=False) if 1.0 <= t < 2.0 else thing(200, side=60),
            2: thing(400, side=40),
        },
    )
    assert [meant for _, meant in changes] == [{1}]


def test_a_rank_and_a_count_are_kept_to() -> None:
    three = {1: thing(100), 2: thing(300), 3: thing(500)}
    second = Referent(Standing(Measure.X, most=False, rank=2))
    two = Referent(Standing(Measure.X, most=True, count=2))
    assert play(second, 0.2, lambda t: three) == [(0.0, {2})]
    assert play(two, 0.2, lambda t: three) == [(0.0, {2, 3})]


def test_who_is_out_of_sight_keeps_its_place_for_a_moment_only() -> None:
    referent = Referent(Standing(Measure.X))
    changes = play(
        referent,
        2.0,
        lambda t: {2: thing(200)} | ({} if t >= 0.5 else {1: thing(300)}),
    )
    assert [meant for _, meant in changes] == [{1}, {2}]
    assert 0.7 < changes[1][0] < 1.2


def test_a_thing_is_held_by_who_is_within_reach_of_it() -> None:
    referent = Referent(Standing(Measure.GAP, most=False, reach=0.05))
    holders = {1: thing(100), 2: thing(500)}
    changes = play(referent, 4.0, lambda t: holders, lambda t: thing(140 + 80 * t, side=20))
    assert [meant for _, meant in changes] == [{1}, set(), {2}]


def test_boxes_that_overlap_more_are_nearer() -> None:
    one = (0.0, 0.0, 10.0, 10.0)
    assert gap(one, (13.0, 14.0, 20.0, 20.0)) == 5.0
    assert gap(one, (9.0, 0.0, 19.0, 10.0)) < 0.0
    assert gap(one, (4.0, 0.0, 14.0, 10.0)) < gap(one, (9.0, 0.0, 19.0, 10.0))


def kicked_at(when_s: float, speed: float = 120.0) -> Callable[[float], Mapping[int, Seen]]:
    return lambda t: {1: thing(100 + speed * max(0.0, t - when_s)), 2: thing(400)}


def test_nobody_is_meant_before_it_moves_and_it_is_ever_after() -> None:
    referent = Referent(Standing(after=Happening.MOVED))

    def rolls_and_rests(t: float) -> Mapping[int, Seen]:
        return kicked_at(1.5)(min(t, 3.0))

    changes = play(referent, 5.0, rolls_and_rests)
    assert [meant for _, meant in changes] == [set(), {1}]
    assert 1.5 < changes[1][0] < 2.0


def test_what_moved_from_the_first_was_not_seen_to_start() -> None:
    referent = Referent(Standing(after=Happening.MOVED))
    assert play(referent, 2.0, kicked_at(0.0)) == [(0.0, frozenset())]


def test_a_mask_that_jumps_once_is_no_motion() -> None:
    referent = Referent(Standing(after=Happening.MOVED))
    changes = play(referent, 3.0, lambda t: {1: thing(100 if t < 1.5 else 112)})
    assert changes == [(0.0, frozenset())]


def test_a_camera_that_pans_moves_nobody() -> None:
    referent = Referent(Standing(after=Happening.MOVED))
    changes = play(
        referent,
        3.0,
        lambda t: {1: thing(100 + 60 * t)},
        camera=lambda t: (60 * t / SIZE[0], 0.0),
    )
    assert changes == [(0.0, frozenset())]


def test_to_stop_one_must_have_moved() -> None:
    referent = Referent(Standing(after=Happening.STOPPED))
    changes = play(referent, 4.0, lambda t: {1: thing(100 + 100 * min(t, 2.0)), 2: thing(500, 300)})
    assert [meant for _, meant in changes] == [set(), {1}]
    assert 2.0 < changes[1][0] < 2.8


def test_to_touch_one_must_have_been_apart() -> None:
    referent = Referent(Standing(after=Happening.TOUCHED))
    wall = thing(400)
    changes = play(
        referent, 3.0, lambda t: {1: thing(200 + 100 * min(t, 1.6)), 2: thing(440)}, lambda t: wall
    )
    assert [meant for _, meant in changes] == [set(), {1}]
    assert 1.4 < changes[1][0] < 1.8


def test_another_one_may_be_who_has_to_move() -> None:
    referent = Referent(Standing(after=Happening.MOVED, by_anchor=True))
    changes = play(referent, 3.0, lambda t: {7: thing(500)}, lambda t: kicked_at(1.0)(t)[1])
    assert [meant for _, meant in changes] == [set(), {7}]
    assert 1.0 < changes[1][0] < 1.5


@pytest.mark.parametrize("measure", [each for each in Measure if each is not Measure.SPEED])
def test_every_measure_has_a_leader(measure: Measure) -> None:
    referent = Referent(Standing(measure))
    cast = {1: thing(100, 100, 30), 2: thing(400, 250, 60)}
    anchor = thing(120, 120, 10)
    leader = {Measure.CENTRE: 1}.get(measure, 2)
    assert play(referent, 0.1, lambda t: cast, lambda t: anchor) == [(0.0, {leader})]


def test_the_fastest_is_known_once_speeds_are() -> None:
    referent = Referent(Standing(Measure.SPEED))
    changes = play(referent, 1.0, lambda t: {1: thing(100 + 30 * t), 2: thing(400 + 90 * t)})
    assert [meant for _, meant in changes] == [set(), {2}]
