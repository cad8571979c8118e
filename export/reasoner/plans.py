"""TensorRT plans of a reasoner's graphs, for a card that need not be here; built, not run.

Their operators are plain ones, so that both compilers take them; what they want besides is between
which lengths each open side will be.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from streamseg.engines.files import cannot_write, write_whole
from streamseg.engines.manifest import versions
from streamseg.errors import EngineError
from streamseg.export.build import Made, Order, build_for, file_name, target_of
from streamseg.export.reasoner.decoder import BEFORE, TOKENS, TOTAL
from streamseg.export.reasoner.vision import GROUPS
from streamseg.reasoning.models.exported import record as records
from streamseg.reasoning.models.exported.record import Open, Plan

_SIDES = {GROUPS: (1, 256, 1024), TOKENS: (1, 1, 3072), BEFORE: (0, 1024, 3072)}
"""Least, usual and most. At the default budgets of pixels a picture has at most 768 cells and a
prompt some 2,000 tokens; what is usual is one token after a prompt."""


def build_plans(folder: Path, order: Order) -> list[Made]:
    """Build both graphs in fp32 and add the plans to a reasoner's folder; the rows of the table.

    Args:
        folder: Of an exported reasoner that has fp32.
        order: Format, card and staging folder.

    Raises:
        CheckpointError: The folder is none.
        ConfigError: A card that the library does not know, or the one here, and none is.
        MissingDependencyError: The library is not installed.
        OutputError: The folder cannot be written.
    """
    described = records.read(folder)
    exact = described.precisions["fp32"]
    rows = []
    for part, graph in (("reasoner_vision", exact.vision), ("reasoner_decoder", exact.decoder)):
        begun_s = time.perf_counter()
        lengths = _lengths(graph.inputs)
        try:
            content = build_for(part, folder / graph.files[0], order, lengths)
        except EngineError as error:
            rows.append(Made(part, None, 0.0, None, f"FAILED: {error}"))
            continue
        build_s = round(time.perf_counter() - begun_s, 3)
        file = file_name(part, order)
        write_whole(order.staging / file, content)
        held = records.hashes(order.staging, [file])
        try:
            (order.staging / file).replace(folder / file)
        except OSError as error:
            raise cannot_write(folder, error) from None
        plan = Plan(part, order.format, target_of(order), lengths, build_s)
        described = replace(
            described,
            files={**described.files, **held},
            plans={**described.plans, file: plan},
            versions={**described.versions, **versions()},
        )
        records.write(folder, described)
        words = "built, not run: nothing here runs it"
        rows.append(Made(f"{part} plan", None, build_s, None, words, len(content)))
    return rows


def _lengths(inputs: Sequence[Open]) -> dict[str, Any]:
    """By input with open sides, its shapes."""
    found = {}
    for tensor in inputs:
        if any(isinstance(side, str) for side in tensor.shape):
            found[tensor.name] = tuple(
                tuple(_side(side, at) for side in tensor.shape) for at in range(3)
            )
    return found


def _side(side: int | str, at: int) -> int:
    if isinstance(side, int):
        return side
    if side == TOTAL:
        return _SIDES[TOKENS][at] + _SIDES[BEFORE][at]
    return _SIDES[side][at]
