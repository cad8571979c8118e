"""Accuracy on the fixed synthetic scenes: from the true box, from text alone, after a return.

    python -m streamseg.benchmarks.accuracy --config classical --levels easy medium --scenes 10

J&F is that of DAVIS 2017, on the frames where the object is visible: where the truth has at least
a tenth of the object's pixels. Frames before the first mask count, as empty ones. A table for
people, then one JSON line for machines. Tune on `--split train`, and report on `test`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from streamseg import StreamSegmenter, config, propagation, reasoning, segmentation, synthetic
from streamseg.benchmarks import clips, machine
from streamseg.clock import VirtualClock
from streamseg.evaluation import metrics
from streamseg.reasoning import GroundingRequest
from streamseg.sources.synthetic import SyntheticSource
from streamseg.synthetic import Expression, ExpressionKind, Scene
from streamseg.types import Frame, Labels, Mask, Target

VISIBLE_SHARE = 0.1
"""An object is visible where this share of its pixels is."""
ABSENT_SHARE = 0.02
"""An answer is "none" where masks show on no more than this share of the frames."""
DIRECT_FRAMES = 7
"""Frames that the reasoner sees where it is asked without the loop."""


@dataclass(frozen=True)
class Trial:
    """One run and what came of it.

    Attributes:
        jf, j, f: Over the visible frames; None for "absent".
        jf_from_first: J&F from the first mask on.
        first_mask: Frame of the first mask, None without one.
        false_share: Share of the frames without truth that show a mask, None without such frames.
    """

    scene: str
    seed: int
    given: str
    kind: str
    text: str
    jf: float | None
    j: float | None
    f: float | None
    jf_from_first: float | None
    first_mask: int | None
    false_share: float | None

    @property
    def answered_none(self) -> bool:
        return self.false_share is not None and self.false_share <= ABSENT_SHARE


class Bench:
    """Runs trials with one config, its models loaded once."""

    def __init__(self, name: str, overrides: Sequence[str], direct: bool) -> None:
        self._config = config.load(name, overrides)
        self._direct = direct
        self._segmenter = segmentation.build(self._config.segmentation)
        self._propagator = propagation.build(self._config.propagation)
        self._loop = None if direct else StreamSegmenter(self._config)
        self._reasoner = reasoning.build(self._config.reasoning) if direct else None

    def from_box(self, scene: Scene, object_id: int, seed: int) -> Trial:
        """Segment and propagate from the true box on the first frame, without the loop."""
        target = Target(clips.boxes(scene)[object_id])
        predicted = self._carried(scene, 0, (target,))
        item = next(item for item in scene.objects if item.id == object_id)
        text = f"{item.size} {item.colour} {item.shape}"
        return _trial(scene, seed, "box", "box", text, lambda t_s: (object_id,), predicted)

    def from_text(self, scene: Scene, expression: Expression, seed: int) -> Trial:
        """Run the whole loop with the sentence, on the virtual clock."""
        predicted = (
            self._answered(scene, expression.text)
            if self._direct
            else (labels > 0 for labels in self.labels(scene, expression.text))
        )
        kind, text = expression.kind.value, expression.text
        return _trial(scene, seed, "text", kind, text, expression.at, predicted)

    def labels(self, scene: Scene, text: str) -> Iterator[Labels]:
        """The loop's index maps, frame by frame."""
        assert self._loop is not None
        source = SyntheticSource(scene, VirtualClock())
        for result in self._loop.run(source, text):
            yield result.masks.labels

    def _answered(self, scene: Scene, text: str) -> Iterator[Mask]:
        """The reasoner's answer on an early frame, carried on: what the loop could reach."""
        assert self._reasoner is not None
        frames = tuple(_frame(scene, index) for index in range(DIRECT_FRAMES))
        found = self._reasoner.ground(GroundingRequest(text, frames[-1], frames))
        yield from self._carried(scene, DIRECT_FRAMES - 1, found.targets)

    def _carried(self, scene: Scene, first: int, targets: Sequence[Target]) -> Iterator[Mask]:
        """The union of the targets' masks on every frame; empty ones before `first`."""
        empty = np.zeros(scene.size[::-1], bool)
        yield from (empty for _ in range(first))
        if not targets:
            yield from (empty for _ in range(first, len(scene)))
            return
        lane = self._propagator.spawn()
        start = _frame(scene, first)
        cut = self._segmenter.segment(start, targets)
        seeds = {number: each.mask for number, each in enumerate(cut, 1) if each.mask.any()}
        yield lane.step(start, seeds).labels > 0
        for index in range(first + 1, len(scene)):
            yield lane.step(_frame(scene, index)).labels > 0


