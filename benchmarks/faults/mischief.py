"""What can go wrong with a live stream, a function each; knows nothing of what is judged by it."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import psutil

from streamseg import StreamSegmenter
from streamseg.benchmarks.faults.camera import CameraProcess
from streamseg.benchmarks.faults.judge import Judge
from streamseg.benchmarks.faults.proxy import FaultyProxy
from streamseg.benchmarks.faults.reel import ABSENT, SENTENCES, SIZES
from streamseg.types import FrameResult, SourceInfo

_REASONER = "streamseg.reasoning.worker.main"


class BrittleSink:
    """A sink that works until `broken` is set."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.broken = threading.Event()

    def open(self, info: SourceInfo, query: str) -> None:
        """Nothing to get ready."""

    def write(self, result: FrameResult) -> None:
        if self.broken.is_set():
            raise OSError(28, "No space left on device")

    def close(self, summary: Mapping[str, Any]) -> None:
        """Nothing to finish."""


@dataclass
class Bench:
    """A run under way and all that can be done to it.

    Attributes:
        size: Which of `reel.SIZES` the camera shows.
        sentence: The one in force.
        sinks: Those that have not been broken yet.
    """

    camera: CameraProcess
    proxy: FaultyProxy
    segmenter: StreamSegmenter
    judge: Judge
    rng: random.Random
    sinks: list[BrittleSink]
    sentence: str
    size: tuple[int, int] = SIZES[0]
    stopping: threading.Event = field(default_factory=threading.Event)

    def rest(self, low_s: float, high_s: float) -> None:
        """Some time between the two, or until the run is to end."""
        self.stopping.wait(self.rng.uniform(low_s, high_s))

    def ask_for(self, sentence: str) -> None:
        self.sentence = sentence
        self.segmenter.set_query(sentence)


def drop(bench: Bench) -> None:
    """The connection is reset; the camera is still there."""
    with bench.judge.trouble("drop", new_showing=True):
        bench.proxy.drop()


def stall(bench: Bench) -> None:
    """Nothing comes for a while, too short or long enough to be taken for dead."""
    with bench.judge.trouble("stall", new_showing=False):
        bench.proxy.stall()
        bench.rest(0.5, 7.0)
        bench.proxy.resume()


def flip(bench: Bench) -> None:
    """A bad cable: a bit in every few kilobytes is wrong."""
    with bench.judge.trouble("flip", new_showing=False):
        bench.proxy.flip(bench.rng.choice((300, 3_000, 30_000)))
        bench.rest(1.0, 5.0)
        bench.proxy.flip(None)


def garbage(bench: Bench) -> None:
    """Bytes in the stream that nobody meant."""
    with bench.judge.trouble("garbage", new_showing=False):
        for _ in range(bench.rng.randint(1, 4)):
            bench.proxy.slip_in(bench.rng.randbytes(bench.rng.randint(1, 50_000)))
            bench.rest(0.1, 0.5)


def resize(bench: Bench) -> None:
    """Another resolution in the middle of the stream."""
    bench.size = SIZES[1 - SIZES.index(bench.size)]
    with bench.judge.trouble("resize", new_showing=False):
        bench.camera.resize(bench.size)
        bench.rest(0.2, 0.2)


def restart(bench: Bench) -> None:
    """The camera dies and is started again."""
    with bench.judge.trouble("restart", new_showing=True):
        bench.camera.kill()
        bench.size = SIZES[0]
        bench.rest(0.2, 6.0)
        bench.camera.start()


def vanish(bench: Bench) -> None:
    """The camera's machine loses power: nobody says so, and nobody answers."""
    with bench.judge.trouble("vanish", new_showing=True):
        bench.proxy.fall_silent()
        bench.rest(1.0, 10.0)
        bench.proxy.come_back()


def query(bench: Bench) -> None:
    """Something else is asked for, now and then what is not there."""
    bench.judge.disturb()
    if bench.rng.random() < 0.3:
        bench.ask_for(ABSENT)
        bench.rest(0.5, 3.0)
    bench.ask_for(bench.rng.choice([each for each in SENTENCES if each != ABSENT]))


def kill_reasoner(bench: Bench) -> None:
    """SIGKILL to the reasoning process."""
    bench.judge.disturb()
    _to_reasoner(signal.SIGKILL)


def freeze_reasoner(bench: Bench) -> None:
    """The reasoning process stands still for seconds."""
    bench.judge.disturb()
    pids = _to_reasoner(signal.SIGSTOP)
    bench.rest(0.5, 5.0)
    for pid in pids:
        _send(pid, signal.SIGCONT)


def break_sink(bench: Bench) -> None:
    """One of the sinks cannot write any more."""
    if bench.sinks:
        bench.sinks.pop().broken.set()


FAULTS: dict[str, Callable[[Bench], None]] = {
    "drop": drop,
    "stall": stall,
    "flip": flip,
    "garbage": garbage,
    "resize": resize,
    "restart": restart,
    "vanish": vanish,
    "query": query,
    "kill reasoner": kill_reasoner,
    "freeze reasoner": freeze_reasoner,
    "break sink": break_sink,
}


def make_mischief(bench: Bench, seconds: float, pace_s: float, patience_s: float) -> dict[str, int]:
    """One fault after another for so long; then let the stream come back.

    Every fault comes about equally often, in an order of the random generator's own.

    Args:
        pace_s: Quiet time between two, on average.
        patience_s: How long to wait for pictures and masks, mostly, before the next.

    Returns:
        How often each was done.
    """
    done = dict.fromkeys(FAULTS, 0)
    waiting: list[str] = []
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s and not bench.stopping.is_set():
        if not waiting:
            waiting = list(FAULTS)
            bench.rng.shuffle(waiting)
        name = waiting.pop()
        FAULTS[name](bench)
        done[name] += 1
        if bench.rng.random() < 0.8:  # else the next comes before all is well
            bench.judge.wait_until_back(patience_s)
        bench.rest(0.2 * pace_s, 1.8 * pace_s)
    bench.judge.wait_until_back(patience_s)
    return done


def _to_reasoner(number: signal.Signals) -> list[int]:
    """Send it to the reasoning processes of this process."""
    found = []
    for child in psutil.Process().children():
        try:
            if _REASONER in child.cmdline():
                found.append(child.pid)
        except psutil.Error:
            continue  # it has just ended
    for pid in found:
        _send(pid, number)
    return found


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):  # it has been given up and ended meanwhile
        os.kill(pid, number)
