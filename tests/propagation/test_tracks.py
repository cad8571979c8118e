"""Who is who: ids, states, and what an answer changes."""

from __future__ import annotations

import numpy as np
import pytest
from builders import box_mask
from track_world import BLUE, LEFT, RED, RIGHT, Box4, World, with_a_track

from streamseg.config import TracksConfig
from streamseg.propagation.areas import bounding_box, iou
from streamseg.propagation.calibration import probability
from streamseg.propagation.tracks import MAX_ID
from streamseg.types import (
    Evidence,
    Propagated,
    Sighting,
    TrackState,
)


def test_before_any_answer_the_book_is_searching() -> None:
    assert World().book.state is TrackState.SEARCHING


def test_a_new_object_gets_a_new_id() -> None:
    world = World()
    merge = world.answer(LEFT, RIGHT)
    assert merge.adopt == {1: 1, 2: 2}
    assert merge.added == (1, 2)
    assert world.book.state is TrackState.TRACKING


def test_states_follow_the_score() -> None:
    world = World()
    world.answer(LEFT)
    for score, state in ((0.9, "tracking"), (0.4, "uncertain"), (0.1, "lost")):
        labels = np.where(box_mask(LEFT), 1, 0).astype(np.uint16)
        masks = world.book.update(world.frame, Propagated(labels, {1: score}), 0)
        assert masks.objects[0].state == state


@pytest.mark.parametrize(
    ("evidence", "state"),
    [
        (Evidence(0.75, 0.7, 1.0), TrackState.TRACKING),
        (Evidence(0.75, 0.6, 0.75), TrackState.UNCERTAIN),
        (Evidence(0.65, 1.0, 1.0), TrackState.UNCERTAIN),
        (Evidence(1.0, 0.25, 1.0), TrackState.UNCERTAIN),
        (Evidence(1.0, 1.0, 0.45), TrackState.UNCERTAIN),
        (Evidence(0.65, 0.25, 0.15), TrackState.LOST),
    ],
)
def test_each_witness_alone_and_all_together_make_a_track_uncertain(
    evidence: Evidence, state: TrackState
) -> None:
    world = World()
    world.answer(LEFT, evidence=evidence)
    assert world.states() == {1: state}
    labels = np.where(box_mask(LEFT), 1, 0).astype(np.uint16)
    masks = world.book.update(world.frame, Propagated(labels, {1: evidence.carried}), 0)
    assert masks.objects[0].state is state
    assert masks.objects[0].evidence == evidence
    assert masks.objects[0].score == pytest.approx(probability(evidence))


def test_no_pixels_are_lost_whatever_the_score() -> None:
    world = World()
    world.answer(LEFT)
    empty = Propagated(np.zeros((48, 64), np.uint16), {1: 1.0})
    assert world.book.update(world.frame, empty, 0).objects[0].state is TrackState.LOST


def test_an_answer_that_agrees_only_confirms() -> None:
    world = World()
    world.answer(LEFT)
    world.see({1: LEFT}, {1: RED})
    merge = world.answer(LEFT)
    assert merge.confirmed == (1,)
    assert merge.adopt == {}


def test_an_overlapping_answer_refreshes_under_the_same_id() -> None:
    world = World()
    world.answer(LEFT)
    world.see({1: LEFT}, {1: RED})
    merge = world.answer((4, 10, 20, 24))
    assert merge.adopt == {1: 1}
    assert merge.added == ()


LARGER = (4, 10, 20, 24)


def test_a_fresh_cut_that_is_believed_less_leaves_the_mask_and_lowers_its_cut() -> None:
    world = with_a_track()
    merge = world.answer(LARGER, evidence=Evidence(1.0, 0.8, 1.0))
    assert (merge.adopt, merge.confirmed) == ({}, (1,))
    held = world.book.tracks[0].evidence
    assert held.cut == pytest.approx(0.5 + 0.5 * iou(box_mask(LEFT), box_mask(LARGER)))


def test_cuts_that_go_on_to_differ_win_in_the_end() -> None:
    world = with_a_track()
    merges = [world.answer(LARGER, evidence=Evidence(1.0, 0.8, 1.0)) for _ in range(4)]
    taken = [bool(merge.adopt) for merge in merges]
    assert taken == sorted(taken)
    assert (taken[0], taken[-1]) == (False, True)


def test_a_mask_carried_for_long_yields_to_a_fresh_cut() -> None:
    world = with_a_track()
    world.now_ns += 4_000_000_000
    merge = world.answer(LARGER, evidence=Evidence(1.0, 0.8, 1.0))
    assert merge.adopt == {1: 1}
    assert world.book.tracks[0].evidence.cut == 0.8


