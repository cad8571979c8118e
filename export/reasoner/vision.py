"""Vision towers of Qwen-VL's families as a graph, for pictures of every size.

What a size decides (positions, windows, the taps of the learnt grid) comes in as inputs
(`reasoning/models/exported/places.py`), so that the graph has no loop and no branch. Attention in
windows is a batch of them, each padded to its full size, in place of a mask of all pairs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from streamseg.export.reasoner import layers
from streamseg.export.reasoner.sheet import Bits, Sheet, Written
from streamseg.reasoning.models.exported.graphs import FEATURES
from streamseg.reasoning.models.exported.places import Sight

GROUPS = "groups"
"""Cells of a picture, or its windows: a side that is chosen at each run."""


def sight(visual: Any) -> Sight:
    """How transformers' vision tower takes pictures."""
    merge = int(visual.spatial_merge_size)
    if hasattr(visual, "window_size"):
        return Sight(merge, window=visual.window_size // merge // visual.patch_size)
    if hasattr(visual, "pos_embed"):
        return Sight(merge, table=int(visual.num_grid_per_side))
    return Sight(merge)


def levels(visual: Any) -> int:
    """Of features: the last, and those that go to the decoder's first layers."""
    return 1 + len(getattr(visual, "deepstack_visual_indexes", ()))


def write_vision(visual: Any, path: Path, bits: Bits) -> Written:
    """Write a tower's graph.

    Its inputs are those of `places.vision_inputs`, its output (levels, cells, H) float32.

    Args:
        visual: transformers' module, in float32.
        bits: Of its matrices.

    Raises:
        EngineError: It has a layer that cannot be exported.
        MissingDependencyError: onnx is not installed.
        OutputError: A file cannot be written.
    """
    with Sheet(path) as sheet:
        _Tower(visual, sheet, bits).write()
        return sheet.save()


class _Tower:
    def __init__(self, visual: Any, sheet: Sheet, bits: Bits) -> None:
        self._visual = visual
        self._sheet = sheet
        self._bits = bits
        self._sight = sight(visual)
        self._rows = self._sight.merge**2 * max(1, self._sight.window**2)
        """Patches of a group."""
        wide = set(getattr(visual, "fullatt_block_indexes", None) or ())
        self._local = set(range(len(visual.blocks))) - wide if self._sight.window else set()

    def write(self) -> None:
        sheet, rows = self._sheet, self._rows
        kernel = self._visual.patch_embed.proj  # its stride is its size: a product of each patch
        matrix = layers.array(kernel.weight).reshape(len(kernel.weight), -1)
        patches = sheet.input("patches", (GROUPS, rows, matrix.shape[1]))
        positions = sheet.input("positions", (GROUPS, rows, 2), np.int64)
        hidden = sheet.product(patches, matrix, "embed", self._bits)
        if kernel.bias is not None:
            hidden = sheet.op("Add", hidden, sheet.weight(layers.array(kernel.bias), "embed.bias"))
        if self._sight.table:
            hidden = sheet.op("Add", hidden, self._learnt())
        there = None
        if self._sight.window:
            there = layers.unseen(sheet, sheet.input("there", (GROUPS, rows), np.bool_))
        else:  # every layer sees all: one group
            hidden = sheet.reshape(hidden, 1, -1, len(matrix))
            positions = sheet.reshape(positions, 1, -1, 2)
        self._layers(hidden, positions, there)

    def _learnt(self) -> str:
        """The learnt grid at each patch, from four of its rows."""
        sheet, shape = self._sheet, (GROUPS, self._rows, 4)
        taps = sheet.input("taps", shape, np.int64)
        weights = sheet.input("weights", shape)
        grid = sheet.weight(layers.array(self._visual.pos_embed.weight), "grid")
        tapped = sheet.op("Gather", grid, taps, axis=0)
        weighted = sheet.op("Mul", tapped, sheet.op("Unsqueeze", weights, sheet.constant([-1])))
        return sheet.op("ReduceSum", weighted, sheet.constant([-2]), keepdims=0)

    def _layers(self, hidden: str, positions: str, there: str | None) -> None:
        sheet, visual = self._sheet, self._visual
        attention = visual.blocks[0].attn
        width = attention.qkv.in_features // attention.num_heads
        turn = layers.angles(sheet, positions, visual.rotary_pos_emb, 2)
        cosine, sine = (sheet.op("Unsqueeze", each, sheet.constant([1])) for each in turn)
        apart = (cosine, sine), there and sheet.reshape(there, -1, 1, 1, self._rows)
        together = (
            (sheet.reshape(cosine, 1, 1, -1, width), sheet.reshape(sine, 1, 1, -1, width)),
            there and sheet.reshape(there, 1, 1, 1, -1),
        )
        deep = list(getattr(visual, "deepstack_visual_indexes", ()))
        levels_ = []
        for at, block in enumerate(visual.blocks):
            local = at in self._local
            rows = layers.norm(sheet, hidden, block.norm1, f"blocks.{at}.norm1")
            size = block.attn.qkv.in_features
            if there and not local:
                rows = sheet.reshape(rows, 1, -1, size)
            made = self._attention(block.attn, rows, *(apart if local else together), at)
            if there and not local:
                made = sheet.reshape(made, -1, self._rows, size)
            hidden = sheet.op("Add", hidden, made)
            rows = layers.norm(sheet, hidden, block.norm2, f"blocks.{at}.norm2")
            made = layers.perceptron(sheet, rows, block.mlp, f"blocks.{at}.mlp", self._bits)
            hidden = sheet.op("Add", hidden, made)
            if at in deep:
                merger = visual.deepstack_merger_list[deep.index(at)]
                levels_.append(self._merged(merger, hidden, f"deep.{deep.index(at)}"))
        merged = self._merged(visual.merger, hidden, "merger")
        features = sheet.op("Concat", merged, *levels_, axis=0) if levels_ else merged
        last = visual.merger.mlp[2] if hasattr(visual.merger, "mlp") else visual.merger.linear_fc2
        sheet.output(FEATURES, features, (1 + len(levels_), "cells", last.out_features))

    def _attention(
        self, attention: Any, rows: str, turn: tuple[str, str], there: str | None, at: int
    ) -> str:
        """(groups, rows, width) to the same, each group for itself."""
        sheet, name = self._sheet, f"blocks.{at}.attention"
        size, heads = attention.qkv.in_features, attention.num_heads
        joined = layers.linear(sheet, rows, attention.qkv, f"{name}.qkv", self._bits)
        split = sheet.reshape(joined, 0, 0, 3, heads, size // heads)
        query, key, value = (
            sheet.op("Squeeze", each, sheet.constant([0]))
            for each in sheet.ops(
                "Split", sheet.transpose(split, 2, 0, 3, 1, 4), count=3, axis=0, num_outputs=3
            )
        )
        query, key = (layers.rotated(sheet, each, turn, size // heads) for each in (query, key))
        turned = sheet.transpose(key, 0, 1, 3, 2)
        made = layers.attended(sheet, query, turned, value, attention.scaling, there)
        made = sheet.reshape(sheet.transpose(made, 0, 2, 1, 3), 0, 0, size)
        return layers.linear(sheet, made, attention.proj, f"{name}.out", self._bits)

    def _merged(self, merger: Any, hidden: str, name: str) -> str:
        """(1, cells, H): a cell's patches as one token."""
        sheet, bits, wide = self._sheet, self._bits, merger.hidden_size
        if hasattr(merger, "ln_q"):
            rows = layers.norm(sheet, hidden, merger.ln_q, f"{name}.norm")
            first, between, second = merger.mlp
            rows = sheet.reshape(rows, 1, -1, wide)
        else:
            after = merger.use_postshuffle_norm
            rows = sheet.reshape(hidden, 1, -1, wide) if after else hidden
            rows = layers.norm(sheet, rows, merger.norm, f"{name}.norm")
            rows = rows if after else sheet.reshape(rows, 1, -1, wide)
            first, between, second = merger.linear_fc1, merger.act_fn, merger.linear_fc2
        inner = layers.linear(sheet, rows, first, f"{name}.in", bits)
        inner = layers.activation(sheet, inner, between)
        return layers.linear(sheet, inner, second, f"{name}.out", bits)
