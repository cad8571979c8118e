"""One run of the product on the failing camera: draws and judges every result while a script makes
the trouble in a thread beside; knows no fault and sets no bound.
"""

from __future__ import annotations

import random
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from streamseg import StreamSegmenter, sinks
from streamseg.benchmarks.faults import reel, vitals
from streamseg.benchmarks.faults.camera import CameraProcess
from streamseg.benchmarks.faults.judge import Judge
from streamseg.benchmarks.faults.mischief import Bench, BrittleSink
from streamseg.benchmarks.faults.proxy import FaultyProxy
from streamseg.benchmarks.faults.vitals import Vitals
from streamseg.types import Event

SENTENCE = "every pink thing"
_WARM_FRAMES = 60
BRITTLE = "brittle"
"""How the names of the sinks begin that are there to fail."""
_BRITTLE_SINKS = 3
_LET_GO_S = 10.0

Script = Callable[[Bench], dict[str, int]]


@dataclass
class Outcome:
    """What came of a run.

    Attributes:
        done: How often each fault was done.
        crash: The traceback of what the run, or the script, raised; empty if nothing.
        events, told: How often the run told of each kind, and its first words on it.
        start, settled, peak, end: Before the run, in it, and once it has ended; settled is None
            of a short run.
        course: The vitals every ten seconds.
        left: Threads and open files that were not there before the run.
    """

    judge: Judge
    start: Vitals
    peak: Vitals
    end: Vitals
    seconds: float
    settled: Vitals | None = None
    course: list[Vitals] = field(default_factory=list)
    left: Counter[str] = field(default_factory=Counter)
    done: dict[str, int] = field(default_factory=dict)
    crash: str = ""
    events: Counter[str] = field(default_factory=Counter)
    told: dict[str, str] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)


def perform(config: str, seed: int, output: Path, script: Script) -> Outcome:
    """Run until the script is over; what the run writes goes to the folder `output`.

    A short run comes first: what is made once, such as pools of threads, is no leak.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        reel.draw(folder)
        shown = reel.Reel(folder)
        camera = CameraProcess(folder)
        stack.callback(camera.kill)
        proxy = stack.enter_context(FaultyProxy(camera.port, seed))
        segmenter = StreamSegmenter.from_config(config)
        brittle = [BrittleSink(f"{BRITTLE} {number + 1}") for number in range(_BRITTLE_SINKS)]
        for _ in segmenter.run(_url(proxy), SENTENCE, max_frames=_WARM_FRAMES):
            pass
        judge = Judge(shown)
        bench = Bench(camera, proxy, segmenter, judge, random.Random(seed), brittle, SENTENCE)
        return _perform(bench, output, script)


def _perform(bench: Bench, output: Path, script: Script) -> Outcome:
    start, begun_s, census = vitals.now(), time.monotonic(), vitals.census()
    outcome = Outcome(bench.judge, start, start, start, 0.0)
    beside = threading.Thread(target=_beside, args=(bench, script, outcome), name="mischief")
    with vitals.Watch() as watch:
        try:
            _draw(bench, output, outcome, beside)
        except Exception:  # noqa: BLE001 - that nothing is raised is what is measured
            outcome.crash = traceback.format_exc()
        bench.stopping.set()
        beside.join()
        outcome.summary = bench.segmenter.summary()
        outcome.seconds = time.monotonic() - begun_s
        outcome.peak, outcome.settled, outcome.course = watch.peak, watch.settled, watch.course
    bench.proxy.drop()  # the sockets of those who fell silent are the proxy's, in this process
    outcome.end = _let_go(start)
    outcome.left = vitals.census() - census
    return outcome


def _draw(bench: Bench, output: Path, outcome: Outcome, beside: threading.Thread) -> None:
    def tell(event: Event) -> None:
        outcome.events[event.kind] += 1
        outcome.told.setdefault(event.kind, event.message)

    written = [*sinks.build(bench.segmenter.config.sinks, output), *bench.sinks]
    results = bench.segmenter.run(_url(bench.proxy), bench.sentence, sinks=written, on_event=tell)
    beside.start()
    for result in results:
        bench.judge.see(result)


def _beside(bench: Bench, script: Script, outcome: Outcome) -> None:
    try:
        bench.judge.wait_for_masks()
        outcome.done = script(bench)
    except Exception:  # noqa: BLE001 - told with the run's own
        outcome.crash = traceback.format_exc()
    finally:
        bench.segmenter.stop()


def _let_go(start: Vitals) -> Vitals:
    """The vitals once threads and files are back to what they were, or will never be."""
    deadline_s = time.monotonic() + _LET_GO_S
    while (end := vitals.now()).threads > start.threads or end.files > start.files:
        if time.monotonic() > deadline_s:
            break
        time.sleep(0.2)
    return end


def _url(proxy: FaultyProxy) -> str:
    return f"tcp://127.0.0.1:{proxy.port}"
