"""Fits what a track's score means: from the three witnesses to the chance of being right.

    python -m streamseg.benchmarks.real --clips FOLDER --output out/classical
    python -m streamseg.benchmarks.calibrate --rows out/classical out/everyday --clips FOLDER

Learns from the judged frames of `benchmarks.real`, of one config or several, and from scenes whose
objects are drawn over the clips' own frames, run here. What is fitted is held against clips that
were left out of the fit; `--write` puts the coefficients where the product reads them.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rich.console import Console
from rich.progress import track

from streamseg import StreamSegmenter, propagation, synthetic
from streamseg.benchmarks import clips, machine
from streamseg.benchmarks.real.runs import Kept
from streamseg.evaluation import calibration, metrics, real
from streamseg.evaluation.calibration import Sample
from streamseg.evaluation.queries import VIDEO_SUFFIXES
from streamseg.evaluation.real import Verdict
from streamseg.propagation.calibration import FILE, NAMES, features
from streamseg.synthetic import Scene
from streamseg.types import Image

_LEVELS = ("easy", "medium", "hard")
_FRAMES = 100
_EVERY = 20
_SIZE = (640, 360)
_SENTENCES = 3
"""At most so many sentences of a scene, so that scenes differ more than sentences do."""


@dataclass(frozen=True)
class Drawn:
    """A scene whose objects are drawn over a clip's pictures, of any size."""

    scene: Scene
    ground: Sequence[Image]

    def frames(self) -> Iterator[Image]:
        """(H, W, 3) uint8 RGB; where the clip is shorter, it plays again."""
        for index, picture in zip(range(len(self.scene)), cycle(self.ground), strict=False):
            image, labels = self.scene.frame(index)
            ground = cv2.resize(picture, self.scene.size, interpolation=cv2.INTER_AREA)
            yield np.where(labels[..., None] > 0, image, ground)


def from_scenes(grounds: Sequence[Path], scenes: int, config: str) -> list[Sample]:
    """Run a few sentences of so many scenes, each over another clip, and judge what is shown."""
    segmenter = StreamSegmenter.from_config(config)
    found: list[Sample] = []
    for number in track(range(scenes), description="scenes over clips"):
        level = _LEVELS[number % len(_LEVELS)]
        scene = synthetic.scene(level, 1000 + number, size=_SIZE, frames=_FRAMES, split="train")
        drawn = Drawn(scene, clips.pictures(grounds[number % len(grounds)], len(scene)))
        step = max(1, len(scene.expressions) // _SENTENCES)
        for expression in scene.expressions[::step][:_SENTENCES]:
            results = segmenter.run(drawn.frames(), expression.text)
            for result in results:
                if result.frame.index % _EVERY or not result.frame.index:
                    continue
                labels = scene.frame(result.frame.index)[1]
                meant = expression.at(result.frame.index / scene.fps)
                extents = [metrics.extent(labels == each) for each in meant]
                truth = [box for box in extents if box is not None]
                score = real.score_frame(result.frame.index, truth, real.shown(result.masks))
                if score.evidence is not None:
                    right = score.shown is Verdict.RIGHT
                    found.append(Sample(features(score.evidence), right, f"scene {number}"))
    return found


def from_rows(folder: Path) -> list[Sample]:
    """The judged frames of a run of `benchmarks.real` that show something."""
    kept = Kept(folder, _settings(folder), resume=True)
    return [
        Sample(features(frame.evidence), frame.shown is Verdict.RIGHT, row.clip)
        for row in kept.in_order()
        for frame in row.frames
        if frame.evidence is not None
    ]


def _settings(folder: Path) -> Any:
    with (folder / "sentences.jsonl").open(encoding="utf-8") as file:
        return json.loads(file.readline())


def _kept(path: Path | None) -> list[Sample]:
    if path is None or not path.exists():
        return []
    rows = json.loads(path.read_text(encoding="utf-8"))
    return [Sample(tuple(row["features"]), row["right"], row["group"]) for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=Path, nargs="+", required=True, metavar="DIR")
    parser.add_argument("--clips", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--scenes", type=int, default=30, metavar="N")
    parser.add_argument("--config", default="classical", help="what runs the scenes")
    parser.add_argument("--samples", type=Path, help="keep, or take up, the scenes' samples")
    parser.add_argument("--write", action="store_true", help="put the coefficients in place")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    grounds = sorted(p for p in options.clips.iterdir() if p.suffix in VIDEO_SUFFIXES)
    groups = {folder.name: from_rows(folder) for folder in options.rows}
    drawn = _kept(options.samples) or from_scenes(grounds, options.scenes, options.config)
    groups["scenes"] = drawn
    if options.samples is not None:
        options.samples.write_text(json.dumps([asdict(each) for each in drawn]))
    samples = [sample for group in groups.values() for sample in group]
    fitted = calibration.fit(samples)
    held_out = calibration.left_out(samples)
    console = Console()
    told = {
        name: {"frames": len(group), "right": sum(sample.right for sample in group)}
        | {"error": _error(group, fitted), "held_out": _error(group, held_out)}
        for name, group in {**groups, "all": samples}.items()
    }
    for name, row in told.items():
        console.print(f"{name}: {row}")
    named = dict(zip(("bias", *NAMES), fitted.coefficients, strict=True))
    figures = {"coefficients": named, "groups": told}
    if options.write:
        place = Path(propagation.__file__).with_name(FILE)
        place.write_text(json.dumps(named, indent=2) + "\n", encoding="utf-8")
    machine.report("calibrate", figures, options.json)


def _error(samples: Sequence[Sample], fitted: calibration.Fitted) -> float | None:
    pairs = [(fitted.chance(sample), float(sample.right)) for sample in samples]
    return calibration.expected_error(calibration.bins(pairs))


if __name__ == "__main__":
    main()
