"""XMem per frame in the steady state: the plain network, then each way of running it faster.

    python -m streamseg.benchmarks.engines --json results/engines.json

One process measures all, in turns, so that the ratios hold although the machine is not quiet.
A full-size network with random weights takes as long as a trained one; its masks mean nothing,
so the overlap printed is of masks that are one step apart, not of a recurrent run.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from streamseg.benchmarks import machine
from streamseg.config import EngineConfig, MemoryConfig
from streamseg.engines.torch import XMem
from streamseg.export.verify_xmem import Clip
from streamseg.export.xmem_engines import XMemEngines
from streamseg.propagation.xmem import Network, XMemPropagator

PLAIN = "eager fp32"
WAYS = {
    "channels last fp32": EngineConfig(channels_last=True),
    "onnxruntime fp32": EngineConfig(family="onnxruntime"),
    "eager bf16": EngineConfig(precision="bf16"),
    "channels last bf16": EngineConfig(precision="bf16", channels_last=True),
}


def network(seed: int = 0) -> XMem:
    """XMem at its full size, with random weights."""
    torch.manual_seed(seed)
    return XMem().eval().requires_grad_(False)


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
    pictures = [clip.picture(20 + index) for index in range(memory.mem_every)]
    for round_ in range(rounds + 1):
        for name, net in nets.items():
            twin = start.fork()
            twin._network = net
            begun_s = time.perf_counter()
            for picture in pictures:
                twin.step(picture)
            if round_:  # the first makes engines and warms up
                took[name].append((time.perf_counter() - begun_s) / len(pictures))
    return took


def overlap(net: Network, plain: Network, clip: Clip, memory: MemoryConfig) -> float:
    """IoU of the masks that two networks make of one state and one picture."""
    start = filled(plain, clip, 1, memory)
    masks = []
    for each in (net, plain):
        twin = start.fork()
        twin._network = each
        masks.append(twin.step(clip.picture(20)).argmax(0) > 0)
    union = int((masks[0] | masks[1]).sum())
    return float((masks[0] & masks[1]).sum() / union) if union else 1.0


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
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    memory = MemoryConfig()
    clip = Clip(options.height, options.width)
    plain = network()
    table = Table("objects", "way", "ms a frame", "against eager fp32", "IoU, one step")
    rows: list[dict[str, Any]] = []
    with TemporaryDirectory() as folder:
        nets = ways(plain, options.ways, Path(folder), memory.top_k)
        for objects in options.objects:
            took = measured(nets, clip, objects, memory, options.rounds)
            rows += _rows(took, objects, lambda name: overlap(nets[name], plain, clip, memory))
    one = {row["way"]: row["ms"] for row in rows if row["objects"] == 1}
    for row in rows:
        row["against_one_object"] = round(row["ms"] / one[row["way"]], 2) if one else None
        table.add_row(*(str(row[key]) for key in ("objects", "way", "ms", "speedup", "iou")))
    Console().print(table)
    machine.report("engines", {"size": [options.height, options.width], "rows": rows}, options.json)


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
