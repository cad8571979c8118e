"""Who goes first when processor cores are short: the loop before all that may wait.

Knows the system's scheduler alone, not what the threads do. Where the system has no such thing
(macOS, Windows, a sandbox that forbids it) nothing happens.
"""

from __future__ import annotations

import contextlib
import os
import sys


def give_way() -> None:
    """Let the calling thread wait for those that are in a hurry, at its full share of the cores.

    SCHED_BATCH: when it wakes it does not push aside a thread that runs, as the frame loop's.
    Its share stays what it is. A lower priority (nice) would cut that too, in favour of every
    other program on the machine: between four busy ones a reasoner at nice 5 took 24 s to start,
    and a thread that holds the interpreter's lock while it waits for a core stops the loop.

    Threads and processes that the thread starts afterwards inherit it.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def gives_way(native_id: int) -> bool:
    """Whether a thread, by its native id, has given way."""
    return sys.platform == "linux" and os.sched_getscheduler(native_id) == os.SCHED_BATCH
