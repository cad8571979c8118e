"""TensorRT-RTX takes every part that `streamseg export` makes, small and at full size.

Each layer is compiled for cards that are not here. Precisions, counts of objects and cards are not
all met with all, which would take hours: what is met is said where the cases are listed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import onnx
import pytest
import torch
from safetensors.torch import save_file
from transformers import Sam2VideoConfig, Sam2VideoModel

from streamseg import config
from streamseg.engines.files import locked, write_whole
from streamseg.engines.onnxruntime import OnnxRuntimeEngine
from streamseg.errors import EngineError
from streamseg.export.networks import Source, sources
from streamseg.export.onnx import to_model
from streamseg.export.precision import Precision, lower
from streamseg.export.tensorrt import build_plan
from streamseg.export.verify import LIMITS, reference, verify
from streamseg.nets.sam2_selftest import with_seeded_weights
from streamseg.nets.xmem import XMem

SMALL_CONFIGS = ("selftest", "sam2-video-selftest")
FULL_CONFIGS = ("sam2.1-tiny", "sam2-video-tiny")
ONE_CARD = ("sm89",)
CARDS_APART = ("sm75", "sm89", "sm120")
ALL_CARDS = ("sm75", "sm80", "sm86", "sm89", "sm120", "sm121")
WHOLE_BANK = 7
TWIN = "sam2_video_encoder"
"""The same module as sam2_image_encoder, on the same example: built once."""

Case = tuple[str, Precision]


def network_of(names: tuple[str, ...]) -> dict[str, Source]:
    """Source by the name of each part that the command exports for these configs."""
    found = [source for name in names for source in sources(config.load(name))]
    return {part: source for source in found for part in source.part_names}


SMALL = network_of(SMALL_CONFIGS)


def count_of(name: str) -> int:
    """How many objects a part is for; 0 where it does not depend on them."""
    found = re.search(r"_n(\d+)", name)
    return int(found[1]) if found else 0


def fill_of(name: str) -> int:
    """Frames in the bank of a part; 0 where it has none."""
    found = re.search(r"_f(\d+)", name)
    return int(found[1]) if found else 0


def exported(source: Source, name: str, precision: Precision) -> bytes:
    return to_model(lower(source.make(name), precision)).SerializeToString()


def refusals(name: str, model: bytes, cards: tuple[str, ...]) -> dict[str, str]:
    """What TensorRT says against the part, by card; a plan that it makes holds the weights."""
    found = {}
    for card in cards:
        try:
            assert len(build_plan(name, model, card)) > 0.9 * len(model)
        except EngineError as error:
            found[card] = str(error)
    return found


# ── at selftest size ─────────────────────────────────────────────────────────────────────────

PRECISION: dict[int, Precision] = {1: "fp16", 2: "bf16", 4: "bf16", 8: "fp16", 16: "fp32"}
"""By count of objects, or by fill of the bank where that is not whole."""

BETWEEN = (4, 8)
"""Counts that differ from two in shape alone, which is tested, and are less than sixteen."""


def multiplies_float32(model: bytes) -> bool:
    """Whether it multiplies float32 matrices, which TensorRT-RTX does not do on Turing (sm75)."""
    graph = onnx.shape_inference.infer_shapes(onnx.load_from_string(model)).graph
    known = (*graph.value_info, *graph.input, *graph.output)
    types = {value.name: value.type.tensor_type.elem_type for value in known}
    types |= {tensor.name: tensor.data_type for tensor in graph.initializer}
    products = [node for node in graph.node if node.op_type in {"MatMul", "Gemm"}]
    return any(types[node.input[0]] == onnx.TensorProto.FLOAT for node in products)


def small_cases() -> Iterator[Case]:
    """Every kind, for one object, two and sixteen, in every precision, at every fill; see
    `PRECISION`."""
    for name in SMALL:
        count, fill = count_of(name), fill_of(name)
        if name == TWIN or count in BETWEEN:
            continue
        if count == 0:
            yield from ((name, precision) for precision in LIMITS)
        elif fill in (0, WHOLE_BANK):
            yield name, PRECISION[count]
        elif count == 1:
            yield name, PRECISION[fill]


class SmallModels:
    """ONNX at selftest size: each part is exported once, by the process that asks first.

    Args:
        folder: Shared by all processes that run tests.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, name: str, precision: Precision) -> bytes:
        path = self._folder / f"{name}.{precision}.onnx"
        with locked(path.with_suffix(".lock")):
            if not path.exists():
                write_whole(path, exported(SMALL[name], name, precision))
        return path.read_bytes()


@pytest.fixture(scope="session")
def small_models(tmp_path_factory: pytest.TempPathFactory) -> SmallModels:
    folder = tmp_path_factory.getbasetemp()
    shared = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder
    return SmallModels(shared / "small_models")


