"""SAM2's whole loop before the parity gate, and what the export command makes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamseg import StreamSegmenter, cli, config
from streamseg.config import EngineConfig, Sam2Config, Sam2PropagationConfig
from streamseg.engines import sam2_image
from streamseg.engines.manifest import read_manifest
from streamseg.engines.sam2 import on_engines
from streamseg.export.verify_sam2 import verify_loop
from streamseg.export.verify_sam2_image import verify_segmenter
from streamseg.nets.sam2_image import Sam2Image
from streamseg.nets.sam2_selftest import selftest_sam2, selftest_sam2_video
from streamseg.propagation.sam2.propagator import Sam2Propagator
from streamseg.synthetic import scene

SMALL = [
    "propagation.sam2.engine.objects=[2]",
    "propagation.sam2.bank_frames=[7]",
    "segmentation.sam2.engine.objects=[2]",
]
IMAGE_PARTS = {"sam2_image_encoder", "sam2_image_decoder_n2_p8"}
PARTS = {
    "sam2_video_encoder",
    "sam2_video_seed",
    "sam2_video_attention_n2_f7",
    "sam2_video_track_n2",
    "sam2_video_memory_n2",
}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every part of both stages, the loops compared over a few frames."""
    folder = tmp_path_factory.mktemp("exported")
    words = ["export", "-c", "sam2-video-selftest", "-o", str(folder)]
    words += ["--clip-frames", "3", *(word for value in SMALL for word in ("--set", value))]
    with pytest.raises(SystemExit) as done:
        cli.main(words)
    assert done.value.code == 0
    return folder


def test_the_command_writes_what_the_propagator_runs_on(exported: Path, tmp_path, monkeypatch):
    assert {entry.part for entry in read_manifest(exported)} == PARTS | IMAGE_PARTS
    monkeypatch.setenv("STREAMSEG_CACHE", str(tmp_path / "cache"))
    engine = "propagation.sam2.engine"
    settings = config.load(
        "sam2-video-selftest",
        [*SMALL, f"{engine}.family=onnxruntime", f"{engine}.folder={exported}"],
    )
    propagator = Sam2Propagator.from_config(settings.propagation.sam2)
    verdict = verify_loop(selftest_sam2_video(), propagator._network, settings.propagation.sam2, 3)
    assert verdict.passed
    assert verdict.difference < 1e-3
    assert set(propagator.engines()["parts"]) == PARTS
    assert not (tmp_path / "cache").exists(), "nothing had to be built"


def test_both_stages_of_a_run_stand_on_the_folder(exported: Path, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("STREAMSEG_CACHE", str(tmp_path / "cache"))
    engines = ("propagation.sam2.engine", "segmentation.sam2.engine")
    words = [f"{engine}.family=onnxruntime" for engine in engines]
    words += [f"{engine}.folder={exported}" for engine in engines]
    segmenter = StreamSegmenter.from_config("sam2-video-selftest", [*SMALL, *words])
    query = scene("easy", seed=1).expressions[0].text
    results = list(segmenter.run("synthetic:easy?seed=1", query, max_frames=12))
    assert any(result.masks.labels.any() for result in results)
    told = segmenter.summary()["engines"]
    # The keyframe was seen by the segmenter first: its encoder serves the propagator there.
    assert set(told["segmentation"]["parts"]) == IMAGE_PARTS
    assert set(told["propagation"]["parts"]) == PARTS
    for stage in told.values():
        assert set(stage["parts"].values()) == {"onnxruntime"}
        assert stage["refused"] == {}
    assert not (tmp_path / "cache").exists(), "nothing had to be built"


@pytest.mark.parametrize(("seed", "passes"), [(0, True), (1, False)])
def test_the_gate_tells_one_network_from_another(tmp_path: Path, seed: int, passes: bool) -> None:
    settings = Sam2PropagationConfig(engine=EngineConfig(objects=(2,)))
    judged = on_engines(selftest_sam2_video(seed), settings, tmp_path)
    verdict = verify_loop(selftest_sam2_video(), judged, settings, 4)
    assert verdict.frames == 4
    assert verdict.passed is passes


@pytest.mark.parametrize(("seed", "passes"), [(0, True), (1, False)])
def test_the_gate_tells_one_segmenter_from_another(tmp_path: Path, seed: int, passes: bool) -> None:
    settings = Sam2Config(engine=EngineConfig(objects=(2,), fallback=("torch",)))
    judged = sam2_image.on_engines(Sam2Image(selftest_sam2(seed)), settings, tmp_path)
    verdict = verify_segmenter(Sam2Image(selftest_sam2()), judged, 2)
    assert verdict.frames == 2
    assert verdict.passed is passes
    assert (verdict.difference < 1e-4) is passes
