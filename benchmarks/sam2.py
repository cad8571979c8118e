"""SAM2 on engines against SAM2 in plain torch: the encoder, memory attention, and many objects.

The reference is transformers' own model: its image encoder, and its memory attention, which is
handed exactly the memories that are there. Weights are random; the arithmetic is the same. What
many objects cost is the parts one after another, of a frame that is tracked on a full bank, with
all memories and with a limit, and of a keyframe that is cut by boxes and points: there is no
reference.

python -m streamseg.benchmarks.sam2 --output benchmarks/results/sam2.json
"""

from __future__ import annotations

import argparse
import copy
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch._subclasses import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode
from transformers import Sam2VideoConfig, Sam2VideoModel

from streamseg.benchmarks import machine
from streamseg.engines.onnx_session import OnnxRuntimeOptions
from streamseg.engines.onnxruntime import OnnxRuntimeEngine
from streamseg.engines.torch import TorchEngine, TorchOptions
from streamseg.export.onnx import to_model
from streamseg.export.part import Part
from streamseg.export.precision import Precision, lower
from streamseg.export.sam2_image import Sam2ImageParts
from streamseg.export.sam2_video import Sam2VideoParts
from streamseg.nets.sam2_image import Sam2Image
from streamseg.nets.sam2_selftest import selftest_video_model, with_seeded_weights
from streamseg.nets.sam2_video import Sam2Video
from streamseg.propagation.sam2.memory import memories_each

CPU = torch.device("cpu")
Run = Callable[[], object]
Clock = Callable[[], float]
_BANK = 7
"""Memories of an object whose bank is full."""
Frame = Callable[[int], dict[str, Part]]
"""A count of objects to the parts that a frame runs, by name."""


def race(runs: dict[str, Run], rounds: int, clock: Clock) -> dict[str, float]:
    """The best of some rounds, in seconds, each round running all in turn: noise hits all alike."""
    best = dict.fromkeys(runs, float("inf"))
    with torch.inference_mode():
        for run in runs.values():
            run()
        for _ in range(rounds):
            for name, run in runs.items():
                begun = clock()
                run()
                best[name] = min(best[name], clock() - begun)
    return best


def on_torch(part: Part, precision: Precision) -> Run:
    """The part in torch, not compiled, laid out for a CPU."""
    low, options = lower(part, precision), TorchOptions(channels_last=True, packed=True)
    engine = TorchEngine(part.name, low.module, low.specs, low.outputs, CPU, options)
    return lambda: engine.run(low.inputs)


def on_onnx_runtime(part: Part, threads: int) -> Run:
    """The part in ONNX Runtime, float32."""
    options = OnnxRuntimeOptions(threads=threads)
    engine = OnnxRuntimeEngine(part.name, to_model(part).SerializeToString(), options)
    return lambda: engine.run(part.inputs)


def encoder(
    model: Sam2VideoModel, parts: Sam2VideoParts, rounds: int, clock: Clock, threads: int
) -> dict[str, float]:
    """Seconds a picture, by what runs the image encoder."""
    part = parts.make("encoder")
    image = part.inputs["image"]
    runs: dict[str, Run] = {
        "transformers": lambda: model.get_image_features(image),
        "torch": on_torch(part, "fp32"),
        "onnxruntime": on_onnx_runtime(part, threads),
        "torch bf16": on_torch(part, "bf16"),
    }
    return race(runs, rounds, clock)


def attention(
    model: Sam2VideoModel,
    parts: Sam2VideoParts,
    fills: Sequence[int],
    rounds: int,
    clock: Clock,
    threads: int,
) -> dict[int, dict[str, float]]:
    """Seconds a frame by fill of the bank, by what runs memory attention."""
    found = {}
    for fill in fills:
        part = parts.make("attention", 1, fill)
        runs: dict[str, Run] = {
            "transformers": theirs(model, part, fill),
            "torch": on_torch(part, "fp32"),
            "onnxruntime": on_onnx_runtime(part, threads),
            "torch bf16": on_torch(part, "bf16"),
        }
        found[fill] = race(runs, rounds, clock)
    return found


def crowd(
    frame: Frame, counts: Sequence[int], rounds: int, clock: Clock, precision: Precision
) -> dict[int, dict[str, float]]:
    """Seconds a frame by count of objects, by part, in torch."""
    found = {}
    for count in counts:
        runs = {kind: on_torch(part, precision) for kind, part in frame(count).items()}
        found[count] = race(runs, rounds, clock)
    return found


def work(frame: Frame, counts: Sequence[int]) -> dict[int, dict[str, float]]:
    """10⁹ multiply-adds a frame by count of objects, by part: nothing is run."""
    found: dict[int, dict[str, float]] = {}
    for count in counts:
        found[count] = {}
        for kind, part in frame(count).items():
            with FakeTensorMode(allow_non_fake_inputs=True) as fake, torch.no_grad():
                inputs = [fake.from_tensor(tensor) for tensor in part.inputs.values()]
                with FlopCounterMode(display=False) as counter:
                    part.module(*inputs)
            found[count][kind] = counter.get_total_flops() / 2e9
    return found


def tracked(parts: Sam2VideoParts, count: int, memories: int = 0) -> dict[str, Part]:
    """What a frame on which so many objects are tracked runs, in order, on a full bank.

    Args:
        memories: As propagation.sam2.memories; 0: each object attends to all seven.
    """
    frames = min(_BANK, memories_each(memories, count) or _BANK)
    return {
        "encoder": parts.make("encoder"),
        "attention": parts.make("attention", count, frames),
        "track": parts.make("track", count),
        "memory": parts.make("memory", count),
    }