def test_a_mask_that_fresh_cuts_found_drifting_is_believed_ever_less_until_the_next() -> None:
    world = with_a_track()
    world.now_ns += 500_000_000
    assert world.answer((4, 10, 20, 19)).adopt == {1: 1}
    labels = np.where(box_mask(LEFT), 1, 0).astype(np.uint16)
    carried = []
    for later_s in (0.0, 0.5, 1.0, 60.0):
        later_ns = world.now_ns + round(later_s * 1e9)
        masks = world.book.update(world.frame, Propagated(labels, {1: 1.0}), later_ns)
        carried.append(masks.objects[0].evidence.carried)
        assert masks.objects[0].state is not TrackState.LOST
    assert carried[0] == 1.0
    assert carried == sorted(carried, reverse=True)
    assert carried[-1] == TracksConfig().lost_score
    assert world.states() == {1: TrackState.UNCERTAIN}


def test_a_mask_that_an_answer_agreed_with_is_as_good_as_fresh() -> None:
    world = with_a_track()
    world.now_ns += 4_000_000_000
    assert world.answer(LEFT, evidence=Evidence(1.0, 0.5, 1.0)).confirmed == (1,)
    assert world.answer(LARGER, evidence=Evidence(1.0, 0.8, 1.0)).adopt == {}


def test_what_a_hand_points_at_takes_the_masks_place() -> None:
    world = with_a_track()
    merge = world.answer(LARGER, query=None, evidence=Evidence(1.0, 0.5, 1.0))
    assert merge.adopt == {1: 1}


def test_words_are_those_of_all_answers_and_a_hands_are_certain() -> None:
    world = with_a_track(Evidence(0.6, 1.0, 1.0))
    world.answer(LEFT, evidence=Evidence(1.0, 1.0, 1.0))
    assert world.book.tracks[0].evidence.words == pytest.approx(0.8)
    world.answer(LEFT, query=None)
    assert world.book.tracks[0].evidence.words == 1.0
    world.answer(LEFT, query=1, evidence=Evidence(0.3, 1.0, 1.0))
    assert world.book.tracks[0].evidence.words == 1.0


def test_an_answer_without_it_makes_a_track_uncertain_until_the_next_names_it() -> None:
    world = with_a_track()
    world.answer()
    world.see({1: LEFT}, {1: RED})
    assert world.states() == {1: TrackState.UNCERTAIN}
    world.answer(LEFT)
    world.see({1: LEFT}, {1: RED})
    assert world.states() == {1: TrackState.TRACKING}


def test_an_answer_that_cannot_tell_is_no_disagreement() -> None:
    world = with_a_track()
    for _ in range(5):
        merge = world.answer(cannot_tell=True)
        assert merge.retired == ()
    world.see({1: LEFT}, {1: RED})
    assert world.states() == {1: TrackState.TRACKING}
    assert world.answer(query=2, cannot_tell=True).retired == (1,)


def test_one_wrong_answer_changes_nothing() -> None:
    world = World()
    world.answer(LEFT)
    world.see({1: LEFT}, {1: RED})
    merge = world.answer(RIGHT, colour=BLUE)
    assert merge.held_back == 1
    assert merge.adopt == {}
    assert merge.retired == ()


def test_a_second_answer_against_a_track_ends_it() -> None:
    world = World()
    world.answer(LEFT)
    world.see({1: LEFT}, {1: RED})
    world.answer(RIGHT, colour=BLUE)
    merge = world.answer(RIGHT, colour=BLUE)
    assert merge.retired == (1,)
    assert merge.adopt == {1: 2}


def test_what_answers_go_on_without_is_lost_and_may_come_back() -> None:
    world = with_a_track()
    assert world.answer().gone == ()
    merge = world.answer()
    assert (merge.retired, merge.given_up, merge.gone) == ((), (1,), (1,))
    assert world.states() == {1: TrackState.LOST}
    world.see({}, {})
    assert world.answer(RIGHT, colour=RED).refound == (1,)
    world.see({1: RIGHT}, {1: RED})
    assert world.states() == {1: TrackState.TRACKING}


def test_after_a_cut_the_first_answer_against_a_track_ends_it() -> None:
    world = World()
    world.answer(LEFT)
    world.see({1: LEFT}, {1: RED})
    merge = world.answer(RIGHT, colour=BLUE, strict=True)
    assert merge.retired == (1,)
    assert merge.added == (2,)


