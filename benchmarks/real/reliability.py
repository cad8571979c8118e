"""The reliability diagram: score against what came of it, drawn with the counts of every bin.

After DeGroot and Fienberg 1983, as in Guo et al., ICML 2017, figure 1. Knows bins and drawing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from streamseg.benchmarks.real.sheets import painter
from streamseg.evaluation.calibration import Bin, expected_error
from streamseg.sinks.palette import Colour
from streamseg.sinks.text import blit
from streamseg.types import Image

_PLOT_PX = 400
_COUNTS_PX = 90
_LEFT_PX, _RIGHT_PX, _TOP_PX, _BETWEEN_PX, _BOTTOM_PX = 64, 24, 64, 40, 48
_TEXT_PX = 15

PAPER: Colour = (255, 255, 255)
INK: Colour = (40, 44, 52)
FAINT: Colour = (224, 228, 234)
BARS: Colour = (86, 140, 214)
MISSED: Colour = (240, 176, 168)
COUNTS: Colour = (160, 168, 180)


@dataclass(frozen=True)
class Plot:
    """One plot: its title, what the outcome is called, and the bins."""

    title: str
    outcome: str
    bins: Sequence[Bin]


def diagram(plots: Sequence[Plot]) -> Image:
    """Draw plots side by side, (h, w, 3): bars of the mean outcome, the diagonal on which they
    would lie if a score meant what it says, what is missing to it, and how many there are."""
    return np.hstack([_drawn(plot) for plot in plots])


def _drawn(plot: Plot) -> Image:
    width = _LEFT_PX + _PLOT_PX + _RIGHT_PX
    height = _TOP_PX + _PLOT_PX + _BETWEEN_PX + _COUNTS_PX + _BOTTOM_PX
    canvas = np.full((height, width, 3), PAPER, np.uint8)
    error = expected_error(plot.bins)
    count = sum(each.count for each in plot.bins)
    said = "no frame" if error is None else f"{count} frames, calibration error {error:.3f}"
    _write(canvas, plot.title, _LEFT_PX, 12, bold=True, size=18)
    _write(canvas, said, _LEFT_PX, 36)
    _draw_grid(canvas)
    for each in plot.bins:
        _draw_bin(canvas, each)
    bottom = _TOP_PX + _PLOT_PX
    cv2.line(canvas, (_LEFT_PX, bottom), (_LEFT_PX + _PLOT_PX, _TOP_PX), INK, 1, cv2.LINE_AA)
    cv2.rectangle(canvas, (_LEFT_PX, _TOP_PX), (_LEFT_PX + _PLOT_PX, bottom), INK, 1)
    _write_upright(canvas, plot.outcome, 4, _TOP_PX + _PLOT_PX // 2)
    _draw_counts(canvas, plot.bins)
    return canvas


def _draw_grid(canvas: Image) -> None:
    bottom = _TOP_PX + _PLOT_PX
    for tenth in range(0, 11, 2):
        offset = round(_PLOT_PX * tenth / 10)
        y, x = bottom - offset, _LEFT_PX + offset
        cv2.line(canvas, (_LEFT_PX, y), (_LEFT_PX + _PLOT_PX, y), FAINT, 1)
        cv2.line(canvas, (x, _TOP_PX), (x, bottom), FAINT, 1)
        _write(canvas, f"{tenth / 10:.1f}", _LEFT_PX - 30, y - 10)
        _write(canvas, f"{tenth / 10:.1f}", x - 11, bottom + 6)


def _draw_bin(canvas: Image, each: Bin) -> None:
    """The bar up to the mean outcome, and from there to the mean score: what is missing."""
    if each.score is None or each.outcome is None:
        return
    bottom = _TOP_PX + _PLOT_PX
    x0, x1 = (_LEFT_PX + round(_PLOT_PX * edge) for edge in (each.low, each.high))
    reached, meant = (bottom - round(_PLOT_PX * value) for value in (each.outcome, each.score))
    cv2.rectangle(canvas, (x0 + 2, reached), (x1 - 2, bottom), BARS, cv2.FILLED)
    low, high = sorted((reached, meant))
    if high > low:
        cv2.rectangle(canvas, (x0 + 2, low), (x1 - 2, high), MISSED, cv2.FILLED)
        cv2.line(canvas, (x0 + 2, reached), (x1 - 2, reached), INK, 2)
    label = painter().coverage(f"{each.outcome:.2f}", 13)
    inside = reached + 3 if reached + 20 < bottom else reached - 19
    blit(canvas, label, (x0 + x1 - label.shape[1]) // 2, inside, INK)


def _draw_counts(canvas: Image, bins: Sequence[Bin]) -> None:
    base = _TOP_PX + _PLOT_PX + _BETWEEN_PX + _COUNTS_PX
    most = max((each.count for each in bins), default=0)
    for each in bins:
        x0, x1 = (_LEFT_PX + round(_PLOT_PX * edge) for edge in (each.low, each.high))
        top = base - (round((_COUNTS_PX - 22) * each.count / most) if most else 0)
        cv2.rectangle(canvas, (x0 + 2, top), (x1 - 2, base), COUNTS, cv2.FILLED)
        label = painter().coverage(str(each.count), 13)
        blit(canvas, label, (x0 + x1 - label.shape[1]) // 2, top - 18, INK)
    cv2.line(canvas, (_LEFT_PX, base), (_LEFT_PX + _PLOT_PX, base), INK, 1)
    _write(canvas, "score, and frames in each bin", _LEFT_PX, base + 10)


def _write(
    canvas: Image, text: str, x: int, y: int, *, bold: bool = False, size: int = _TEXT_PX
) -> None:
    blit(canvas, painter().coverage(text, size, bold), x, y, INK)


def _write_upright(canvas: Image, text: str, x: int, middle: int) -> None:
    words = np.ascontiguousarray(np.rot90(painter().coverage(text, _TEXT_PX)))
    blit(canvas, words, x, middle - words.shape[0] // 2, INK)
