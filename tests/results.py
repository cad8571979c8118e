"""Builders of results, for the tests of whatever takes them."""

from __future__ import annotations

import numpy as np

from streamseg.types import (
    CERTAIN,
    Evidence,
    Frame,
    FrameResult,
    MaskSet,
    SourceInfo,
    TrackState,
    TrackView,
    TriggerReason,
)

Rectangle = tuple[int, int, int, int]
FPS = 25.0
INFO = SourceInfo(name="test", live=False, fps=FPS, frame_count=10, width=64, height=48)


def make_result(
    index: int = 0,
    size: tuple[int, int] = (64, 48),
    rectangles: dict[int, Rectangle] | None = None,
    state: TrackState = TrackState.TRACKING,
    epoch: int = 0,
    pts_s: float | None = None,
    trigger: TriggerReason | None = None,
    absent: tuple[int, ...] = (),
    query: str = "the mug",
    doubt: str = "",
    evidence: Evidence = CERTAIN,
) -> FrameResult:
    """A result of `size` (width, height) with a rectangle (x0, y0, x1, y1) per id."""
    width, height = size
    rng = np.random.default_rng(index)
    image = rng.integers(0, 256, (height, width, 3), np.uint8)
    labels = np.zeros((height, width), np.uint16)
    tracks = []
    for track_id, (x0, y0, x1, y1) in (rectangles or {}).items():
        labels[y0:y1, x0:x1] = track_id
        tracks.append(TrackView(track_id, 0.93, state, (x0, y0, x1, y1), "mug", evidence))
    tracks += [TrackView(track_id, 0.05, TrackState.LOST, None) for track_id in absent]
    pts_ns = round((index / FPS if pts_s is None else pts_s) * 1e9)
    return FrameResult(
        frame=Frame(index, pts_ns, epoch, image),
        state=state,
        masks=MaskSet(labels, tuple(tracks)),
        mask_age_frames=0 if tracks else None,
        grounded_frame=3 if tracks else None,
        query=query,
        difficulty=2.4,
        trigger=trigger,
        timings_ms={"propagate": 9.1234, "latency": 12.3},
        doubt=doubt,
    )
