"""A training's curves as a PNG, from the lines of its log."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from streamseg.errors import MissingDependencyError, OutputError
from streamseg.masking import legible

_WIDTH, _HEIGHT = 5.0, 3.2


def rows_of(log: Path) -> list[dict[str, Any]]:
    """The lines of a log that are whole."""
    rows = []
    for line in log.read_text(encoding="utf-8").splitlines():
        try:
            row = json.loads(line)
        except ValueError:  # the last line of a run that was killed
            continue
        if isinstance(row, dict):
            rows.append(row)
    return rows


def draw(log: Path, picture: Path) -> None:
    """Two panels a stage: losses as they were trained, and shares right on held-out pictures.

    Raises:
        MissingDependencyError: matplotlib is not installed.
        OutputError: The picture cannot be written.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingDependencyError("matplotlib", "training") from None
    rows = rows_of(log)
    stages = list(dict.fromkeys(row["stage"] for row in rows))
    figure = Figure((2 * _WIDTH, _HEIGHT * max(1, len(stages))), layout="constrained")
    FigureCanvasAgg(figure)
    for at, stage in enumerate(stages):
        for way, what in enumerate(("train", "held out")):
            axes = figure.add_subplot(len(stages), 2, 2 * at + way + 1)
            those = [row for row in rows if row["stage"] == stage and row["what"] == what]
            _lines(axes, those, share=what != "train")
            axes.set_title(f"{stage}, {what}", fontsize=9)
            axes.set_xlabel("step", fontsize=8)
    part = picture.with_suffix(".part")
    try:
        try:
            figure.savefig(part, format="png", dpi=110)
            part.replace(picture)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{legible(str(picture))}: {error.strerror}") from None


def _lines(axes: Any, rows: list[dict[str, Any]], share: bool) -> None:
    skipped = {"stage", "step", "what", "minutes"}
    names = [name for name in (rows[0] if rows else {}) if name not in skipped]
    for name in names:
        told = [(row["step"], row[name]) for row in rows if name in row]
        if share and max(value for _, value in told) > 1.0:
            continue  # counts, pixels and sums have no place among shares
        axes.plot(*zip(*told, strict=True), label=name, linewidth=1)
    if names:
        axes.legend(fontsize=6)
    axes.tick_params(labelsize=7)
    axes.grid(alpha=0.3)
