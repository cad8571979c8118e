"""XMem per frame in the steady state: the plain network, then each way of running it faster.

    python -m streamseg.benchmarks.engines --checkpoint xmem.safetensors --json results/engines.json

One process measures all, in turns, so that the ratios hold although the machine is not quiet. The
pictures show sixteen small objects, of which as many are tracked as are asked for. The checkpoint
is widened to full size without changing what it computes, so that masks mean something and many
objects are decoded in windows, as they would be. Of a network without a checkpoint, with random
weights, no mask has a place: its objects are all decoded whole, and the overlap says little.

The overlap is of masks one step from one state. What windows do to the masks over time is
measured apart, by the checkpoint at its own size: mean overlap with whole decoding over a clip.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

from streamseg.benchmarks import machine
from streamseg.benchmarks.crowd import crowd
from streamseg.config import EngineConfig, MemoryConfig, WindowsConfig
from streamseg.engines.torch import XMem
from streamseg.export.verify_xmem import CLIP_FRAMES, Clip, overlaps
from streamseg.export.xmem_engines import XMemEngines
from streamseg.propagation.xmem.loop import Network, XMemPropagator
from streamseg.training.widen import widened
from streamseg.weights.checkpoints import read_state

PLAIN = "eager fp32"
_CROWD = 16
_COLUMNS = {
    "objects": "objects",
    "way": "way",
    "ms": "ms a frame",
    "speedup": "against eager fp32",
    "against_one_object": "against one object",
    "iou": "IoU, one step",
}
WAYS = {
    "channels last fp32": EngineConfig(channels_last=True),
    "onnxruntime fp32": EngineConfig(family="onnxruntime"),
    "eager bf16": EngineConfig(precision="bf16"),
    "channels last bf16": EngineConfig(precision="bf16", channels_last=True),
    "compiled fp32": EngineConfig(channels_last=True, compile=True),
    "compiled bf16": EngineConfig(precision="bf16", channels_last=True, compile=True),
}


def network(seed: int = 0) -> XMem:
    """XMem at its full size, with random weights."""
    torch.manual_seed(seed)
    return XMem().eval().requires_grad_(False)


def pictures(height: int, width: int, frames: int = CLIP_FRAMES) -> Clip:
    """The clip that all is measured on."""
    return Clip(height, width, frames, crowd((width, height), _CROWD, frames=frames))


def filled(net: Network, clip: Clip, objects: int, memory: MemoryConfig) -> XMemPropagator:
    """A propagator whose working memory is full: one frame before it would be condensed.

    Frames are stored one after the other, which fills it in as many steps.
    """
    quick = memory.model_copy(update={"mem_every": 1, "enable_long_term": False})
    propagator = XMemPropagator(net, quick)
    propagator.step(clip.picture(0), clip.masks(objects))
    for index in range(1, memory.max_mid_term_frames - 1):
        propagator.step(clip.picture(index))
    propagator._config = memory
    propagator._memory._config = memory
    return propagator


def measured(
    nets: dict[str, Network], clip: Clip, objects: int, memory: MemoryConfig, rounds: int
) -> dict[str, list[float]]:
    """Seconds per frame over whole rhythms of the memory: one frame stored, the others not.

    Every way starts from a fork of one filled propagator, so that all do the same work.
    """
    took: dict[str, list[float]] = {name: [] for name in nets}
    start = filled(nets[PLAIN], clip, objects, memory)
    first = memory.max_mid_term_frames - 1
    after = [clip.picture(first + index) for index in range(memory.mem_every)]
    for round_ in range(rounds + 1):
        for name, net in nets.items():
            twin = start.fork()
            twin._network = net
            begun_s = time.perf_counter()
            for picture in after:
                twin.step(picture)
            if round_:  # the first makes engines and warms up
                took[name].append((time.perf_counter() - begun_s) / len(after))
    return took


def overlap(net: Network, plain: Network, clip: Clip, memory: MemoryConfig) -> float:
    """IoU of the masks that two networks make of one state and one picture."""
    start = filled(plain, clip, 1, memory)
    masks = []
    for each in (net, plain):
        twin = start.fork()
        twin._network = each
        masks.append(twin.step(clip.picture(memory.max_mid_term_frames - 1)).argmax(0) > 0)
    union = int((masks[0] | masks[1]).sum())
    return float((masks[0] & masks[1]).sum() / union) if union else 1.0


def windowed(net: XMem, clip: Clip, objects: int, memory: MemoryConfig) -> dict[str, float]:
    """Masks of objects decoded in windows against those decoded whole, over a whole clip."""
    inside = XMemPropagator(net, memory, WindowsConfig())
    whole = XMemPropagator(net, memory, WindowsConfig(from_objects=0))
    found: list[float] = []
    for index in track(range(clip.frames), description="in windows, and whole"):
        image, masks = clip.picture(index), clip.masks(objects) if index == 0 else None
        labels = [each.step(image, masks).argmax(0).numpy() for each in (whole, inside)]
        if index:
            found += overlaps(labels[0], labels[1], objects + 1)
    return {
        "objects": objects,
        "frames": clip.frames,
        "iou": round(float(np.mean(found)), 4),
        "iou_p05": round(float(np.quantile(found, 0.05)), 4),
    }


def ways(plain: XMem, names: list[str], folder: Path, top_k: int) -> dict[str, Network]:
    """The plain network, and the others by name."""
    engines: dict[str, Network] = {PLAIN: plain}
    for name in names:
        engines[name] = XMemEngines(plain, WAYS[name], folder, top_k).network()
    return engines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--height", type=int, default=480)
    parser.add_argument("--width", type=int, default=864)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--objects", type=int, nargs="*", default=[1, 16])
    parser.add_argument("--ways", nargs="*", default=list(WAYS), choices=list(WAYS))
    parser.add_argument("--checkpoint", type=Path, help="Of an XMem of any size.")
    parser.add_argument("--frames", type=int, default=CLIP_FRAMES, help="Of the clip; 0: no clip.")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    memory = MemoryConfig()
    clip = pictures(options.height, options.width)
    small = XMem.from_state_dict(read_state(options.checkpoint)) if options.checkpoint else None
    plain = network() if small is None else widened(small)
    table = Table(*_COLUMNS.values())
    rows: list[dict[str, Any]] = []
    with TemporaryDirectory() as folder:
        nets = ways(plain, options.ways, Path(folder), memory.top_k)
        for objects in options.objects:
            took = measured(nets, clip, objects, memory, options.rounds)
            rows += _rows(took, objects, lambda name: overlap(nets[name], plain, clip, memory))
    one = {row["way"]: row["ms"] for row in rows if row["objects"] == 1}
    for row in rows:
        row["against_one_object"] = round(row["ms"] / one[row["way"]], 2) if one else None
        table.add_row(*(str(row[key]) for key in _COLUMNS))
    Console().print(table)
    figures: dict[str, Any] = {"size": [options.height, options.width], "rows": rows}
    if small is not None and options.frames:
        shown = pictures(options.height, options.width, options.frames)
        figures["windows"] = windowed(small, shown, max(options.objects), memory)
    machine.report("engines", figures, options.json)


def _rows(
    took: dict[str, list[float]], objects: int, iou: Callable[[str], float]
) -> list[dict[str, Any]]:
    """A row per way; the ratio is the median of the rounds' ratios."""
    return [
        {
            "objects": objects,
            "way": name,
            "ms": round(1000 * median(seconds), 1),
            "speedup": round(median(p / s for p, s in zip(took[PLAIN], seconds, strict=True)), 2),
            "iou": round(iou(name), 4) if objects == 1 else None,
        }
        for name, seconds in took.items()
    ]


if __name__ == "__main__":
    main()