def _frame(scene: Scene, index: int) -> Frame:
    return Frame(index, round(index * 1e9 / scene.fps), 0, scene.frame(index)[0])


def _trial(
    scene: Scene,
    seed: int,
    given: str,
    kind: str,
    text: str,
    meant: Callable[[float], Sequence[int]],
    predicted: Iterator[Mask],
) -> Trial:
    """Args:
    meant: The ids meant at a time of the scene: who leads may change ("the leftmost ball").
    """
    areas = {item.id: item.sprite.area_px for item in scene.objects}
    scored: list[tuple[int, float, float]] = []
    first_mask: int | None = None
    without, shown_without = 0, 0
    for index, mask in enumerate(predicted):
        ids = meant(index / scene.fps)
        least = VISIBLE_SHARE * sum(areas.get(each, 0.0) for each in ids)
        truth = np.isin(scene.frame(index)[1], ids)
        shown = bool(mask.any())
        first_mask = index if shown and first_mask is None else first_mask
        if not truth.any():
            without += 1
            shown_without += shown
        elif np.count_nonzero(truth) >= least:
            scored.append((index, metrics.region(mask, truth), metrics.boundary(mask, truth)))
    late = [pair for pair in scored if first_mask is not None and pair[0] >= first_mask]
    return Trial(
        scene=scene.name,
        seed=seed,
        given=given,
        kind=kind,
        text=text,
        jf=fmean((j + f) / 2 for _, j, f in scored) if scored else None,
        j=fmean(j for _, j, _ in scored) if scored else None,
        f=fmean(f for _, _, f in scored) if scored else None,
        jf_from_first=fmean((j + f) / 2 for _, j, f in late) if late else None,
        first_mask=first_mask,
        false_share=shown_without / without if without else None,
    )


@dataclass(frozen=True)
class Return:
    """A scene in which object 1 leaves and comes back: its ids before and after, 0 for none."""

    seed: int
    text: str
    before: int
    after: int

    @property
    def kept(self) -> bool:
        return self.before != 0 and self.before == self.after


def came_back(bench: Bench, scene: Scene, seed: int) -> Return:
    """Run the loop over a `reentry` scene and hold the ids against one another."""
    text = next(e.text for e in scene.expressions if e.kind is ExpressionKind.PLAIN)
    votes: tuple[list[int], list[int]] = ([], [])
    left = False
    for index, labels in enumerate(bench.labels(scene, text)):
        truth = scene.frame(index)[1] == 1
        left = left or not truth.any()
        if truth.any():
            votes[left].append(_owner(labels, truth))
    # Before it leaves and, for a second, at the very end: where the mask has settled.
    second = round(scene.fps)
    return Return(seed, text, _most(votes[0]), _most(votes[1][-second:]))


def _owner(labels: Labels, truth: Mask) -> int:
    """The id that covers at least half of the truth, 0 for none."""
    counts = np.bincount(labels[truth])
    counts[0] = 0
    best = int(counts.argmax())
    return best if counts[best] >= 0.5 * np.count_nonzero(truth) else 0


def _most(ids: Sequence[int]) -> int:
    """The id seen most often, none not counted."""
    seen = [each for each in ids if each]
    return max(set(seen), key=seen.count) if seen else 0


def sentences(scene: Scene, seed: int, count: int) -> list[Expression]:
    """`count` sentences of kinds that change from seed to seed, and one about what is absent."""
    kinds = [kind for kind in ExpressionKind if kind is not ExpressionKind.ABSENT]
    first = {e.kind: e for e in reversed(scene.expressions)}
    turned = kinds[seed % len(kinds) :] + kinds[: seed % len(kinds)]
    chosen = [first[kind] for kind in turned if kind in first][:count]
    absent = first.get(ExpressionKind.ABSENT)
    return chosen + ([absent] if absent is not None else [])