@pytest.mark.parametrize(("name", "precision"), list(small_cases()))
def test_every_small_part_is_taken(
    small_models: SmallModels, name: str, precision: Precision
) -> None:
    """What every card does, in half precision for one object; in float32 the oldest, one between
    and the newest; the rest on one."""
    cards = ONE_CARD
    if precision == "fp16" and count_of(name) <= 1:
        cards = ALL_CARDS
    elif precision == "fp32":
        cards = CARDS_APART
    model = small_models.get(name, precision)
    expected = {"sm75"} if "sm75" in cards and multiplies_float32(model) else set()
    found = refusals(name, model, cards)
    assert set(found) == expected, found


def steps_of(model: bytes) -> list[str]:
    """What it computes, in order, but for roundings, which go with the precision."""
    nodes = onnx.load_from_string(model).graph.node
    return [node.op_type for node in nodes if node.op_type != "Cast"]


OF_TWO = [n for n in SMALL if count_of(n) == 2 and fill_of(n) in (0, WHOLE_BANK)]


def of_fill(name: str, fill: int) -> str:
    return re.sub(r"_f\d+", f"_f{fill}", name)


@pytest.mark.parametrize("fill", [each for each in PRECISION if 1 < each < WHOLE_BANK])
def test_fills_differ_in_shape_alone(small_models: SmallModels, fill: int) -> None:
    """So at full size the emptiest bank and the whole one answer for those between them."""
    banks = [name for name in SMALL if count_of(name) == 1 and fill_of(name) == fill]
    assert banks
    for name in banks:
        least = small_models.get(of_fill(name, 1), PRECISION[1])
        assert steps_of(small_models.get(name, PRECISION[fill])) == steps_of(least), name


@pytest.mark.parametrize("two", OF_TWO)
def test_buckets_differ_in_shape_alone(small_models: SmallModels, two: str) -> None:
    """So at full size the smallest and the largest answer for those between them."""
    expected = steps_of(small_models.get(two, PRECISION[2]))
    for count in (4, 8, 16):
        name = two.replace("_n2", f"_n{count}")
        assert steps_of(small_models.get(name, PRECISION[count])) == expected, name


# ── at full size ─────────────────────────────────────────────────────────────────────────────

FEWEST_AND_MOST = (0, 1, 16)


def full_cases() -> Iterator[Case]:
    """Every kind for one object and for sixteen in float16, for one in float32, XMem's in bfloat16
    too; the bank with one frame in it, and whole.

    What lies between differs in shape alone, which is tested above, and is smaller than what is
    here.
    """
    for name in SMALL:
        count, fill = count_of(name), fill_of(name)
        if name == TWIN or count not in FEWEST_AND_MOST or fill not in (0, 1, WHOLE_BANK):
            continue
        if fill != 1 or count == 1:
            yield name, "fp16"
        if fill != 1 and count <= 1:
            yield name, "fp32"
            if name.startswith("xmem"):
                yield name, "bf16"


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Source]]:
    """XMem at 480×864 and SAM2.1-tiny at 1024², from files as the public ones, weights random."""
    cache = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STREAMSEG_CACHE", str(cache))
        write_xmem(cache / "xmem" / "XMem.pth")
        write_sam2(cache / "sam2.1-hiera-tiny")
        yield network_of(FULL_CONFIGS)


def write_xmem(path: Path) -> None:
    torch.manual_seed(0)
    path.parent.mkdir()
    torch.save(XMem().state_dict(), path)


def write_sam2(folder: Path) -> None:
    folder.mkdir()
    network = with_seeded_weights(Sam2VideoModel(Sam2VideoConfig()))
    network.config.to_json_file(folder / "config.json")
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    save_file(state, folder / "model.safetensors")


def test_the_full_networks_have_the_same_parts(full: dict[str, Source]) -> None:
    assert list(full) == list(SMALL)
    assert full["xmem_key"].make("xmem_key").inputs["image"].shape == (1, 3, 480, 864)
    encoder = full["sam2_image_encoder"].make("sam2_image_encoder")
    assert encoder.inputs["image"].shape == (1, 3, 1024, 1024)


@pytest.mark.parametrize(("name", "precision"), list(full_cases()))
def test_every_full_part_is_taken(full: dict[str, Source], name: str, precision: Precision) -> None:
    """In float32 ONNX Runtime also gives what torch gives."""
    model = exported(full[name], name, precision)
    assert refusals(name, model, ONE_CARD) == {}
    if precision == "fp32":
        part = full[name].make(name)
        verdict = verify(
            OnnxRuntimeEngine(name, model), part.inputs, reference(part), LIMITS["fp32"]
        )
        assert verdict.passed, str(verdict)
