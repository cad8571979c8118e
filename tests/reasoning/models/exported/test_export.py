"""The export of a reasoner: what it writes, what it is held against, and what it refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import vlm_layouts
from exported_reasoners import SMALL, Pair, export, question

from streamseg import cli
from streamseg.config import ExportedConfig
from streamseg.errors import ConfigError, EngineError
from streamseg.export.build import Order
from streamseg.export.reasoner import export as exporting
from streamseg.export.reasoner import judge as judging
from streamseg.export.reasoner.judge import Judgement
from streamseg.export.reasoner.plans import build_plans
from streamseg.reasoning.language.coordinates import Convention
from streamseg.reasoning.models.exported import record
from streamseg.reasoning.models.exported.chat import ExportedChat
from streamseg.reasoning.models.exported.record import Agreement, Record
from streamseg.training.nano import folder, network

every_kind = pytest.mark.parametrize("kind", vlm_layouts.KINDS)


def described(folder: Path) -> Record:
    return record.read(record.find(str(folder)))


@every_kind
def test_float32_is_exact_and_the_folder_whole(pairs: dict[str, Pair], kind: str) -> None:
    pair = pairs[kind]
    found = described(pair.exported)
    exact = found.precisions["fp32"]
    assert exact.vision.difference < 1e-5
    assert exact.decoder.difference < 1e-5
    told = exact.agreement
    assert told.prompts == 2
    assert told.equal + told.ties == told.tokens == 2 * 24
    assert told.ties <= 1
    assert found.model_type == kind
    assert (found.window, found.table) == {
        "qwen2_vl": (0, 0), "qwen2_5_vl": (4, 0), "qwen3_vl": (0, 8)
    }[kind]  # fmt: skip
    folder = pair.exported / "reasoner"
    assert {path.name for path in folder.iterdir()} == {*found.files, "reasoner.json"}
    assert {"tokenizer.json", "chat_template.jinja", "preprocessor_config.json", "config.json"} <= (
        set(found.files)
    )
    record.check_hashes(folder, found, "fp32")
    assert not any(path.suffix == ".safetensors" for path in folder.iterdir())
    assert "torch" in found.versions


@every_kind
def test_shapes_are_open_in_lengths_alone(pairs: dict[str, Pair], kind: str) -> None:
    exact = described(pairs[kind].exported).precisions["fp32"]
    inputs = {tensor.name: tensor for tensor in exact.decoder.inputs}
    levels = 2 if kind == "qwen3_vl" else 1
    assert inputs["pictures"].shape == (levels, "tokens", vlm_layouts.HIDDEN)
    assert inputs["past_key_0"].shape == (1, 2, "past", 8)
    assert inputs["mask"].shape[0] == "tokens"
    assert [tensor.shape[-1] for tensor in exact.decoder.outputs if tensor.name == "logits"] == [
        272
    ]
    rows = 64 if kind == "qwen2_5_vl" else 4
    (patches,) = (tensor for tensor in exact.vision.inputs if tensor.name == "patches")
    assert patches.shape[0] == "groups"
    assert patches.shape[1] == rows


@pytest.mark.parametrize("precision", ["int8", "int4"])
def test_rounded_weights_join_the_exact_ones(
    pairs: dict[str, Pair], tmp_path: Path, precision: Any
) -> None:
    """They are smaller, their agreement is told, and the exact ones stay as they are."""
    pair = pairs["qwen3_vl"]
    shutil.copytree(pair.exported / "reasoner", tmp_path / "reasoner")
    export(pair.folder, tmp_path, precision, count=1)
    found = described(tmp_path)
    assert set(found.precisions) == {"fp32", precision}
    assert found.precisions["fp32"] == described(pair.exported).precisions["fp32"]
    told = found.precisions[precision].agreement
    assert told.tokens == 24
    assert told.equal >= {"int8": 0.9, "int4": 0.3}[precision] * told.tokens
    folder = tmp_path / "reasoner"
    sizes = {
        name: sum(found.files[file].nbytes for file in found.precisions[name].decoder.files)
        for name in found.precisions
    }
    assert sizes[precision] < 0.5 * sizes["fp32"]
    record.check_hashes(folder, found, precision)
    assert found.chosen("auto") == "fp32"
    assert set(found.needed("fp32")).isdisjoint(found.precisions[precision].decoder.files)
    settings = ExportedConfig(folder=str(tmp_path), precision=precision, **SMALL)
    wrote = ExportedChat.open(settings).complete(question(pair.vlm), until=1e9)
    assert wrote.text.startswith("<think>")


def test_a_checkpoint_that_states_its_own_convention(tmp_path: Path) -> None:
    """The small reasoner's network: one size of pictures, no levels but the last."""
    torch.manual_seed(0)
    folder.save(network.build().eval(), tmp_path / "own")
    export(tmp_path / "own", tmp_path, count=1)
    found = described(tmp_path)
    assert (found.window, found.table) == (0, 16)
    told = found.precisions["fp32"].agreement
    assert told.equal + told.ties == told.tokens == 24
    chat = ExportedChat.open(ExportedConfig(folder=str(tmp_path), threads=1))
    assert chat.family.convention is Convention.STRETCHED
    assert chat.family.size == network.SIZE
    wrote = chat.complete(question(chat, budget=8), until=1e9)
    assert wrote.text.startswith("<think>")