def test_a_lost_object_that_comes_back_gets_its_old_id() -> None:
    world = World()
    world.answer(LEFT)
    world.see({1: LEFT}, {1: RED})
    world.see({}, {})
    assert world.states() == {1: TrackState.LOST}
    merge = world.answer(RIGHT, colour=RED)
    assert merge.refound == (1,)
    assert merge.adopt == {1: 1}


def test_another_object_is_not_the_lost_one() -> None:
    world = World()
    world.answer(LEFT)
    world.see({1: LEFT}, {1: RED})
    world.see({}, {})
    merge = world.answer(RIGHT, colour=BLUE)
    assert merge.refound == ()
    assert merge.added == (2,)


def test_a_thing_of_the_same_colour_and_another_shape_is_not_the_lost_one() -> None:
    world = with_a_track()
    world.see({}, {})
    assert world.answer((6, 40, 62, 45), colour=RED).refound == ()


def test_what_left_a_moment_ago_is_not_at_the_other_end_of_the_picture() -> None:
    near, far = (12, 6, 28, 30), (44, 10, 62, 27)
    for box, back in ((near, (1,)), (far, ())):
        world = World(refind_similarity=0.75)
        world.answer(LEFT)
        world.see({1: LEFT}, {1: RED})
        world.see({}, {})
        assert world.answer(box, colour=RED).refound == back


def test_a_new_query_ends_what_it_does_not_name() -> None:
    world = World()
    world.answer(LEFT, RIGHT)
    world.see({1: LEFT, 2: RIGHT}, {})
    merge = world.answer(RIGHT, query=2)
    assert merge.retired == (1,)
    assert merge.confirmed == (2,)
    assert [track.query_id for track in world.book.tracks] == [2]


def test_what_an_older_query_named_is_uncertain_until_an_answer_comes() -> None:
    world = World()
    world.answer(LEFT, query=1)
    world.answer(RIGHT, query=None)
    world.book.query_id = 2
    world.see({1: LEFT, 2: RIGHT}, {})
    assert world.states() == {1: TrackState.UNCERTAIN, 2: TrackState.TRACKING}
    world.answer(LEFT, query=2)
    world.see({1: LEFT, 2: RIGHT}, {})
    assert world.states() == {1: TrackState.TRACKING, 2: TrackState.TRACKING}


def test_no_answer_ends_a_target_pointed_at_by_hand() -> None:
    world = World()
    world.answer(LEFT, query=None)
    world.see({1: LEFT}, {})
    for _ in range(5):
        assert world.answer(query=7).retired == ()
    assert world.answer(RIGHT, query=7).added == (2,)


def test_what_a_query_found_and_a_hand_points_at_is_the_hands_too() -> None:
    world = World()
    world.answer(LEFT, query=1)
    world.see({1: LEFT}, {})
    assert world.answer(LEFT, query=None).confirmed == (1,)
    assert world.answer(RIGHT, query=2).retired == ()
    assert world.answer(query=2).retired == ()
    assert 1 in world.states()


def test_what_a_query_has_is_what_an_answer_to_it_named() -> None:
    world = World()
    world.answer(LEFT, query=1)
    world.answer(RIGHT, query=None)
    masks = world.see({1: LEFT, 2: RIGHT}, {2: BLUE})
    assert [view.id for view in world.book.of_query(1, masks).objects] == [1]
    assert world.book.of_query(2, masks).objects == ()
    world.answer(RIGHT, query=2)
    assert [view.id for view in world.book.of_query(2, masks).objects] == [2]


def test_pointing_by_hand_disturbs_no_other_track() -> None:
    world = World()
    world.answer(LEFT)
    world.see({1: LEFT}, {})
    merge = world.answer(RIGHT, query=None)
    assert merge.added == (2,)
    assert merge.retired == ()
    assert world.book.tracks[0].misses == 0


def test_what_is_lost_for_long_is_forgotten_and_its_id_is_not_reused() -> None:
    world = World(forget_lost_s=1.0)
    world.answer(LEFT)
    world.see({1: LEFT}, {})
    world.see({}, {})
    assert world.book.forget_old(world.now_ns + 500_000_000) == []
    assert world.book.forget_old(world.now_ns + 2_000_000_000) == [1]
    assert world.answer(LEFT).added == (2,)


def test_the_longest_lost_go_first_past_the_cap() -> None:
    world = World(max_tracks=1)
    world.answer(LEFT)
    world.see({1: LEFT}, {})
    world.see({}, {})
    world.answer(RIGHT, colour=BLUE)
    world.see({2: RIGHT}, {2: BLUE})
    world.see({}, {})
    assert world.book.forget_old(world.now_ns) == [1]


