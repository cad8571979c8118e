"""A real clip held against true masks on some of its frames.

    python -m streamseg.benchmarks.clip --source coffee.mp4 --query "the blue mug" --truth mug.npz
    python -m streamseg.benchmarks.clip … --whole --target-frame 143

As a stream, or with `--whole` as `streamseg segment` takes it, every true frame compared.

The truth is an .npz with `index` (N,), `shape` (N, H, W) or (H, W), and `bits`, (N, …) uint8: each
frame's mask flattened and packed by `np.packbits`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from rich.console import Console

from streamseg import StreamSegmenter, VideoSegmenter
from streamseg.benchmarks import machine
from streamseg.types import Mask


def read_truth(path: Path) -> dict[int, Mask]:
    """True masks (H, W) by frame index."""
    with np.load(path, allow_pickle=False) as stored:
        height, width = (int(side) for side in stored["shape"][-2:])
        rows = np.unpackbits(stored["bits"], axis=-1)[:, : height * width]
        masks = rows.reshape(-1, height, width).astype(bool)
        return {int(index): mask for index, mask in zip(stored["index"], masks, strict=True)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="classical")
    parser.add_argument("--source", required=True)
    parser.add_argument("--query", required=True)
    parser.add_argument("--truth", type=Path, required=True)
    parser.add_argument("--whole", action="store_true")
    parser.add_argument("--target-frame", type=int)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    truth = read_truth(options.truth)
    segmenter: StreamSegmenter | VideoSegmenter
    if options.whole:
        segmenter = VideoSegmenter.from_config(options.config)
        chosen = options.target_frame
        results = segmenter.segment(options.source, options.query, target_frame=chosen)
    else:
        segmenter = StreamSegmenter.from_config(options.config)
        results = segmenter.run(options.source, options.query)
    first, ids, overlaps = 0 if options.whole else None, set[int](), []
    for result in results:
        shown = result.masks.labels > 0
        if first is None and shown.any():
            first = result.frame.index
        ids |= {view.id for view in result.masks.objects if view.box is not None}
        true = truth.get(result.frame.index)
        if first is not None and true is not None:
            overlaps.append(float((shown & true).sum() / max(1, (shown | true).sum())))
    summary = segmenter.summary()
    figures = {
        "source": Path(options.source).name,
        "query": options.query,
        "target_frame": summary["offline"]["target_frame"] if options.whole else None,
        "first_mask": first,
        "ids": sorted(ids),
        "frames_compared": len(overlaps),
        "iou_mean": round(float(np.mean(overlaps)), 4) if overlaps else None,
        "iou_least": round(min(overlaps), 4) if overlaps else None,
        "fps": summary["fps"],
    }
    Console().print(figures)
    machine.report("clip", figures, options.json)


if __name__ == "__main__":
    main()