def test_by_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    all_of_them = judging.prompts
    monkeypatch.setattr(exporting, "prompts", lambda *given: list(all_of_them(*given))[::12])
    folder = vlm_layouts.write(tmp_path / "Tiny-VL", "qwen2_5_vl", seed=3)
    words = ["export", "-o", str(tmp_path / "out"), "--parts", "reasoner", "--model", str(folder)]
    with pytest.raises(SystemExit) as done:
        cli.main([*words, "--precision", "int8"])
    assert done.value.code == 0
    out = capsys.readouterr().out
    assert "reasoner_decoder" in out
    assert "of 24 greedy tokens as torch's" in out
    found = described(tmp_path / "out")
    assert found.source == "Tiny-VL"
    assert list(found.precisions) == ["int8"]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"reasoner", ".lock"}
    with pytest.raises(SystemExit) as done:
        cli.main([*words, "--precision", "fp16"])
    assert done.value.code == 2
    assert "expected --precision fp32, int8 or int4" in capsys.readouterr().err
    with pytest.raises(SystemExit) as done:
        cli.main([*words, "--format", "tensorrt-rtx", "--precision", "int8"])
    assert done.value.code == 2
    assert "expected --precision fp32 with --format tensorrt-rtx" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["qwen2_5_vl", "qwen3_vl"])
def test_plans_are_built_for_a_card_that_is_not_here(
    pairs: dict[str, Pair], tmp_path: Path, kind: str
) -> None:
    """Every operator is one that TensorRT-RTX has, with every length open."""
    place = tmp_path / "reasoner"
    shutil.copytree(pairs[kind].exported / "reasoner", place)
    staging = tmp_path / "staging"
    staging.mkdir()
    rows = build_plans(place, Order("tensorrt-rtx", "fp32", "sm89", staging))
    assert [row.verdict for row in rows] == ["built, not run: nothing here runs it"] * 2
    found = described(tmp_path)
    names = {f"reasoner_{part}.fp32.sm89.tensorrt-rtx.plan" for part in ("vision", "decoder")}
    assert set(found.plans) == names
    assert names < set(found.files)
    assert names.isdisjoint(found.needed("fp32"))
    plan = found.plans["reasoner_decoder.fp32.sm89.tensorrt-rtx.plan"]
    assert (plan.target, plan.format) == ("sm89", "tensorrt-rtx")
    assert plan.lengths["past_key_0"] == ((1, 2, 0, 8), (1, 2, 1024, 8), (1, 2, 3072, 8))
    held = record.hashes(place, names)
    assert all(held[name] == found.files[name] for name in names)


def test_int8_is_the_reasoners_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        cli.main(["export", "-c", "selftest", "-o", str(tmp_path), "--precision", "int8"])
    assert done.value.code == 2
    assert "reasoner's alone" in capsys.readouterr().err


def test_another_models_reasoner_is_not_mixed_with(pairs: dict[str, Pair], tmp_path: Path) -> None:
    shutil.copytree(pairs["qwen3_vl"].exported / "reasoner", tmp_path / "reasoner")
    other = vlm_layouts.write(tmp_path / "other", "qwen3_vl", seed=5)
    with pytest.raises(ConfigError, match="made of other weights"):
        export(other, tmp_path)
    assert described(tmp_path) == described(pairs["qwen3_vl"].exported)


def test_what_writes_other_tokens_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = vlm_layouts.write(tmp_path / "a", "qwen2_vl")
    off = Judgement(1e-7, 1e-7, Agreement(4, 96, 95, 0, 3))
    monkeypatch.setattr(exporting, "judge", lambda *_: off)
    rows = export(folder, tmp_path / "out", "int8")
    assert all(row.verdict.startswith("FAILED") for row in rows)
    assert not (tmp_path / "out" / "reasoner").exists()


@pytest.mark.parametrize(
    ("judgement", "exact"),
    [
        (Judgement(1e-6, 1e-6, Agreement(2, 10, 10, 0, 2)), True),
        (Judgement(2e-4, 1e-6, Agreement(2, 10, 10, 0, 2)), False),
        (Judgement(1e-6, np.inf, Agreement(2, 10, 10, 0, 2)), False),
        (Judgement(1e-6, 1e-6, Agreement(2, 10, 9, 0, 1)), False),
        (Judgement(1e-6, 1e-6, Agreement(2, 10, 9, 1, 1)), True),
    ],
)
def test_the_gate(judgement: Judgement, exact: bool) -> None:
    assert judgement.exact is exact


def changed(folder: Path, part: str, **values: Any) -> None:
    path = folder / "config.json"
    content = json.loads(path.read_text("utf-8"))
    place = content[part] if part else content
    place.update(values)
    path.write_text(json.dumps(content), "utf-8")


def test_other_kinds_and_layers_are_refused_in_a_line(tmp_path: Path) -> None:
    llava = vlm_layouts.write_llava(tmp_path / "llava")
    with pytest.raises(ConfigError, match=r"expected a model_type of qwen2_vl, .* got 'llava'"):
        export(llava, tmp_path / "out")
    folder = vlm_layouts.write(tmp_path / "a", "qwen2_5_vl")
    changed(folder, "text_config", use_sliding_window=True, sliding_window=8, layer_types=[
        "sliding_attention", "full_attention"
    ])  # fmt: skip
    with pytest.raises(EngineError, match="layers that look at all tokens"):
        export(folder, tmp_path / "out2")
    folder = vlm_layouts.write(tmp_path / "b", "qwen2_5_vl")
    rope = {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4, "mrope_section": [2, 1, 1]}
    changed(folder, "text_config", rope_parameters=rope)
    with pytest.raises(EngineError, match="change with the length"):
        export(folder, tmp_path / "out3")
