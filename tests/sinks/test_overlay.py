"""The overlay paints what the result says, where it says it, and nothing into the frame itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from results import make_result

from streamseg.sinks.overlay import Overlay, Timeline, place
from streamseg.sinks.palette import STATE_COLOURS, colour_of
from streamseg.types import FrameResult, TrackState, TriggerReason


def overlay(width: int = 320, height: int = 240) -> Overlay:
    return Overlay(width, height, timeline_s=10.0)


def grey(result: FrameResult) -> FrameResult:
    result.frame.image[...] = 128
    return result


def test_an_object_is_tinted_towards_its_colour_and_the_rest_is_left() -> None:
    result = grey(make_result(size=(320, 240), rectangles={1: (200, 120, 280, 180)}))
    picture = overlay().draw(result, 0.0)
    inside, outside = picture[150, 240].astype(int), picture[200, 60]
    colour = np.asarray(colour_of(1))
    assert np.abs(inside - colour).sum() < np.abs(128 - colour).sum()
    np.testing.assert_array_equal(outside, 128)


def test_the_frame_itself_is_never_painted() -> None:
    result = make_result(size=(320, 240), rectangles={1: (20, 20, 280, 180)})
    before = result.frame.image.copy()
    overlay().draw(result, 0.0)
    np.testing.assert_array_equal(result.frame.image, before)


def test_nothing_of_the_last_frame_stays() -> None:
    painter = overlay(100, 100)
    painter.draw(make_result(size=(320, 240), rectangles={1: (10, 10, 300, 230)}), 0.0)
    result = make_result(1, size=(160, 240), rectangles={2: (10, 10, 30, 50)})
    again = painter.draw(result, 5.0)
    np.testing.assert_array_equal(again, overlay(100, 100).draw(result, 5.0))


@pytest.mark.parametrize("size", [(160, 90), (202, 360), (320, 240), (1280, 720), (64, 48), (2, 2)])
def test_any_size_can_be_drawn(size: tuple[int, int]) -> None:
    width, height = size
    result = make_result(
        size=size,
        rectangles={1: (0, 0, width, height // 2), 2: (width // 2, height // 2, width, height)},
        trigger=TriggerReason.LOST,
        absent=(3,),
    )
    assert overlay(width, height).draw(result, 0.0).shape == (height, width, 3)


@pytest.mark.parametrize(
    "query", ["a" * 1000, "麦克风", "l'élève à gauche", "line\nbreak\tand \x00"]
)
def test_any_query_can_be_shown(query: str) -> None:
    picture = overlay().draw(grey(make_result(size=(320, 240), query=query)), 0.0)
    assert (picture[12:26, 12:] > 200).any()


def test_the_state_shows_in_its_colour() -> None:
    for state, colour in STATE_COLOURS.items():
        picture = overlay(640, 360).draw(grey(make_result(size=(640, 360), state=state)), 0.0)
        header = picture[10:60, 10:60].reshape(-1, 3)
        assert (np.abs(header.astype(int) - colour).sum(axis=1) == 0).any()


def along_the_top(picture: np.ndarray, y: int, x0: int, x1: int) -> np.ndarray:
    """Where the row y shows the outline's colour of object 1."""
    row = picture[y - 1 : y + 2, x0:x1].astype(int)
    return (np.abs(row - np.asarray(colour_of(1))).sum(axis=2) < 60).any(axis=0)


def test_what_is_uncertain_is_outlined_in_dashes() -> None:
    for state, share in ((TrackState.TRACKING, 1.0), (TrackState.UNCERTAIN, 0.5)):
        result = make_result(size=(640, 360), rectangles={1: (200, 150, 500, 250)}, state=state)
        picture = overlay(640, 360).draw(grey(result), 0.0)
        drawn = along_the_top(picture, 249, 210, 490)
        assert drawn.mean() == pytest.approx(share, abs=0.2), state
        changes = np.count_nonzero(np.diff(drawn))
        assert (changes > 10) == (state is TrackState.UNCERTAIN)


def test_doubt_stands_at_the_bottom_also_while_above_it_stands_why_it_was_asked() -> None:
    def bottom(painter: Overlay, time_s: float, **said: object) -> tuple[np.ndarray, np.ndarray]:
        """The two lowest lines of text, the upper one first."""
        picture = painter.draw(grey(make_result(size=(640, 360), **said)), time_s)  # type: ignore[arg-type]
        return picture[297:314, 10:300].copy(), picture[314:331, 10:300].copy()

    plain, doubted = bottom(overlay(640, 360), 0.0), overlay(640, 360)
    first = bottom(doubted, 0.0, doubt="not understood: mug")
    assert (first[1] != plain[1]).any()
    np.testing.assert_array_equal(first[0], plain[0])
    asked = bottom(doubted, 1.0, doubt="not understood: mug", trigger=TriggerReason.LOST)
    np.testing.assert_array_equal(asked[1], first[1])
    assert (asked[0] != first[0]).any()
    later = bottom(doubted, 9.0, doubt="not understood: mug")
    np.testing.assert_array_equal(later[0], plain[0])


def test_timeline_moves_left_and_keeps_the_newest_at_the_right() -> None:
    timeline = Timeline(width=100, seconds=10.0)
    timeline.add(0.0, TrackState.SEARCHING, marked=True)
    for tenth in range(1, 31):
        timeline.add(tenth / 10, TrackState.TRACKING, marked=False)
    tracking = np.asarray(STATE_COLOURS[TrackState.TRACKING])
    assert (timeline.colours[-30:] == tracking).all()
    assert (timeline.colours[-31] == STATE_COLOURS[TrackState.SEARCHING]).all()
    assert np.flatnonzero(timeline.marks).tolist() == [69]


def test_timeline_outlives_long_gaps() -> None:
    timeline = Timeline(width=10, seconds=10.0)
    timeline.add(0.0, TrackState.TRACKING, marked=True)
    timeline.add(1e6, TrackState.LOST, marked=False)
    assert (timeline.colours == STATE_COLOURS[TrackState.LOST]).all()
    assert not timeline.marks.any()


def test_place_keeps_the_shape_and_centres() -> None:
    spot = place(100, 200, 400, 400)
    assert (spot.x, spot.y, spot.width, spot.height) == (100, 0, 200, 400)
    spot = place(100, 200, 400, 400, pixel_aspect=4.0)
    assert (spot.x, spot.y, spot.width, spot.height) == (0, 100, 400, 200)


def test_pixels_that_are_not_square_are_shown_in_shape() -> None:
    """What is stored half as wide as it is high is drawn square, and its contour around it."""
    result = make_result(size=(100, 100), rectangles={1: (40, 30, 60, 70)})
    plain = np.full((100, 100, 3), 90, np.uint8)
    result = replace(result, frame=replace(result.frame, image=plain))
    drawn = Overlay(200, 100, 20.0, pixel_aspect=2.0).draw(result, 0.0)[60:65]
    changed = np.flatnonzero((drawn != 90).any(axis=(0, 2)))
    assert abs(changed[0] - 80) <= 3
    assert abs(changed[-1] - 119) <= 3
