"""SAM2's whole loop before the parity gate, and what the export command makes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamseg import cli, config
from streamseg.config import EngineConfig, Sam2PropagationConfig
from streamseg.engines.manifest import read_manifest, trusted_bytes
from streamseg.engines.sam2 import on_engines
from streamseg.export.tensorrt import build_plan
from streamseg.export.verify_sam2 import verify_loop
from streamseg.nets.sam2_selftest import selftest_sam2_video
from streamseg.propagation.sam2 import Sam2Propagator

SMALL = ["propagation.sam2.engine.objects=[2]", "propagation.sam2.bank_frames=[7]"]
PARTS = {
    "sam2_video_encoder",
    "sam2_video_seed",
    "sam2_video_attention_n2_f7",
    "sam2_video_track_n2",
    "sam2_video_memory_n2",
}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every part for video, the loop compared over a few frames."""
    folder = tmp_path_factory.mktemp("exported")
    words = ["export", "-c", "sam2-video-selftest", "-o", str(folder), "--parts", "sam2_video"]
    words += ["--clip-frames", "3", *(word for value in SMALL for word in ("--set", value))]
    with pytest.raises(SystemExit) as done:
        cli.main(words)
    assert done.value.code == 0
    return folder


def test_the_command_writes_what_the_propagator_runs_on(exported: Path, tmp_path, monkeypatch):
    assert {entry.part for entry in read_manifest(exported)} == PARTS
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


@pytest.mark.parametrize("target", ["sm86", "sm89"])
@pytest.mark.parametrize("name", sorted(PARTS))
def test_tensorrt_takes_every_part(exported: Path, name: str, target: str) -> None:
    (entry,) = (entry for entry in read_manifest(exported) if entry.part == name)
    assert build_plan(name, trusted_bytes(exported, entry), target)


@pytest.mark.parametrize(("seed", "passes"), [(0, True), (1, False)])
def test_the_gate_tells_one_network_from_another(tmp_path: Path, seed: int, passes: bool) -> None:
    settings = Sam2PropagationConfig(engine=EngineConfig(objects=(2,)))
    judged = on_engines(selftest_sam2_video(seed), settings, tmp_path)
    verdict = verify_loop(selftest_sam2_video(), judged, settings, 4)
    assert verdict.frames == 4
    assert verdict.passed is passes