def test_past_the_cap_a_new_object_is_turned_away_unless_one_is_lost() -> None:
    world = World(max_tracks=1)
    world.answer(LEFT, query=None)
    world.see({1: LEFT}, {})
    merge = world.answer(RIGHT, query=None)
    assert merge.adopt == {}
    assert merge.turned_away == 1
    world.see({}, {})
    assert world.answer(RIGHT, colour=BLUE, query=None).added == (2,)


def test_when_all_ids_were_given_the_oldest_free_one_is_next() -> None:
    world = World()
    world.answer(LEFT, query=None)
    world.see({1: LEFT}, {})
    world.book._next_id = MAX_ID
    assert world.answer(RIGHT, query=None).added == (MAX_ID,)
    assert world.answer((20, 30, 40, 46), query=None).added == (2,)


def test_a_new_epoch_loses_all_and_remembers_all() -> None:
    world = World()
    world.answer(LEFT)
    world.see({1: LEFT}, {})
    world.book.lose_all()
    assert world.book.state is TrackState.LOST
    assert world.book.newest_grounded_frame is None
    world.said = Propagated(np.zeros((48, 64), np.uint16), {1: 0.0})
    assert world.answer(RIGHT).refound == (1,)


def test_boxes_hold_the_extreme_pixels() -> None:
    assert bounding_box(box_mask(LEFT)) == (4.0, 10.0, 20.0, 30.0)
    assert bounding_box(box_mask(LEFT), least_area=1000) is None


def test_iou_of_nothing_is_zero() -> None:
    assert iou(box_mask((0, 0, 0, 0)), box_mask((0, 0, 0, 0))) == 0.0
    assert iou(box_mask(LEFT), box_mask(LEFT)) == 1.0
    assert iou(box_mask((0, 0, 4, 4)), box_mask((0, 0, 4, 8))) == 0.5


def seen(*boxes: Box4) -> list[Sighting]:
    return [Sighting((float(x0), float(y0), float(x1), float(y1)), 0.9) for x0, y0, x1, y1 in boxes]


def test_a_track_that_nothing_seen_supports_is_soon_uncertain_and_one_that_is_comes_back() -> None:
    world = with_a_track()
    world.see({1: LEFT}, {})
    sight = world.book.witness(world.frame.index, seen((14, 10, 36, 30)), 1)
    assert sight is not None
    assert (sight.doubted, sight.unheld) == ((1,), 1)
    world.see({1: LEFT}, {})
    assert world.states() == {1: TrackState.UNCERTAIN}
    for _ in range(6):
        sight = world.book.witness(world.frame.index, seen(RIGHT), 1)
        world.see({1: LEFT}, {})
        assert world.states() == {1: TrackState.UNCERTAIN}  # only the propagator loses it
    for _ in range(3):
        world.book.witness(world.frame.index, seen(LEFT), 1)
        world.see({1: LEFT}, {})
    assert world.states() == {1: TrackState.TRACKING}


def test_a_thing_missed_once_is_still_believed_and_missed_twice_it_is_not() -> None:
    world = with_a_track()
    states = []
    for _ in range(2):
        world.see({1: LEFT}, {})
        world.book.witness(world.frame.index, [], 1)
        world.see({1: LEFT}, {})
        states.append(world.states()[1])
    assert states == [TrackState.TRACKING, TrackState.UNCERTAIN]


def test_a_look_is_held_against_where_a_track_was_then() -> None:
    world = with_a_track()
    world.see({1: LEFT}, {})
    then = world.frame.index
    world.see({1: RIGHT}, {})
    sight = world.book.witness(then, seen(LEFT), 1)
    assert sight is not None
    assert sight.doubted == ()
    assert world.book.witness(10_000, seen(LEFT), 1) is None


def test_a_look_says_nothing_of_what_was_cut_since_nor_of_what_a_hand_pointed_at() -> None:
    world = with_a_track()
    world.see({1: LEFT}, {})
    then = world.frame.index
    world.see({1: LEFT}, {})
    world.answer((6, 12, 34, 30))
    sight = world.book.witness(then, seen(RIGHT), 1)
    assert sight is not None
    assert sight.doubted == ()
    world.answer((6, 12, 34, 30), query=None)
    world.see({1: LEFT}, {})
    sight = world.book.witness(world.frame.index, seen(RIGHT), 1)
    assert sight is not None
    assert sight.doubted == ()


def test_another_query_s_look_is_no_word_on_a_track() -> None:
    world = with_a_track()
    world.see({1: LEFT}, {})
    sight = world.book.witness(world.frame.index, seen(RIGHT), 2)
    assert sight is not None
    assert sight.doubted == ()
