"""What the run of all sentences says: tables for people, rows and figures for machines."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from streamseg.errors import OutputError
from streamseg.evaluation.real import NOT_THERE, THERE, SentenceScore, Way
from streamseg.evaluation.totals import figures

_TITLES = {
    Way.SHOWN: "whatever is shown",
    Way.TRACKING: "only what is shown as tracking",
}


def tell(rows: Sequence[SentenceScore], console: Console) -> dict[str, Any]:
    """Print the tables and the honesty figures, and return all figures."""
    found: dict[str, Any] = rounded(figures(rows))
    for way in Way:
        console.print(table(found["kinds"], way))
    for line in lines(found):
        console.print(line, highlight=False, soft_wrap=True)
    for row in rows:
        if row.error is not None:
            said = f'failed: {row.clip}, "{row.query}": {row.error}'
            console.print(Text(said), style="red", highlight=False)
    return found


def table(kinds: Mapping[str, Any], way: Way) -> Table:
    """A row a kind of sentence: the share of every verdict, of the frames where the thing is there
    and of those where it is away."""
    columns = ["kind", "sentences", "there", *THERE, "away", *NOT_THERE, "mask IoU"]
    made = Table(box=box.SIMPLE_HEAD, title=_TITLES[way], title_justify="left")
    for name in columns:
        made.add_column(name, justify="left" if name == "kind" else "right", no_wrap=True)
    for kind, told in kinds.items():
        shares = told[way]
        made.add_row(
            kind,
            str(told["sentences"]),
            str(shares["there"]),
            *(_percent(shares[each]) for each in THERE),
            str(shares["not_there"]),
            *(_percent(shares[each]) for each in NOT_THERE),
            _number(told["mask_iou"]),
            style="bold" if kind == "all" else None,
        )
    return made


def lines(found: Mapping[str, Any]) -> list[str]:
    """Is it honest, is it calibrated, is it quick: a line each."""
    told = [
        f"{state}: {each['frames']} frames, {_percent(each['right'])} right, "
        f"{_percent(each['partly'])} partly, {_percent(each['wrong'])} wrong "
        f"({_percent(each['invented'])} invented)"
        for state, each in found["states"].items()
    ]
    absent = found["absent"]
    told.append(
        f"absent: {absent['tracking_on_annotated']} of {absent['sentences']} sentences invented "
        f"as tracking on an annotated frame, {absent['tracking_on_any']} on any; "
        f"shown in any state: {absent['shown_on_annotated']} and {absent['shown_on_any']}"
    )
    errors = found["calibration"]
    told.append(
        f"calibration error: {_number(errors['right']['error'])} of score against right "
        f"({_number(errors['right_tracking']['error'])} of tracking alone), "
        f"{_number(errors['iou']['error'])} against IoU"
    )
    masks = found["masks"]
    if masks["sentences"]:
        told.append(
            f"true masks: {masks['sentences']} sentences, IoU {_number(masks['iou'])}; of "
            f"{masks['frames_tracking']} tracking frames "
            f"{_percent(masks['tracking_below_half'])} are below 0.5"
        )
    first = found["first_mask"]
    told.append(
        f"first mask: after {_whole(first['median'])} frames (median; greatest "
        f"{_whole(first['greatest'])}), never for {first['never']} of {first['sentences']} "
        "sentences about what is there from the start"
    )
    told.append(
        f"time a frame: {_number(found['frame_ms'], 1)} ms the loop's own (median), "
        f"{_number(found['wall_ms'], 1)} ms with decoding and answers (mean)"
    )
    if found["unanswered"]:
        told.append(
            f"{found['unanswered']} sentences were not always answered in time: a busy machine "
            "makes them worse than they are; give reasoning.deadline_s more, or --resume"
        )
    return told


def progress(row: SentenceScore, done: int, total: int) -> Text:
    """A line that says what came of one sentence."""
    line = Text(no_wrap=True, overflow="ellipsis")
    line.append(f"[{done}/{total}] {row.clip}  ", "bright_black")
    line.append(row.query)
    if row.error is not None:
        return line.append(f"  failed: {row.error}", "red")
    for frame in row.frames:
        same = frame.shown is frame.tracking
        line.append(f"  {frame.shown}" + ("" if same else f"/{frame.tracking}"))
    if row.mask_iou is not None:
        line.append(f"  IoU {row.mask_iou:.2f}")
    if row.unanswered:
        line.append(f"  unanswered {row.unanswered}", "yellow")
    return line


def compact(row: SentenceScore) -> dict[str, Any]:
    """A sentence's row in the line for machines: a word for every frame it was judged on."""
    return {
        "clip": row.clip,
        "query": row.query,
        "kind": row.kind,
        **{str(way): [frame.verdict(way) for frame in row.frames] for way in Way},
        "score": [_rounded(frame.score) for frame in row.frames],
        "mask_iou": _rounded(row.mask_iou),
        "tracking_share": _rounded(
            row.frames_tracking / row.frames_run if row.frames_run else None
        ),
        "unanswered": row.unanswered,
        "error": row.error,
    }


def keep(path: Path, told: Mapping[str, Any], rows: Sequence[SentenceScore]) -> None:
    """Write figures, and every row with every frame.

    Raises:
        OutputError: It cannot be written.
    """
    content = {**told, "sentences": [asdict(row) for row in rows]}
    try:
        path.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from None


def rounded(value: Any) -> Any:
    """Plain values with every float in them to four digits."""
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in value.items()}
    return round(value, 4) if isinstance(value, float) else value


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.0%}"


def _number(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _whole(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f}"