def tell(trials: Sequence[Trial], returns: Sequence[Return], console: Console) -> dict[str, Any]:
    """Print the means and the worst, and return the means."""
    figures: dict[str, Any] = {}
    table = Table("scenes", "given", "what", "trials", "J&F", "J", "F", "from first mask", "first")
    for level in dict.fromkeys(t.scene for t in trials):
        for given in ("box", "text"):
            group = [t for t in trials if (t.scene, t.given) == (level, given) and t.jf is not None]
            kinds = dict.fromkeys(t.kind for t in group) if given == "text" else {}
            for kind in ("all", *kinds):
                rows = [t for t in group if kind in ("all", t.kind)]
                if rows:
                    means = _means(rows)
                    figures[f"{level}/{given}/{kind}"] = means
                    table.add_row(level, given, kind, *(_cell(v) for v in means.values()))
    console.print(table)
    absent = [t for t in trials if t.kind == ExpressionKind.ABSENT.value]
    if absent:
        share = fmean(t.answered_none for t in absent)
        figures["absent"] = {"trials": len(absent), "answered_none": share}
        console.print(f'"absent" answered "none": {share:.1%} of {len(absent)}')
    if returns:
        share = fmean(r.kept for r in returns)
        figures["reentry"] = {"trials": len(returns), "old_id": share}
        console.print(f"came back under the old id: {share:.1%} of {len(returns)}")
    _worst(trials, returns, console)
    return figures


def _means(rows: Sequence[Trial]) -> dict[str, Any]:
    late = [t.jf_from_first for t in rows if t.jf_from_first is not None]
    firsts = [t.first_mask for t in rows if t.first_mask is not None]
    return {
        "trials": len(rows),
        "jf": fmean(t.jf for t in rows if t.jf is not None),
        "j": fmean(t.j for t in rows if t.j is not None),
        "f": fmean(t.f for t in rows if t.f is not None),
        "jf_from_first": fmean(late) if late else None,
        "first_mask": median(firsts) if firsts else None,
    }


def _cell(value: float | None) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _worst(trials: Sequence[Trial], returns: Sequence[Return], console: Console) -> None:
    for t in sorted((t for t in trials if t.jf is not None), key=lambda t: t.jf or 0.0)[:8]:
        console.print(
            f"  {t.jf:.2f}  {t.scene} seed {t.seed}, {t.given}: {t.text}", highlight=False
        )
    for t in trials:
        if t.kind == ExpressionKind.ABSENT.value and not t.answered_none:
            console.print(f"  seen  {t.scene} seed {t.seed}: {t.text}", highlight=False)
    for r in returns:
        if not r.kept:
            console.print(
                f"  id {r.before} → {r.after}  reentry seed {r.seed}: {r.text}", highlight=False
            )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="classical")
    parser.add_argument("--set", action="append", default=[], metavar="A.B=VALUE")
    parser.add_argument("--levels", nargs="+", default=["easy", "medium"], choices=synthetic.NAMES)
    parser.add_argument("--scenes", type=int, default=10, help="seeds 1 to N of each level")
    parser.add_argument("--sentences", type=int, default=2, help="of each scene, besides absent")
    parser.add_argument("--returns", type=int, default=None, help="reentry scenes; default N")
    parser.add_argument("--given", default="both", choices=["box", "text", "both"])
    parser.add_argument("--split", default="test", choices=synthetic.SPLITS)
    parser.add_argument("--size", default="640x360", metavar="WIDTHxHEIGHT")
    parser.add_argument(
        "--direct", action="store_true", help="ask the reasoner once, without the loop"
    )
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def main() -> None:
    options = _options()
    console = Console()
    bench = Bench(options.config, options.set, options.direct)
    width, height = (int(part) for part in options.size.split("x"))

    def scene(name: str, seed: int) -> Scene:
        return synthetic.scene(name, seed, options.split, (width, height))

    trials: list[Trial] = []
    jobs = [(level, seed) for level in options.levels for seed in range(1, options.scenes + 1)]
    for level, seed in track(jobs, "scenes", console=Console(stderr=True)):
        played = scene(level, seed)
        if options.given in ("box", "both"):
            chosen = played.objects[seed % len(played.objects)]
            trials.append(bench.from_box(played, chosen.id, seed))
        if options.given in ("text", "both"):
            told = sentences(played, seed, options.sentences)
            trials += [bench.from_text(played, each, seed) for each in told]
    returns: list[Return] = []
    if options.given in ("text", "both") and not options.direct:
        count = options.scenes if options.returns is None else options.returns
        seeds = track(range(1, count + 1), "returns", console=Console(stderr=True))
        returns = [came_back(bench, scene("reentry", seed), seed) for seed in seeds]
    figures = tell(trials, returns, console)
    detail = {"trials": [asdict(t) for t in trials], "returns": [asdict(r) for r in returns]}
    asked = {key: getattr(options, key) for key in ("config", "split", "size", "scenes", "direct")}
    machine.report("accuracy", {**asked, "figures": figures, **detail}, options.json)


if __name__ == "__main__":
    main()
