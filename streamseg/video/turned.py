"""Frames with their time turned round: whoever carries masks goes back and does not know."""

from __future__ import annotations

from streamseg.types import Frame


def turned(frame: Frame, about: Frame) -> Frame:
    """The same picture as far after `about` as it is before it, in frames and in time."""
    return Frame(
        2 * about.index - frame.index,
        2 * about.pts_ns - frame.pts_ns,
        frame.epoch,
        frame.image,
        frame.arrived_ns,
    )
