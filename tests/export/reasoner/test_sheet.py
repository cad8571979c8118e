"""Graphs written node by node: what ONNX Runtime makes of them, and of weights in fewer bits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from torch import nn
from transformers.activations import ACT2FN

from streamseg.errors import EngineError, OutputError
from streamseg.export.reasoner import layers
from streamseg.export.reasoner.rounding import BLOCK, blocks, table
from streamseg.export.reasoner.sheet import Bits, Sheet

RNG = np.random.default_rng(0)


def noise(*shape: int) -> NDArray[np.float32]:
    return RNG.normal(size=shape).astype(np.float32)


def run(path: Path, **inputs: NDArray[Any]) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, inputs)
    return np.asarray(found, np.float32)


def restored(packed: NDArray[np.uint8], scales: NDArray[np.float32], bits: int) -> NDArray[Any]:
    """(N, blocks x BLOCK) weights as they are read again."""
    whole = packed
    if bits == 4:
        whole = np.stack((packed & 15, packed >> 4), axis=-1).reshape(*packed.shape[:2], BLOCK)
    shifted = whole.astype(np.float32) - (1 << (bits - 1))
    return (shifted * scales[..., None]).reshape(len(packed), -1)


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("summed", [BLOCK, 100])
def test_a_rounded_product_is_that_of_its_weights_as_stored(
    tmp_path: Path, bits: Bits, summed: int
) -> None:
    """Whole numbers up to 127 in every block, which rounding to eight bits leaves as they are."""
    matrix = noise(24, summed)
    rows = RNG.integers(-127, 128, (1, 5, summed)).astype(np.float32)
    rows[..., ::BLOCK] = 127
    with Sheet(tmp_path / "a.onnx") as sheet:
        given = sheet.input("rows", (1, "count", summed))
        sheet.output("made", sheet.product(given, matrix, "matrix", bits), (1, "count", 24))
        sheet.save()
    kept = restored(*blocks(matrix, bits), bits)[:, :summed]
    np.testing.assert_allclose(
        run(tmp_path / "a.onnx", rows=rows), rows @ kept.T, rtol=1e-4, atol=0.02
    )
    assert np.abs(kept - matrix).max() < {4: 0.5, 8: 0.03}[bits]


def test_a_scale_for_the_least_error_is_never_worse_than_one_for_the_largest() -> None:
    matrix = noise(64, 256)
    matrix[:, ::BLOCK] *= 3
    kept = restored(*blocks(matrix, 4), 4)
    parts = matrix.reshape(64, -1, BLOCK)
    largest = np.take_along_axis(parts, np.abs(parts).argmax(2)[..., None], 2) / np.float32(-8)
    plain = (np.rint(parts / largest).clip(-8, 7) * largest).reshape(64, -1)
    assert np.square(kept - matrix).sum() < 0.97 * np.square(plain - matrix).sum()


def test_noughts_stay_noughts() -> None:
    for bits in (4, 8):
        assert (restored(*blocks(np.zeros((3, 40), np.float32), bits), bits) == 0).all()
    whole, scale = table(np.zeros((3, 5), np.float32))
    assert (whole * scale == 0).all()


@pytest.mark.parametrize("bits", [8, 32])
def test_a_table_of_words(tmp_path: Path, bits: Bits) -> None:
    rows = nn.Embedding(500, 16)
    with Sheet(tmp_path / "a.onnx") as sheet:
        ids = sheet.input("ids", (1, "count"), np.int64)
        sheet.output("made", layers.words(sheet, ids, rows, bits), (1, "count", 16))
        sheet.save()
    given = np.array([[3, 499, 0]])
    expected = rows.weight.detach().numpy()[given]
    found = run(tmp_path / "a.onnx", ids=given)
    np.testing.assert_allclose(found, expected, atol=0.02 if bits == 8 else 0)
    assert (tmp_path / "a.onnx.data").stat().st_size >= 500 * 16 * bits // 8


@pytest.mark.parametrize("kind", ["silu", "gelu", "gelu_pytorch_tanh", "quick_gelu"])
def test_activations_are_torchs(tmp_path: Path, kind: str) -> None:
    module = ACT2FN[kind]
    rows = 3 * noise(4, 50)
    with Sheet(tmp_path / "a.onnx") as sheet:
        given = sheet.input("rows", (4, 50))
        sheet.output("made", layers.activation(sheet, given, module), (4, 50))
        sheet.save()
    expected = module(torch.from_numpy(rows)).numpy()
    np.testing.assert_allclose(run(tmp_path / "a.onnx", rows=rows), expected, atol=1e-6)


def test_layers_of_other_kinds_are_refused(tmp_path: Path) -> None:
    with Sheet(tmp_path / "a.onnx") as sheet:
        rows = sheet.input("rows", (1, 4))
        with pytest.raises(EngineError, match="an activation of kind ReLU"):
            layers.activation(sheet, rows, nn.ReLU())
        with pytest.raises(EngineError, match="a norm of kind GroupNorm"):
            layers.norm(sheet, rows, nn.GroupNorm(1, 4), "norm")


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot write"):
        Sheet(tmp_path / "nowhere" / "a.onnx")
