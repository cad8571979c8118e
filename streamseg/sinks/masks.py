"""masks.jsonl: a line of JSON for every frame, written at once, and the reader of such files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from io import FileIO
from pathlib import Path
from typing import Any

from streamseg.errors import StreamSegError
from streamseg.sinks import Refused, Role, rle
from streamseg.sinks.output import results
from streamseg.sinks.output.files import reason_of, write_whole
from streamseg.sinks.output.folder import OutputFolder
from streamseg.types import FrameResult, MaskSet, SourceInfo, TrackView


class MasksSink:
    """Writes `masks.jsonl`; every line goes out in one system call, so a killed run stays readable.

    Masks are COCO compressed RLE at the source's resolution. Objects without a pixel on the frame
    are left out.
    """

    name = "masks"
    role = Role.RESULTS

    def __init__(self, folder: OutputFolder) -> None:
        self._folder = folder
        self._file: FileIO | None = None

    def check(self, reads: Sequence[str]) -> None:
        self._folder.claim(self, reads)

    def open(self, info: SourceInfo, query: str) -> None:
        self._folder.claim(self)

    def write(self, result: FrameResult) -> None:
        try:
            line = json.dumps(as_record(result), separators=(",", ":"), allow_nan=False)
        except ValueError as error:
            raise Refused(f"a line of {results.MASKS} cannot hold it: {error}") from error
        if self._file is None:
            self._file = self._folder.create(results.MASKS)
        write_whole(self._file, line.encode("ascii") + b"\n")

    def close(self, summary: Mapping[str, Any]) -> None:
        file, self._file = self._file, None
        try:
            if file is not None:
                file.close()
        finally:
            self._folder.release(self)


def as_record(result: FrameResult) -> dict[str, Any]:
    """One line of `masks.jsonl` as plain values (the README's table of its keys)."""
    return {
        "frame": result.frame.index,
        "pts_s": round(result.frame.pts_s, 6),
        "epoch": result.frame.epoch,
        "state": result.state.value,
        "objects": list(_objects(result.masks)),
        "mask_age_frames": result.mask_age_frames,
        "grounded_frame": result.grounded_frame,
        "difficulty": round(float(result.difficulty), 2),
        "reasoner": result.reasoner.value,
        "trigger": None if result.trigger is None else result.trigger.value,
        "deep": None if result.deep is None else result.deep.value,
        "timings_ms": {stage: round(float(ms), 2) for stage, ms in result.timings_ms.items()},
    }


def _objects(masks: MaskSet) -> Iterator[dict[str, Any]]:
    for track in masks.objects:
        if track.box is None:
            continue
        encoded = rle.encode(masks.labels, track.id)
        if encoded is not None:
            yield _object(track, encoded)


def _object(track: TrackView, encoded: dict[str, Any]) -> dict[str, Any]:
    held = track.evidence
    return {
        "id": int(track.id),
        "score": round(float(track.score), 4),
        "evidence": {
            "words": round(float(held.words), 4),
            "cut": round(float(held.cut), 4),
            "carried": round(float(held.carried), 4),
            "by_kind": bool(held.by_kind),
        },
        "box": [round(float(edge), 2) for edge in track.box or ()],
        "rle": encoded,
    }


def read_masks(path: Path | str) -> Iterator[dict[str, Any]]:
    """Yield each line of a `masks.jsonl` with `objects[i]["mask"]`, (H, W) bool, decoded.

    A last line that was cut short (the run was killed while writing it) is left out.

    Raises:
        StreamSegError: The file cannot be read, or a line is not one of `masks.jsonl`.
    """
    try:
        with open(path, "rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.endswith(b"\n"):
                    return
                yield _read_line(line, f"{path}, line {number}")
    except OSError as error:
        raise StreamSegError(
            f"cannot read {path} ({reason_of(error)}): expected a masks.jsonl"
        ) from None


def _read_line(line: bytes, where: str) -> dict[str, Any]:
    try:
        record: dict[str, Any] = json.loads(line)
        for item in record["objects"]:
            item["mask"] = rle.decode(item["rle"])
    except (ValueError, KeyError, TypeError) as error:
        raise StreamSegError(f"{where}: expected a line of masks.jsonl, got {error}") from None
    return record
