"""The decoder of Qwen-VL's families as a graph: one for a whole prompt and for a single token.

Where it is, what it may look at and what came before all come in; the cache goes out, grown. Heads
that share keys and values are an axis of their own, so that nothing is repeated for them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from streamseg.engines.cached import LOGITS, PAST, PRESENT
from streamseg.errors import EngineError
from streamseg.export.reasoner import layers
from streamseg.export.reasoner.sheet import Bits, Sheet, Written

TOKENS, BEFORE, TOTAL = "tokens", "past", "total"
"""Sides that are chosen at each run."""


def write_decoder(
    network: Any, path: Path, levels: int, image_id: int, bits: Bits, outer: Bits
) -> Written:
    """Write a decoder's graph.

    It takes
        ids: (1, tokens) int64.
        pictures: (levels, tokens, H) float32; 0 where a token is a word.
        positions: (3, tokens) int64, see `places.text_positions`.
        mask: (tokens, total) bool, what each token may look at.
        past_key_*, past_value_*: (1, heads, before, width) float32 of each layer in turn.
    It gives
        logits: (1, V) float32 after the last token.
        present_key_*, present_value_*: (1, heads, total, width) float32.

    Args:
        network: transformers' own, in float32.
        levels: Of a picture's features: 1, and one for each layer that takes more of them.
        image_id: Token in whose place a cell of a picture stands.
        bits: Of its layers' matrices.
        outer: Of its head and its words.

    Raises:
        EngineError: It has a layer that cannot be exported.
        MissingDependencyError: onnx is not installed.
        OutputError: A file cannot be written.
    """
    language = network.model.language_model
    kinds = getattr(language.config, "layer_types", None) or ()
    if any("sliding" in str(kind) for kind in kinds):
        raise EngineError(
            "the reasoner: expected layers that look at all tokens, got some that look at the last "
            "few (use_sliding_window)"
        )
    with Sheet(path) as sheet:
        _write(sheet, network, levels, image_id, bits, outer)
        return sheet.save()


def _write(sheet: Sheet, network: Any, levels: int, image_id: int, bits: Bits, outer: Bits) -> None:
    language = network.model.language_model
    size = language.embed_tokens.embedding_dim
    ids = sheet.input("ids", (1, TOKENS), np.int64)
    pictures = sheet.input("pictures", (levels, TOKENS, size))
    positions = sheet.input("positions", (3, TOKENS), np.int64)
    hidden_by = layers.unseen(sheet, sheet.input("mask", (TOKENS, TOTAL), np.bool_))
    shown = [pictures]
    if levels > 1:
        shown = sheet.ops("Split", pictures, count=levels, axis=0, num_outputs=levels)
    pictured = sheet.op("Equal", ids, sheet.constant(image_id))
    pictured = sheet.op("Unsqueeze", pictured, sheet.constant([-1]))
    words = layers.words(sheet, ids, language.embed_tokens, outer)
    hidden = sheet.op("Where", pictured, shown[0], words)
    turn = layers.angles(sheet, sheet.transpose(positions, 1, 0), language.rotary_emb, 3)
    for at, layer in enumerate(language.layers):
        name = f"layers.{at}"
        rows = layers.norm(sheet, hidden, layer.input_layernorm, f"{name}.norm1")
        made = _attention(sheet, layer.self_attn, rows, turn, hidden_by, at, bits)
        hidden = sheet.op("Add", hidden, made)
        rows = layers.norm(sheet, hidden, layer.post_attention_layernorm, f"{name}.norm2")
        made = layers.perceptron(sheet, rows, layer.mlp, f"{name}.mlp", bits)
        hidden = sheet.op("Add", hidden, made)
        if at + 1 < levels:
            hidden = sheet.op("Add", hidden, shown[at + 1])
    last = sheet.op("Gather", hidden, sheet.constant(-1), axis=1)
    last = layers.norm(sheet, last, language.norm, "norm")
    logits = layers.linear(sheet, last, network.lm_head, "head", outer)
    sheet.output(LOGITS, logits, (1, network.lm_head.out_features))


def _attention(
    sheet: Sheet,
    attention: Any,
    rows: str,
    turn: tuple[str, str],
    hidden_by: str,
    at: int,
    bits: Bits,
) -> str:
    width, name = attention.head_dim, f"layers.{at}.attention"
    heads = attention.k_proj.out_features // width
    shared = attention.q_proj.out_features // width // heads

    def projected(kind: str) -> str:
        module = getattr(attention, f"{kind}_proj")
        return layers.linear(sheet, rows, module, f"{name}.{kind}", bits)

    query = sheet.reshape(projected("q"), 1, -1, heads, shared, width)
    key, value = (sheet.reshape(projected(kind), 1, -1, heads, width) for kind in "kv")
    if hasattr(attention, "q_norm"):
        query = layers.norm(sheet, query, attention.q_norm, f"{name}.query_norm")
        key = layers.norm(sheet, key, attention.k_norm, f"{name}.key_norm")
    query = layers.rotated(sheet, sheet.transpose(query, 0, 2, 3, 1, 4), turn, width)
    key = layers.rotated(sheet, sheet.transpose(key, 0, 2, 1, 3), turn, width)
    grown = [
        _grown(sheet, f"{kind}_{at}", each, heads, width)
        for kind, each in (("key", key), ("value", sheet.transpose(value, 0, 2, 1, 3)))
    ]
    turned = sheet.op("Unsqueeze", sheet.transpose(grown[0], 0, 1, 3, 2), sheet.constant([2]))
    values = sheet.op("Unsqueeze", grown[1], sheet.constant([2]))
    made = layers.attended(sheet, query, turned, values, attention.scaling, hidden_by)
    joined = sheet.reshape(sheet.transpose(made, 0, 3, 1, 2, 4), 1, -1, heads * shared * width)
    return layers.linear(sheet, joined, attention.o_proj, f"{name}.out", bits)


def _grown(sheet: Sheet, name: str, new: str, heads: int, width: int) -> str:
    """What was kept and what is new, in order; kept again."""
    past = sheet.input(PAST + name, (1, heads, BEFORE, width))
    grown = sheet.op("Concat", past, new, axis=2)
    sheet.output(PRESENT + name, grown, (1, heads, TOTAL, width))
    return grown
