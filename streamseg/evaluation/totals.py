"""What the sentences about real clips add up to: shares of verdicts, honesty, calibration, times.

Every figure is a plain value, ready for JSON: shares in [0, 1], None where there is nothing to
take a share of. Knows scores alone; no picture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from statistics import fmean, median
from typing import Any

from streamseg.evaluation import calibration
from streamseg.evaluation.real import NOT_THERE, THERE, SentenceScore, Verdict, Way
from streamseg.types import TrackState

MASKS_A_SENTENCE = 5
"""At most so many true masks of a sentence count for the calibration."""


def figures(rows: Sequence[SentenceScore]) -> dict[str, Any]:
    """All that the sentences add up to, in plain values; shares in [0, 1], None of nothing."""
    kinds = {kind: [row for row in rows if row.kind == kind] for kind in kinds_of(rows)}
    return {
        "sentences": len(rows),
        "failed": sum(row.error is not None for row in rows),
        "unanswered": sum(row.unanswered > 0 for row in rows),
        "kinds": {
            kind: {
                "sentences": len(group),
                **{str(way): shares(group, way) for way in Way},
                "mask_iou": _mean(row.mask_iou for row in group),
            }
            for kind, group in {**kinds, "all": list(rows)}.items()
        },
        "states": states(rows),
        "absent": absences(rows),
        "calibration": {
            "right": error_of(right_pairs(rows, Way.SHOWN)),
            "right_tracking": error_of(right_pairs(rows, Way.TRACKING)),
            "iou": error_of(iou_pairs(rows)),
        },
        "masks": mask_figures(rows),
        "first_mask": first_masks(rows),
        "frame_ms": _median(row.frame_ms for row in rows),
        "wall_ms": _mean(row.wall_ms for row in rows),
    }


def kinds_of(rows: Iterable[SentenceScore]) -> list[str]:
    """Every kind, in the order of first mention, those of absent things last."""
    absent: dict[str, bool] = {}
    for row in rows:
        absent[row.kind] = absent.get(row.kind, True) and row.absent
    return sorted(absent, key=lambda kind: absent[kind])


def shares(rows: Iterable[SentenceScore], way: Way) -> dict[str, Any]:
    """Frames where the thing is there and where it is not, each with the share of every verdict."""
    verdicts = [frame.verdict(way) for row in rows for frame in row.frames]
    there = sum(each in THERE for each in verdicts)
    away = len(verdicts) - there
    return {
        "there": there,
        **{str(each): _share(verdicts.count(each), there) for each in THERE},
        "not_there": away,
        **{str(each): _share(verdicts.count(each), away) for each in NOT_THERE},
    }


def states(rows: Iterable[SentenceScore]) -> dict[str, Any]:
    """How frames fare that show something as `tracking`, by that alone, and those that show
    something but none of it so. `wrong` counts what is invented too."""
    frames = [frame for row in rows for frame in row.frames if frame.objects]
    believed = [frame.tracking for frame in frames if frame.tracking_score is not None]
    doubted = [frame.shown for frame in frames if frame.tracking_score is None]
    return {
        str(state): {
            "frames": len(verdicts),
            "right": _share(verdicts.count(Verdict.RIGHT), len(verdicts)),
            "partly": _share(verdicts.count(Verdict.PARTLY), len(verdicts)),
            "wrong": _share(
                verdicts.count(Verdict.WRONG) + verdicts.count(Verdict.INVENTED), len(verdicts)
            ),
            "invented": _share(verdicts.count(Verdict.INVENTED), len(verdicts)),
        }
        for state, verdicts in ((TrackState.TRACKING, believed), (TrackState.UNCERTAIN, doubted))
    }


def absences(rows: Iterable[SentenceScore]) -> dict[str, int]:
    """Of the sentences about what is not there, how many invent it, and how surely."""
    absent = [row for row in rows if row.absent]

    def annotated(way: Way) -> int:
        return sum(any(f.verdict(way) is Verdict.INVENTED for f in row.frames) for row in absent)

    return {
        "sentences": len(absent),
        "tracking_on_annotated": annotated(Way.TRACKING),
        "tracking_on_any": sum(row.frames_tracking > 0 for row in absent),
        "shown_on_annotated": annotated(Way.SHOWN),
        "shown_on_any": sum(row.first_mask is not None for row in absent),
    }


def right_pairs(rows: Iterable[SentenceScore], way: Way) -> list[tuple[float, float]]:
    """Score against 1 for right and 0 for anything else, of every frame that shows something."""
    frames = (frame for row in rows for frame in row.frames)
    return _pairs((f.score_of(way), f.verdict(way) is Verdict.RIGHT) for f in frames)


def iou_pairs(rows: Iterable[SentenceScore]) -> list[tuple[float, float]]:
    """Score against IoU of frames that show something: with the true mask where there are true
    masks of the sentence, with the true boxes elsewhere. Of many masks a few are taken, spread
    evenly, so that a sentence with a mask on every frame weighs about as much as the others."""
    pairs: list[tuple[float | None, float]] = []
    for row in rows:
        if row.masks:
            step = -(-len(row.masks) // MASKS_A_SENTENCE)
            pairs += [(mask.score, mask.iou) for mask in row.masks[::step]]
        else:
            pairs += [(frame.score, frame.box_iou or 0.0) for frame in row.frames]
    return _pairs(pairs)


def _pairs(values: Iterable[tuple[float | None, float]]) -> list[tuple[float, float]]:
    return [(score, float(outcome)) for score, outcome in values if score is not None]


def error_of(pairs: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """The expected calibration error, and of how many pairs."""
    return {"error": calibration.expected_error(calibration.bins(pairs)), "count": len(pairs)}


def mask_figures(rows: Iterable[SentenceScore]) -> dict[str, Any]:
    """Sentences with true masks: their IoU, and how often `tracking` hides one below one half."""
    held = [row for row in rows if row.masks]
    believed = [mask.iou for row in held for mask in row.masks if mask.tracking]
    return {
        "sentences": len(held),
        "iou": _mean(row.mask_iou for row in held),
        "frames_tracking": len(believed),
        "tracking_below_half": _share(sum(iou < 0.5 for iou in believed), len(believed)),
    }


def first_masks(rows: Iterable[SentenceScore]) -> dict[str, Any]:
    """Frames to the first mask, of the sentences about what is there from the first frame on."""
    there = [row for row in rows if row.there_first]
    return {
        "sentences": len(there),
        "never": sum(row.first_mask is None for row in there),
        "median": _median(row.first_mask for row in there),
        "greatest": max((r.first_mask for r in there if r.first_mask is not None), default=None),
    }


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _mean(values: Iterable[float | None]) -> float | None:
    return _of(fmean, values)


def _median(values: Iterable[float | None]) -> float | None:
    return _of(median, values)


def _of(statistic: Callable[[list[float]], float], values: Iterable[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return float(statistic(there)) if there else None
