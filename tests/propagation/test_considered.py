"""What the deep reasoner chose stands against what the fast one says."""

from __future__ import annotations

from track_world import BLUE, LEFT, RIGHT, World

from streamseg.types import Evidence, TrackState


def test_what_the_deep_reasoner_chose_the_fast_one_neither_ends_nor_adds_to() -> None:
    world = World(retire_after_misses=1)
    (first,) = world.answer(LEFT).added
    world.see({first: LEFT}, {})
    moved = world.answer(RIGHT, colour=BLUE, considered=True)
    assert moved.retired == (first,)  # at once, whatever `retire_after_misses` says
    (chosen,) = moved.added
    for _ in range(5):
        world.see({chosen: RIGHT}, {chosen: BLUE})
        said = world.answer(LEFT)
        assert (said.retired, said.given_up, said.added) == ((), (), ())
        assert (said.held_back, said.overruled) == (1, 1)
    (view,) = world.see({chosen: RIGHT}, {chosen: BLUE}).objects
    assert view.evidence.words == 1.0
    assert view.state is TrackState.TRACKING


def test_what_the_deep_reasoner_chose_a_fast_answer_may_cut_afresh() -> None:
    world = World()
    (chosen,) = world.answer(LEFT, considered=True).added
    world.see({chosen: LEFT}, {})
    shifted = (LEFT[0] + 4, *LEFT[1:])
    doubtful = Evidence(words=0.4, cut=1.0, carried=1.0)
    assert world.answer(shifted, evidence=doubtful).adopt == {1: chosen}
    (view,) = world.see({chosen: shifted}, {}).objects
    assert view.evidence.words == 1.0  # it renews the mask, and says nothing of what it is


def test_what_the_deep_reasoner_denied_the_fast_one_does_not_bring_back() -> None:
    world = World()
    (first,) = world.answer(LEFT).added
    world.see({first: LEFT}, {})
    assert world.answer(considered=True, denies=True).given_up == (first,)
    world.see({}, {})
    assert world.answer(LEFT).overruled == 1
    assert world.answer(LEFT, query=2).added  # another query
    assert world.answer(RIGHT, query=1, strict=True).added  # a cut


def test_a_second_answer_of_the_deep_reasoner_does_not_end_its_first_choice_alone() -> None:
    world = World(retire_after_misses=2)
    (first,) = world.answer(LEFT, considered=True).added
    world.see({first: LEFT}, {})
    once = world.answer(RIGHT, considered=True)
    assert (once.retired, once.held_back, once.overruled) == ((), 1, 0)
    assert world.answer(RIGHT, considered=True).retired == (first,)


def test_a_cut_and_a_loss_end_the_deep_reasoners_rule() -> None:
    world = World()
    (chosen,) = world.answer(LEFT, considered=True).added
    world.see({chosen: LEFT}, {})
    assert world.answer(RIGHT, colour=BLUE, strict=True).retired == (chosen,)
    world = World()
    (chosen,) = world.answer(LEFT, considered=True).added
    world.see({}, {})
    assert world.answer(RIGHT, colour=BLUE).added
