"""The two graphs of an exported reasoner run one after the other: pictures seen, tokens continued.

Knows arrays and tokens; nothing of prompts, budgets and answers.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamseg.engines.cached import CachedEngine
from streamseg.engines.onnx_session import OnnxRuntimeOptions, one_line, open_session
from streamseg.errors import CheckpointError, EngineError
from streamseg.reasoning.models.exported.places import Sight, text_positions, vision_inputs
from streamseg.reasoning.models.exported.record import Record

Logits = NDArray[np.float32]
"""(V,) of the next token."""
FEATURES = "features"
DECODER_INPUTS = ("ids", "pictures", "positions", "mask")


class Graphs:
    """A reasoner's network, one conversation at a time.

    Args:
        vision, decoder: Their files.
        sight: How the vision tower takes pictures.
        image_id: Token that stands for a cell of a picture.

    Raises:
        CheckpointError: The files are graphs of something else.
        EngineError: They do not load, or the provider is not there.
        MissingDependencyError: onnxruntime is not installed.
    """

    def __init__(
        self,
        vision: Path,
        decoder: Path,
        sight: Sight,
        image_id: int,
        options: OnnxRuntimeOptions | None = None,
    ) -> None:
        options = replace(options or OnnxRuntimeOptions(), lengths=True)
        self._sight = sight
        self._image_id = image_id
        self._vision = open_session(vision.name, vision, options)
        self._decoder = CachedEngine(decoder.name, decoder, options)
        if odd := self._decoder.missing(DECODER_INPUTS):
            raise CheckpointError(
                f"{decoder}: expected a decoder that takes {', '.join(DECODER_INPUTS)}; of these "
                f"it lacks, or has besides, {', '.join(odd)[:200]}"
            )
        levels, _, width = self._decoder.shapes["pictures"]
        (seen,) = self._vision.get_outputs()
        if (seen.name, seen.shape[0], seen.shape[2]) != (FEATURES, levels, width):
            raise CheckpointError(
                f"{vision}: expected {FEATURES} of {levels} levels of {width}, got {seen.name} "
                f"{list(seen.shape)}"
            )
        self._levels, self._width = int(levels), int(width)
        self._next = 0

    @classmethod
    def open(
        cls, folder: Path, record: Record, precision: str, options: OnnxRuntimeOptions
    ) -> Graphs:
        """Those of one precision of a folder; see the class for what may be raised."""
        rounded = record.precisions[precision]
        vision, decoder = (folder / graph.files[0] for graph in (rounded.vision, rounded.decoder))
        return cls(vision, decoder, sight_of(record), record.image_id, options)

    def see(self, patches: NDArray[np.float32], grid: tuple[int, int]) -> NDArray[np.float32]:
        """(levels, cells, width) of one picture; see `places.vision_inputs`.

        Raises:
            EngineError: The device fails.
        """
        inputs, kept = vision_inputs(patches, grid, self._sight)
        try:
            (found,) = self._vision.run([FEATURES], inputs)
        except Exception as error:
            raise EngineError(f"the vision graph failed: {one_line(error)}") from error
        features: NDArray[np.float32] = found[:, kept]
        return features

    def begin(self, inputs: dict[str, NDArray[Any]]) -> Logits:
        """Read a prompt as a composer makes it, from the beginning.

        Raises:
            EngineError: The device fails.
            ValueError: Its picture tokens are not its pictures' cells.
        """
        self._decoder.begin()
        ids = inputs["input_ids"][0]
        grids = [(int(down), int(across)) for _, down, across in inputs["image_grid_thw"]]
        positions = text_positions(ids, self._image_id, grids, self._sight.merge)
        pictures = np.zeros((self._levels, len(ids), self._width), np.float32)
        at = np.flatnonzero(ids == self._image_id)
        start = taken = 0
        for grid in grids:
            end = start + grid[0] * grid[1]
            features = self.see(inputs["pixel_values"][start:end], grid)
            pictures[:, at[taken : taken + features.shape[1]]] = features
            start, taken = end, taken + features.shape[1]
        self._next = int(positions.max()) + 1
        return self._run(ids, pictures, positions)

    def go_on(self, token: int) -> Logits:
        """Take one more token.

        Raises:
            EngineError: The device fails.
        """
        position = np.full((3, 1), self._next, np.int64)
        self._next += 1
        pictures = np.zeros((self._levels, 1, self._width), np.float32)
        return self._run(np.asarray([token]), pictures, position)

    @property
    def length(self) -> int:
        """Tokens read and written so far."""
        return self._decoder.length

    def _run(
        self,
        ids: NDArray[np.int64],
        pictures: NDArray[np.float32],
        positions: NDArray[np.int64],
    ) -> Logits:
        rows, before = len(ids), self._decoder.length
        given: dict[str, NDArray[Any]] = {
            "ids": ids.astype(np.int64)[None],
            "pictures": pictures,
            "positions": positions,
            "mask": np.tri(rows, before + rows, before, dtype=np.bool_),
        }
        logits: Logits = self._decoder.run(given, rows)[0]
        return logits


def sight_of(record: Record) -> Sight:
    """How the vision tower of a folder takes pictures."""
    return Sight(record.merge, record.window, record.table)