def cut(parts: Sam2ImageParts, count: int) -> dict[str, Part]:
    """What a keyframe from which so many objects are cut runs, in order."""
    return {"encoder": parts.make("encoder"), "decoder": parts.make("decoder", count, 8)}


def theirs(model: Sam2VideoModel, part: Part, fill: int) -> Run:
    """transformers' memory attention on `fill` memories and all pointers, nothing empty."""
    embedding, memory = part.inputs["embedding"], part.inputs["memory"]
    grid = tuple(embedding.shape[-2:])
    flat = embedding.flatten(2).permute(2, 0, 1)
    places = model.vision_encoder.neck.position_encoding(embedding.shape, CPU, torch.float32)
    spatial = model.memory_encoder.position_encoding((1, model.mem_dim, *grid), CPU, torch.float32)
    table = model.memory_temporal_positional_encoding
    with torch.inference_mode():
        placed = [flatten(spatial) + table[(age or len(table)) - 1] for age in range(fill)]
        tokens, marks = model._process_object_pointers(
            part.inputs["since"][0].clamp(min=0).tolist(),
            list(part.inputs["pointers"][0][:, None]),
            part.inputs["since"].shape[1],
            1,
            model.hidden_dim,
            CPU,
        )
        keys = torch.cat((*memory[0][:, :, None], tokens))
        positions = torch.cat((*placed, marks))
    return lambda: model.memory_attention(
        current_vision_features=flat,
        current_vision_position_embeddings=flatten(places),
        memory=keys,
        memory_posision_embeddings=positions,
        num_object_pointer_tokens=len(tokens),
    )


def flatten(planes: Tensor) -> Tensor:
    """(1, C, h, w) to (h·w, 1, C)."""
    return planes.flatten(2).permute(2, 0, 1)


def show(title: str, rows: dict[Any, dict[str, float]]) -> None:
    """A table of seconds, with the gain over transformers."""
    names = list(next(iter(rows.values())))
    table = Table("", *names, title=title)
    for label, seconds in rows.items():
        base = seconds["transformers"]
        cells = [f"{seconds[name]:.3f} s ({base / seconds[name]:.2f}x)" for name in names]
        table.add_row(str(label), *cells)
    Console(width=140).print(table)


def show_crowd(title: str, rows: Mapping[int, Mapping[str, float]]) -> None:
    """A table by part, with what a frame costs against one of the first count of objects."""
    names = list(next(iter(rows.values())))
    fewest = sum(next(iter(rows.values())).values())
    table = Table("objects", *names, "frame", "against the first", title=title)
    for count, seconds in rows.items():
        whole = sum(seconds.values())
        cells = [f"{seconds[name]:.3f}" for name in names]
        table.add_row(str(count), *cells, f"{whole:.3f}", f"{whole / fewest:.2f}x")
    Console(width=140).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--what", nargs="+", default=["encoder", "attention", "work", "objects"])
    parser.add_argument("--fills", type=int, nargs="+", default=list(range(1, 8)))
    parser.add_argument("--objects", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="bf16", help="of objects")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=512, help="as propagation.sam2.query_rows")
    parser.add_argument("--memories", type=int, default=32, help="as propagation.sam2.memories")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "--cpu-time", action="store_true", help="count processor time: for a machine that is busy"
    )
    parser.add_argument("--small", action="store_true", help="the selftest network: to try it")
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    clock = time.process_time if given.cpu_time else time.perf_counter
    if given.small:
        model = selftest_video_model()
    else:
        model = with_seeded_weights(Sam2VideoModel(Sam2VideoConfig()))
    ours = copy.deepcopy(model)  # ours attends differently, and theirs is to stay as it is
    parts = Sam2VideoParts(Sam2Video(ours), rows=given.rows)
    pictures = Sam2ImageParts(Sam2Image(ours))
    frames: dict[str, Frame] = {
        "tracked": lambda count: tracked(parts, count),
        f"tracked, {given.memories} memories": lambda count: tracked(parts, count, given.memories),
        "cut": lambda count: cut(pictures, count),
    }
    figures: dict[str, Any] = {
        "size": model.config.image_size,
        "threads": given.threads,
        "rows": given.rows,
        "clock": "processor" if given.cpu_time else "wall",
    }
    if "encoder" in given.what:
        seconds = encoder(model, parts, given.rounds, clock, given.threads)
        show("image encoder", {model.config.image_size: seconds})
        figures["encoder_s"] = seconds
    if "attention" in given.what:
        table = attention(model, parts, given.fills, given.rounds, clock, given.threads)
        show("memory attention, one object, by frames in the bank", table)
        figures["attention_s"] = table
    if "work" in given.what:
        figures["gmac"] = {name: work(frame, given.objects) for name, frame in frames.items()}
        for name, rows in figures["gmac"].items():
            show_crowd(f"a frame, {name}: 10⁹ multiply-adds", rows)
    if "objects" in given.what:
        figures["objects_precision"], figures["objects_s"] = given.precision, {}
        for name, frame in frames.items():
            rows = crowd(frame, given.objects, given.rounds, clock, given.precision)
            show_crowd(f"a frame, {name}: seconds in {given.precision}", rows)
            figures["objects_s"][name] = rows
    machine.report("sam2", figures, given.output)


if __name__ == "__main__":
    main()
