"""The worker process: reads requests, lets the reasoner answer, one at a time.

Its standard input ends when the parent does, and then so does it. Its standard output carries
replies alone: whatever a library prints goes to standard error.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Sequence

import cv2

from streamseg import reasoning
from streamseg.config import ReasoningConfig
from streamseg.errors import ReasoningError, StreamSegError
from streamseg.reasoning import GroundingRequest, Locator, Reasoner, Witness
from streamseg.reasoning.worker import wire
from streamseg.reasoning.worker.slab import SlabView
from streamseg.types import Grounding, GroundingMode, Speed

Send = Callable[[bytes], None]
Factory = Callable[[ReasoningConfig, Speed], Reasoner]


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until the input ends; 1 when the reasoner cannot be loaded."""
    options = _parse(arguments)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _give_way()
    cv2.setNumThreads(1)
    send = _claim_output()
    inbox: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_read_input, args=(inbox,), daemon=True).start()
    config = ReasoningConfig.model_validate_json(options.config)
    try:
        reasoner = _load(options.factory)(config, Speed(options.speed))
    except StreamSegError as error:
        send(wire.encode(wire.Unable(message=_cut(error))))
        return 1
    send(wire.encode(wire.Ready()))
    slab = SlabView(options.slab)
    while True:
        send(_answer(reasoner, inbox.get(), slab))


def _give_way() -> None:
    """Never push aside a thread that runs, as the frame loop's, when waking up (SCHED_BATCH).

    The share of the cores stays whole. A lower priority (nice) would leave it to every busy program
    on the machine, not to the loop: at 5, beside four of them, a start took six times as long.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # a sandbox may forbid it
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def _answer(reasoner: Reasoner, line: bytes, slab: SlabView) -> bytes:
    serial, request = wire.decode_request(line, slab.image)
    try:
        return wire.encode_grounding(serial, _ground(reasoner, request))
    except ReasoningError as error:
        return wire.encode(wire.Refusal(serial=serial, message=_cut(error)))
    except Exception as error:  # noqa: BLE001 - loading a model again costs more than one answer.
        message = f"{type(error).__name__}: {error}"
        return wire.encode(wire.Refusal(serial=serial, message=_cut(message)))


def _ground(reasoner: Reasoner, request: GroundingRequest) -> Grounding:
    match request.mode:
        case GroundingMode.WITNESS:
            return reasoner.witness(request) if isinstance(reasoner, Witness) else Grounding(())
        case GroundingMode.SEGMENT | GroundingMode.FRAME:
            return reasoner.locate(request) if isinstance(reasoner, Locator) else Grounding(())
        case _:
            return reasoner.ground(request)


def _read_input(inbox: queue.SimpleQueue[bytes]) -> None:
    """Feed the inbox; leave at once when the parent is gone, whatever the reasoner is doing."""
    # A reader of its own: one that the interpreter knows, held by this thread, would make a
    # crash of the main thread end in a fatal error about its lock.
    with open(0, "rb", closefd=False) as lines:
        for line in lines:
            inbox.put(line)
    os._exit(0)


def _claim_output() -> Send:
    """Keep standard output for replies and point everything else that prints at standard error."""
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def send(line: bytes) -> None:
        with contextlib.suppress(BrokenPipeError):  # The parent is gone: the input ends too.
            replies.write(line)
            replies.flush()

    return send


def _load(factory: str | None) -> Factory:
    if factory is None:
        return reasoning.build
    module, _, function = factory.partition(":")
    loaded: Factory = getattr(importlib.import_module(module), function)
    return loaded


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", required=True, help="ReasoningConfig as JSON")
    parser.add_argument("--speed", default="fast", help="which of its reasoners: fast or deep")
    parser.add_argument("--slab", type=int, required=True, help="descriptor of the shared memory")
    parser.add_argument("--factory", help="module:function that makes the reasoner instead")
    return parser.parse_args(arguments)


def _cut(message: object) -> str:
    return str(message)[: wire.MAX_MESSAGE_CHARS]


if __name__ == "__main__":
    sys.exit(main())
