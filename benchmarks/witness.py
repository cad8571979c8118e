"""What looks as a witness cost a live stream, and how soon a new query shows its first mask.

    python -m streamseg.benchmarks.witness --clip CLIP --query "the bottle" --config everyday

The clip is played at its own pace, over and over: with nothing asked after the first mask, with
looks alone, and with the config as it is. They take turns, so that what else the machine does meets
all alike. Then queries for what is not there and for what is there take turns, and the time from
the second to its first mask is taken. A table for people, then one JSON line for machines.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from streamseg import StreamSegmenter
from streamseg import config as configs
from streamseg.benchmarks import clips, machine
from streamseg.config import Config
from streamseg.errors import StreamSegError, UsageError
from streamseg.types import Image

_NO_REFRESH = ["trigger.refresh_s=3600", "trigger.doubt_refresh_s=3600"]
WAYS: dict[str, list[str]] = {
    "nothing asked": ["trigger.witness_s=0", *_NO_REFRESH],
    "looks alone": _NO_REFRESH,
    "as it is": [],
}
_PATIENCE_S = 30.0
_PICTURES = 120


def _options(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="streamseg.benchmarks.witness", description=__doc__)
    parser.add_argument("--clip", type=Path, required=True)
    parser.add_argument("--query", required=True, help="for something that the clip shows")
    parser.add_argument("--absent", default="the elephant", help="for something that it does not")
    parser.add_argument("--config", default="everyday", metavar="NAME")
    parser.add_argument("--set", action="append", default=[], metavar="A.B=VALUE")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each turn")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--fps", type=float, default=30.0)
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the JSON line")
    return parser.parse_args(words)


def paced(shown: Sequence[Image], fps: float) -> Iterator[tuple[Image, float]]:
    """Pictures forth and back for ever, each when it is due, with the time that it was due."""
    order = [*range(len(shown)), *range(len(shown) - 2, 0, -1)]
    begun_s = time.monotonic()
    for count, index in enumerate(itertools.cycle(order)):
        due_s = begun_s + count / fps
        if (early_s := due_s - time.monotonic()) > 0:
            time.sleep(early_s)
        elif early_s < -1.0 / fps:
            continue  # a camera does not wait: what is overtaken is never seen
        yield shown[index], due_s


def turn(
    config: Config, shown: Sequence[Image], query: str, seconds: float, fps: float
) -> tuple[list[float], float]:
    """Latencies in milliseconds of every frame after the first mask, and looks a second.

    Raises:
        UsageError: No mask is shown for so long that none will be.
    """
    segmenter = StreamSegmenter(config)
    latencies: list[float] = []
    first_s: float | None = None
    begun_s = time.monotonic()
    with segmenter.session(query) as session:
        for image, due_s in paced(shown, fps):
            result = session.step(image)
            now_s = time.monotonic()
            if first_s is None:
                if any(view.box is not None for view in result.masks.objects):
                    first_s = now_s
                elif now_s > begun_s + _PATIENCE_S:
                    raise UsageError(
                        f"{query!r} shows no mask within {_PATIENCE_S:.0f} s: "
                        "expected a query for something that the clip shows"
                    )
                continue
            latencies.append(1e3 * (now_s - due_s))
            if now_s > first_s + seconds:
                break
    counters = segmenter.summary()["counters"]
    return latencies, counters.get("looks", 0) / seconds


def first_masks(
    config: Config, shown: Sequence[Image], query: str, absent: str, count: int, fps: float
) -> list[float]:
    """Seconds from a new query to its first mask, of a reasoner that runs."""
    found: list[float] = []
    segmenter = StreamSegmenter(config)
    with segmenter.session(absent) as session:
        changed_s, wanted = time.monotonic(), False
        for image, _ in paced(shown, fps):
            result = session.step(image)
            now_s = time.monotonic()
            there = any(view.box is not None for view in result.masks.objects)
            if wanted and there and result.query == query:
                found.append(now_s - changed_s)
            if (wanted and there) or (not wanted and now_s > changed_s + 3.0):
                wanted = not wanted
                segmenter.set_query(query if wanted else absent)
                changed_s = time.monotonic()
            if len(found) >= count or now_s > changed_s + _PATIENCE_S:
                break
    return found


def main(words: Sequence[str] | None = None) -> int:
    """Measure and print.

    Returns:
        Exit code: 0 done, 2 wrong usage or config.
    """
    options = _options(words)
    try:
        return _measure(options)
    except StreamSegError as error:
        print(f"streamseg.benchmarks.witness: {' '.join(str(error).split())}", file=sys.stderr)
        return error.exit_code


def _measure(options: argparse.Namespace) -> int:
    shown = clips.pictures(options.clip, _PICTURES)
    plain = configs.load(options.config, options.set)
    taken: dict[str, list[float]] = {way: [] for way in WAYS}
    rates: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(options.turns):
        for way, changes in WAYS.items():
            config = configs.load(options.config, [*options.set, *changes])
            got, rate = turn(config, shown, options.query, options.seconds, options.fps)
            taken[way] += got
            rates[way].append(rate)
    waits = first_masks(plain, shown, options.query, options.absent, 2 * options.turns, options.fps)
    base = float(np.percentile(taken["nothing asked"], 99))
    rows = {}
    for way, values in taken.items():
        p50, p99 = (float(value) for value in np.percentile(values, (50, 99)))
        rate = float(np.mean(rates[way]))
        rows[way] = {"p50_ms": p50, "p99_ms": p99, "ratio": p99 / base, "looks_per_s": rate}
        print(f"{way:14} p50 {p50:6.1f} ms  p99 {p99:6.1f} ms, {p99 / base:.2f} x", end="")
        print(f"  {rate:.1f} looks a second")
    print("first mask after a new query:", ", ".join(f"{each:.2f} s" for each in waits) or "never")
    line = {
        "config": options.config,
        "clip": options.clip.name,
        "ways": rows,
        "first_mask_s": waits,
    }
    machine.report("witness", line, options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
