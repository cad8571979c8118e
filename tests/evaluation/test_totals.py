"""What sentences add up to: shares, honesty, calibration, first masks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from streamseg.evaluation import totals
from streamseg.evaluation.real import FrameScore, MaskScore, SentenceScore, Verdict, Way

R, P, W, N = Verdict.RIGHT, Verdict.PARTLY, Verdict.WRONG, Verdict.NONE
CLEAN, INVENTED = Verdict.CLEAN, Verdict.INVENTED


def _frame(shown: Verdict, tracking: Verdict, score: float = 0.8) -> FrameScore:
    empty = (N, CLEAN)
    return FrameScore(
        frame=0,
        shown=shown,
        tracking=tracking,
        score=None if shown in empty else score,
        tracking_score=None if tracking in empty else score,
        box_iou=None if shown in empty else 0.6,
        objects=int(shown not in empty),
    )


def _row(kind: str, *frames: FrameScore, absent: bool = False) -> SentenceScore:
    first = any(frame.objects for frame in frames)
    return SentenceScore(
        0,
        "clip",
        "the x",
        kind,
        absent,
        not absent,
        frames,
        first_mask=0 if first else None,
        frames_tracking=sum(frame.tracking_score is not None for frame in frames),
        frames_run=10,
    )


ROWS = [
    _row("colour", _frame(R, R), _frame(P, P), _frame(W, N), _frame(N, N), _frame(INVENTED, CLEAN)),
    _row("class", _frame(W, W), _frame(R, N), _frame(CLEAN, CLEAN)),
    _row("absent", _frame(INVENTED, INVENTED), _frame(CLEAN, CLEAN), absent=True),
    _row("absent", _frame(INVENTED, CLEAN), _frame(CLEAN, CLEAN), absent=True),
]


def test_shares_are_of_the_frames_where_it_is_there_and_of_those_where_it_is_not() -> None:
    shown = totals.shares(ROWS[:1], Way.SHOWN)
    assert shown == {
        "there": 4,
        "right": 0.25,
        "partly": 0.25,
        "wrong": 0.25,
        "none": 0.25,
        "not_there": 1,
        "clean": 0.0,
        "invented": 1.0,
    }
    believed = totals.shares(ROWS[:1], Way.TRACKING)
    assert (believed["wrong"], believed["none"], believed["clean"]) == (0.0, 0.5, 1.0)


def test_kinds_come_in_order_and_absent_last() -> None:
    assert totals.kinds_of([ROWS[2], *ROWS]) == ["colour", "class", "absent"]
    told = totals.figures(ROWS)["kinds"]
    assert list(told) == ["colour", "class", "absent", "all"]
    assert told["absent"]["sentences"] == 2
    assert told["all"]["shown"]["there"] == 6
    assert told["absent"]["shown"]["right"] is None


def test_a_frame_counts_for_the_state_that_it_shows() -> None:
    told = totals.states(ROWS)
    assert told["tracking"]["frames"] == 4
    assert told["tracking"]["right"] == 0.25
    assert told["tracking"]["wrong"] == 0.5  # one wrong, one invented
    assert told["tracking"]["invented"] == 0.25
    assert told["uncertain"]["frames"] == 4
    assert told["uncertain"]["wrong"] == 0.75


def test_an_absent_thing_may_be_invented_between_the_annotated_frames() -> None:
    sly = replace(ROWS[3], frames=(_frame(CLEAN, CLEAN),), frames_tracking=3, first_mask=4)
    assert totals.absences([*ROWS, sly]) == {
        "sentences": 3,
        "tracking_on_annotated": 1,
        "tracking_on_any": 2,
        "shown_on_annotated": 2,
        "shown_on_any": 3,
    }


def test_a_score_is_held_against_right() -> None:
    assert totals.right_pairs(ROWS[:1], Way.SHOWN) == [(0.8, 1.0)] + [(0.8, 0.0)] * 3
    assert totals.right_pairs(ROWS[:1], Way.TRACKING) == [(0.8, 1.0), (0.8, 0.0)]
    told = totals.figures(ROWS[:1])["calibration"]
    assert told["right"] == {"error": pytest.approx(0.55), "count": 4}
    assert told["right_tracking"] == {"error": pytest.approx(0.3), "count": 2}


def test_a_score_is_held_against_masks_where_there_are_some() -> None:
    masks = tuple(MaskScore(at, 0.3, 0.7 if at else None, True) for at in range(20))
    rows = [replace(ROWS[0], masks=masks), ROWS[1]]
    pairs = totals.iou_pairs(rows)
    assert pairs[:-2] == [(0.7, 0.3)] * 4  # of five, the first shows nothing
    assert pairs[-2:] == [(0.8, 0.6)] * 2


def test_a_mask_below_one_half_is_no_tracking() -> None:
    masks = (
        MaskScore(0, 0.4, 0.9, True),
        MaskScore(1, 0.6, 0.9, True),
        MaskScore(2, 0, 0.5, False),
    )
    told = totals.mask_figures([replace(ROWS[0], masks=masks), ROWS[1]])
    assert told["sentences"] == 1
    assert told["iou"] == pytest.approx(1 / 3)
    assert (told["frames_tracking"], told["tracking_below_half"]) == (2, 0.5)


def test_first_masks_of_what_is_there_from_the_start() -> None:
    rows = [
        replace(ROWS[0], first_mask=4),
        replace(ROWS[0], first_mask=10),
        replace(ROWS[0], first_mask=None),
        replace(ROWS[1], first_mask=90, there_first=False),
    ]
    assert totals.first_masks(rows) == {"sentences": 3, "never": 1, "median": 7.0, "greatest": 10}


def test_nothing_adds_up_to_nothing() -> None:
    told = totals.figures([])
    assert told["sentences"] == 0
    assert told["states"]["tracking"] == {
        "frames": 0,
        "right": None,
        "partly": None,
        "wrong": None,
        "invented": None,
    }
    assert told["calibration"]["right"] == {"error": None, "count": 0}
