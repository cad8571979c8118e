"""What the parity gate finds at full size: each part of XMem and SAM2.1-tiny, and its plans.

    python -m streamseg.benchmarks.parity --json benchmarks/results/export_parity.json

Every part goes through the gate of `streamseg export`; then TensorRT-RTX compiles the same ONNX for
cards that are not here. Weights are random: differences are those of the arithmetic, and say
nothing of masks. Seconds hold for the machine as busy as it is.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console
from rich.table import Table
from transformers import Sam2VideoConfig, Sam2VideoModel

from streamseg.benchmarks import machine
from streamseg.benchmarks.engines import network as random_xmem
from streamseg.errors import EngineError
from streamseg.export import sam2_image, sam2_video, xmem
from streamseg.export.build import Made, Order, file_name, make
from streamseg.export.part import Part
from streamseg.export.precision import Precision
from streamseg.export.tensorrt import build_plan
from streamseg.nets.sam2_image import Sam2Image
from streamseg.nets.sam2_selftest import image_twin, selftest_video_model, with_seeded_weights
from streamseg.nets.sam2_video import Sam2Video
from streamseg.nets.xmem import selftest_xmem

PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16")
CARDS = ("sm86", "sm89")
ROWS = 1024
"""Queries that memory attention compares at a time; as configs/sam2-video-tiny.yaml."""
Makers = dict[str, Callable[[], Part]]


def makers(objects: Sequence[int], *, small: bool = False) -> Makers:
    """By name, what makes each part; SAM2's encoder for video is the one for pictures."""
    counts = tuple(objects)
    return {**_xmem(counts, small), **_sam2(counts, small)}


def _xmem(counts: tuple[int, ...], small: bool) -> Makers:
    shapes = xmem.XMemShapes(64, 96, counts, 48) if small else xmem.XMemShapes(objects=counts)
    parts = xmem.XMemParts(selftest_xmem() if small else random_xmem(), shapes)
    keys = xmem.part_keys(shapes)
    return {xmem.part_name(*key): partial(parts.make, *key) for key in keys}


def _sam2(counts: tuple[int, ...], small: bool) -> Makers:
    model = selftest_video_model() if small else with_seeded_weights(_tiny())
    image = sam2_image.Sam2ImageParts(Sam2Image(image_twin(model)))
    video = Sam2Video(model)
    shapes = sam2_video.Sam2VideoShapes(counts, (video.memory_frames,), ROWS)
    moving = sam2_video.Sam2VideoParts(video, shapes.rows)
    found: Makers = {
        sam2_image.part_name(*key): partial(image.make, *key)
        for key in sam2_image.part_keys(sam2_image.Sam2ImageShapes(counts))
    }
    for kind, count, frames in sam2_video.part_keys(video, shapes):
        if kind != "encoder":
            name = sam2_video.part_name(kind, count, frames)
            found[name] = partial(moving.make, kind, count, frames)
    return found


def _tiny() -> Sam2VideoModel:
    """SAM2.1-tiny, which is what transformers' defaults describe."""
    return Sam2VideoModel(Sam2VideoConfig())


def judged(name: str, make_part: Callable[[], Part], precision: Precision, cards: list[str]) -> Any:
    """One part in one precision through the gate, and compiled for every card."""
    with TemporaryDirectory() as folder:
        order = Order("onnx", precision, "", Path(folder))
        made = make(make_part(), order, "random")
        row = _row(made, precision)
        if made.entry is not None:
            onnx = (order.staging / file_name(name, order)).read_bytes()
            row["plans"] = {card: _compiled(name, onnx, card) for card in cards}
    return row


def _row(made: Made, precision: Precision) -> dict[str, Any]:
    return {
        "part": made.part,
        "precision": precision,
        "bytes": made.entry.nbytes if made.entry is not None else None,
        "build_s": round(made.build_s, 2),
        "difference": made.difference,
        "verdict": made.verdict,
    }


def _compiled(name: str, onnx: bytes, card: str) -> dict[str, Any]:
    begun_s = time.perf_counter()
    try:
        plan = build_plan(name, onnx, card)
    except EngineError as error:
        return {"refused": str(error)}
    return {"bytes": len(plan), "build_s": round(time.perf_counter() - begun_s, 2)}


def rows(
    found: Makers, precisions: Sequence[Precision], cards: list[str], wanted: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """A row for each part and precision, whole precisions one after the other."""
    for precision in precisions:
        for name, make_part in found.items():
            if not wanted or name.startswith(tuple(wanted)):
                yield judged(name, make_part, precision, cards)


def show(found: list[dict[str, Any]]) -> None:
    """A table for people."""
    table = Table("part", "precision", "MB", "built in s", "difference", "verdict", "plans, MB")
    for row in found:
        plans = row.get("plans", {})
        sizes = (f"{card} {_mb(plan.get('bytes'))}" for card, plan in plans.items())
        difference = "" if row["difference"] is None else f"{row['difference']:.1e}"
        cells = [row["part"], row["precision"], _mb(row["bytes"]), str(row["build_s"])]
        table.add_row(*cells, difference, row["verdict"], ", ".join(sizes))
    Console(width=160).print(table)


def _mb(nbytes: int | None) -> str:
    return "none" if nbytes is None else f"{nbytes / 1e6:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--precisions", nargs="+", default=list(PRECISIONS), choices=PRECISIONS)
    parser.add_argument("--cards", nargs="*", default=list(CARDS))
    parser.add_argument("--objects", type=int, nargs="+", default=[1])
    parser.add_argument("--parts", nargs="*", default=[], help="beginnings of names; none: all")
    parser.add_argument("--small", action="store_true", help="the selftest networks: to try it")
    parser.add_argument("--json", type=Path, help="written anew after every part")
    given = parser.parse_args()
    found: list[dict[str, Any]] = []
    parts = makers(given.objects, small=given.small)
    for row in rows(parts, given.precisions, given.cards, given.parts):
        found.append(row)
        figures = {"weights": "random", "small": given.small, "rows": found}
        machine.report("export_parity", figures, given.json)
    show(found)


if __name__ == "__main__":
    main()
