"""Detectors and cutters through the export command, and run by what it wrote."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tiny_detectors import d_fine, rt_detr_v2
from tiny_onnx import brightness, saying

from streamseg import cli, config
from streamseg.config import ObjectsConfig, SalientConfig
from streamseg.config.engines import WholeEngineConfig
from streamseg.engines.manifest import read_manifest, trusted_bytes
from streamseg.errors import ConfigError, EngineError
from streamseg.reasoning import detection
from streamseg.segmentation.salient import SalientSegmenter
from streamseg.types import Image

LAYOUT = (
    "feeding: {size: [64, 32]}\nreading: {kind: set, boxes: boxes, logits: logits}\n"
    "classes: [dog]\nthreshold: 0.4\n"
)


def export(folder: Path, detector: Path, cutter: Path, *words: str) -> int:
    named = [
        f"reasoning.objects.detector={detector}",
        f"segmentation.salient.network={cutter}",
        "segmentation.salient.side=64",
    ]
    changes = [word for name in named for word in ("--set", name)]
    with pytest.raises(SystemExit) as done:
        cli.main(["export", "-c", "everyday", "-o", str(folder), *changes, *words])
    return int(done.value.code or 0)


def noise() -> Image:
    return np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)


@pytest.fixture
def eye(tmp_path: Path) -> Path:
    """An ONNX detector that sees one dog, with what describes it."""
    boxes = np.float32([[[0.5, 0.5, 0.25, 0.5]]])
    answers = {"boxes": boxes, "logits": np.full((1, 1, 1), 2.0, np.float32)}
    path = saying(tmp_path / "eye.onnx", (1, 3, "high", "wide"), answers)
    path.with_suffix(".yaml").write_text(LAYOUT)
    return path


@pytest.fixture
def knife(tmp_path: Path) -> Path:
    return brightness(tmp_path / "knife.onnx", "side")


def test_onnx_files_are_taken_as_they_are_with_their_sizes_closed(
    eye: Path, knife: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "engines"
    assert export(folder, eye, knife) == 0
    entries = {entry.part: entry for entry in read_manifest(folder)}
    assert set(entries) == {"detector", "cutter"}
    assert entries["detector"].inputs[0].shape == (1, 3, 32, 64)
    assert entries["cutter"].inputs[0].shape == (1, 3, 64, 64)
    assert entries["cutter"].outputs[0].shape == (1, 1, 64, 64)
    for entry in entries.values():
        assert len(trusted_bytes(folder, entry)) == entry.nbytes
        assert entry.difference == 0.0
    assert capsys.readouterr().out.count("equal on ONNX Runtime") == 2

    engine = WholeEngineConfig(family="onnxruntime", folder=str(folder))
    seen = detection.build(ObjectsConfig(detector=str(eye), engine=engine)).detect(noise())
    assert seen.boxes == pytest.approx(np.float32([[30.0, 15.0, 50.0, 45.0]]))
    SalientSegmenter.from_config(SalientConfig(network=str(knife), side=64, engine=engine))


def test_one_of_them_alone_and_another_file_than_was_exported(
    eye: Path, knife: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "engines"
    assert export(folder, eye, knife, "--parts", "cutter") == 0
    assert [entry.part for entry in read_manifest(folder)] == ["cutter"]
    engine = WholeEngineConfig(family="onnxruntime", folder=str(folder))
    other = brightness(tmp_path / "other.onnx", 48)
    with pytest.raises(EngineError, match=r"cutter: .* onnx of other\.onnx .* --parts cutter"):
        SalientSegmenter.from_config(SalientConfig(network=str(other), engine=engine))
    with pytest.raises(EngineError, match=r"detector: .* found nothing of it"):
        detection.prepare(ObjectsConfig(detector=str(eye), engine=engine))


def test_a_plan_is_built_for_a_card_that_is_not_here(
    eye: Path, knife: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--format", "tensorrt-rtx", "--target", "sm89", "--parts", "cutter"]
    assert export(tmp_path / "plans", eye, knife, *words) == 0
    (entry,) = read_manifest(tmp_path / "plans")
    assert entry.file == "cutter.fp32.sm89.tensorrt-rtx.plan"
    assert "built, not run: no such card here" in capsys.readouterr().out
    engine = WholeEngineConfig(family="tensorrt-rtx", folder=str(tmp_path / "plans"))
    with pytest.raises(EngineError, match=r"found cutter\.fp32\.sm89.* for sm89"):
        SalientSegmenter.from_config(SalientConfig(network=str(knife), side=64, engine=engine))


@pytest.mark.parametrize("form", [d_fine, rt_detr_v2])
def test_a_folder_is_exported_and_sees_what_torch_sees(
    form: Callable[[Path], Path], tmp_path: Path
) -> None:
    folder, engines = form(tmp_path / "detector"), tmp_path / "engines"
    knife = brightness(tmp_path / "knife.onnx", 32)
    assert export(engines, folder, knife, "--parts", "detector") == 0
    (entry,) = read_manifest(engines)
    assert entry.inputs[0].shape == (1, 3, 128, 96)
    assert entry.difference is not None
    assert entry.difference < 1e-4
    engine = WholeEngineConfig(family="onnxruntime", folder=str(engines))
    chosen = ObjectsConfig(detector=str(folder), threshold=0.02, engine=engine)
    detection.prepare(chosen)
    seen = detection.build(chosen).detect(noise())
    plain = ObjectsConfig(detector=str(folder), threshold=0.02)
    expected = detection.build(plain).detect(noise())
    assert len(seen) == len(expected) > 0
    assert seen.boxes == pytest.approx(expected.boxes, abs=0.01)
    assert seen.scores == pytest.approx(expected.scores, abs=1e-4)
    assert (seen.classes == expected.classes).all()


@pytest.mark.parametrize("which", ["eye", "knife"])
def test_halves_are_refused_in_one_line(
    which: str, eye: Path, knife: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    part = {"eye": "detector", "knife": "cutter"}[which]
    assert export(tmp_path / "out", eye, knife, "--precision", "fp16", "--parts", part) == 2
    assert f"{part}: expected --precision fp32, got fp16" in capsys.readouterr().err


def test_what_is_no_sound_onnx_or_not_described_is_told(
    eye: Path, knife: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    eye.with_suffix(".yaml").write_text(LAYOUT.replace("[dog]", "[dog, cup]"))
    assert export(tmp_path / "out", eye, knife, "--parts", "detector") == 2
    assert "expected 2 logits in 'logits'" in capsys.readouterr().err
    assert read_manifest(tmp_path / "out") == []


def test_a_folder_without_family_and_a_plan_without_folder_are_refused() -> None:
    for changes, said in (
        (["segmentation.salient.engine.folder=x"], "expected family to be one of them"),
        (["reasoning.objects.engine.family=tensorrt"], "expected folder with it"),
    ):
        with pytest.raises(ConfigError, match=said):
            config.load("everyday", changes)


def test_torch_runs_no_onnx_file_and_onnx_runtime_no_folder(eye: Path, tmp_path: Path) -> None:
    torch_for = WholeEngineConfig(family="torch")
    with pytest.raises(EngineError, match=r"torch does not run eye\.onnx"):
        detection.prepare(ObjectsConfig(detector=str(eye), engine=torch_for))
    folder = d_fine(tmp_path / "d-fine")
    ort = WholeEngineConfig(family="onnxruntime")
    with pytest.raises(EngineError, match=r"expected engine\.folder"):
        detection.prepare(ObjectsConfig(detector=str(folder), engine=ort))
