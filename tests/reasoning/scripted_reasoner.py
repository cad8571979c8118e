"""Reasoners for the worker's tests: they do what the query tells them, good or bad."""

from __future__ import annotations

import os
import signal
import sys
import time

import numpy as np

from streamseg.config import ReasoningConfig
from streamseg.errors import CheckpointError, ReasoningError
from streamseg.reasoning import GroundingRequest, Reasoner
from streamseg.types import Grounding, Speed, Target


class ScriptedReasoner:
    """Boxes the white pixels of the target frame, after doing what the query's first word says."""

    def ground(self, request: GroundingRequest) -> Grounding:
        word, _, rest = request.text.partition(" ")
        match word:
            case "crash":
                os._exit(3)
            case "segfault":
                os.kill(os.getpid(), signal.SIGSEGV)
            case "hang":
                time.sleep(3600)
            case "slow":
                time.sleep(float(rest))
            case "print":
                print("noise on standard output")
            case "garbage":
                _write_to_every_pipe(rest.encode() + b"\n")
            case "flood":
                _write_to_every_pipe(b"x" * 3_000_000)
            case "refuse":
                raise ReasoningError("will not")
            case "stumble":
                raise ZeroDivisionError("one line of Python too many")
            case "nan":
                return Grounding((Target((0.0, 0.0, float("nan"), 1.0)),))
            case "outside":
                return Grounding((Target((-50.0, -50.0, -10.0, -10.0)),))
            case "many":
                return Grounding((Target((0.0, 0.0, 9.0, 9.0)),) * int(rest))
            case "none":
                return Grounding((), "nothing here")
        return _box_white(request)


def _box_white(request: GroundingRequest) -> Grounding:
    rows, columns = np.nonzero(request.target.image.min(axis=2) == 255)
    box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    said = [
        f"target={request.target.index}",
        f"segment={[frame.index for frame in request.segment]}",
        f"references={[frame.index for frame in request.references]}",
        f"means={[int(frame.image.mean()) for frame in request.segment]}",
        f"mode={request.mode.value} budget={request.token_budget}",
        f"niceness={os.nice(0)} batch={_is_batch()}",
    ]
    # numpy's numbers on purpose: reasoners hand them out without noticing.
    score = np.float32(0.5)
    target = Target(box, score=score, label="white")  # type: ignore[arg-type]
    return Grounding((target,), "; ".join(said), 7)


def _is_batch() -> bool:
    return sys.platform == "linux" and os.sched_getscheduler(0) == os.SCHED_BATCH


def _write_to_every_pipe(text: bytes) -> None:
    for fd in range(1, 32):
        try:
            if fd != 2 and os.readlink(f"/proc/self/fd/{fd}").startswith("pipe:"):
                os.write(fd, text)
        except OSError:
            continue


def scripted(config: ReasoningConfig, speed: Speed) -> Reasoner:
    return ScriptedReasoner()


def stillborn(config: ReasoningConfig, speed: Speed) -> Reasoner:
    os._exit(7)


def unable(config: ReasoningConfig, speed: Speed) -> Reasoner:
    raise CheckpointError("expected weights at nowhere, found none: fetch them")


def sleepy(config: ReasoningConfig, speed: Speed) -> Reasoner:
    time.sleep(3600)
    raise AssertionError
