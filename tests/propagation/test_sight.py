"""What is seen against where tracks were: support, doubt, and what no track holds."""

from __future__ import annotations

import pytest

from streamseg.propagation.sight import Trail, hold
from streamseg.types import Box, Sighting

DOG: Box = (10.0, 10.0, 50.0, 50.0)
CAT: Box = (100.0, 10.0, 140.0, 50.0)


def moved(box: Box, dx: float) -> Box:
    return box[0] + dx, box[1], box[2] + dx, box[3]


def test_a_track_where_a_thing_is_seen_is_supported() -> None:
    held = hold({1: moved(DOG, 6.0)}, [Sighting(DOG, 0.9)])
    assert held.supports == {1: 1.0}
    assert held.unheld == 0


def test_a_track_beside_its_thing_is_not_and_the_thing_is_unheld() -> None:
    held = hold({1: moved(DOG, 30.0)}, [Sighting(DOG, 0.9)])
    assert held.supports == {1: 0.0}
    assert held.unheld == 1


def test_a_part_of_a_thing_is_supported_in_part() -> None:
    half = (10.0, 10.0, 50.0, 26.0)
    (support,) = hold({1: half}, [Sighting(DOG, 0.9)]).supports.values()
    assert 0.2 < support < 0.8


@pytest.mark.parametrize("seen", [[], [Sighting(CAT, 0.9)]])
def test_where_nothing_is_seen_at_all_the_detector_may_have_missed_it(seen: list[Sighting]) -> None:
    held = hold({1: DOG}, seen)
    assert 0.2 < held.supports[1] < 0.5
    assert held.unheld == len(seen)


def test_one_thing_supports_one_track() -> None:
    held = hold({1: moved(DOG, 8.0), 2: DOG}, [Sighting(DOG, 0.9)])
    assert held.supports == {1: 0.0, 2: 1.0}


def test_each_of_several_finds_its_own() -> None:
    seen = [Sighting(CAT, 0.7), Sighting(DOG, 0.9)]
    assert hold({1: DOG, 2: CAT}, seen).supports == {1: 1.0, 2: 1.0}


def test_what_is_hardly_seen_supports_but_is_no_news() -> None:
    seen = [Sighting(DOG, 0.2), Sighting(CAT, 0.2)]
    held = hold({1: DOG}, seen)
    assert (held.supports[1], held.unheld) == (1.0, 0)


def test_no_tracks_hold_nothing() -> None:
    assert hold({}, [Sighting(DOG, 0.9), Sighting(CAT, 0.9)]).unheld == 2


def test_a_trail_remembers_the_newest_frames_and_the_last_word_on_each() -> None:
    trail = Trail()
    for index in range(1000):
        trail.note(index, {1: DOG})
    trail.note(999, {1: CAT})
    assert trail.at(999) == {1: CAT}
    assert trail.at(950) == {1: DOG}
    assert trail.at(3) is None
    trail.clear()
    assert trail.at(999) is None
