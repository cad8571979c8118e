"""The worker with a real process on the other side: good answers, and every way to have none."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from streamseg.clock import Clock, RealClock, VirtualClock
from streamseg.config import ReasoningConfig
from streamseg.errors import ReasoningError
from streamseg.reasoning import GroundingRequest
from streamseg.reasoning.worker.client import ReasoningWorker, Reply
from streamseg.types import Event, Frame, GroundingMode

PATIENCE_S = 30.0
"""Ends a broken test; no working one waits for it."""
QUICK = {"restart_s": 0.01, "restart_cap_s": 0.02, "deadline_s": 20.0}

Make = Callable[..., ReasoningWorker]

HELPERS = Path(__file__).parents[1]


def frame(index: int, width: int = 64, height: int = 48, grey: int = 0) -> Frame:
    """A grey picture with a white square whose left edge is at `index`."""
    image = np.full((height, width, 3), grey, np.uint8)
    image[10:20, index : index + 10] = 255
    return Frame(index=index, pts_ns=index * 40_000_000, epoch=0, image=image)


def request(text: str, target: Frame | None = None) -> GroundingRequest:
    target = frame(5) if target is None else target
    return GroundingRequest(text=text, target=target, segment=(target,))


def ask(worker: ReasoningWorker, text: str, tag: int = 0, target: Frame | None = None) -> Reply:
    worker.submit(request(text, target), tag)
    reply = worker.wait(PATIENCE_S)
    assert reply is not None
    assert reply.tag == tag
    return reply


def eventually(condition: Callable[[], bool]) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end_s, "never came true"
        time.sleep(0.005)


def dead(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch, events: list[Event]) -> Iterator[Make]:
    """Starts workers whose process finds the scripted reasoner, and closes them."""
    monkeypatch.syspath_prepend(str(HELPERS))
    made: list[ReasoningWorker] = []

    def make(
        factory: str | None = "scripted", clock: Clock | None = None, **config: object
    ) -> ReasoningWorker:
        worker = ReasoningWorker(
            ReasoningConfig.model_validate({**QUICK, **config}),
            clock or RealClock(),
            events.append,
            factory=factory and f"scripted_reasoner:{factory}",
        )
        made.append(worker)
        worker.start()
        return worker

    yield make
    for worker in made:
        worker.close()


def test_pixels_and_words_cross_and_the_answer_comes_back(make: Make) -> None:
    worker = make()
    target, later, reference = frame(7, grey=40), frame(9, grey=90), frame(1)
    asked = GroundingRequest(
        text="the white square",
        target=target,
        segment=(target, later),
        references=(reference, later),
        mode=GroundingMode.FAST,
        token_budget=33,
    )
    worker.submit(asked, tag=12)
    busy_before = worker.busy
    reply = worker.wait(PATIENCE_S)
    assert reply is not None
    assert reply.error is None
    assert reply.grounding is not None
    assert reply.tag == 12
    (found,) = reply.grounding.targets
    assert found.box == (7.0, 10.0, 17.0, 20.0)
    assert found.score == pytest.approx(0.5)
    means = [int(picture.image.mean()) for picture in asked.segment]
    assert reply.grounding.reasoning == (
        f"target=7; segment=[7, 9]; references=[1, 9]; means={means}; "
        f"mode=fast budget=33; niceness={os.nice(0)} batch={sys.platform == 'linux'}"
    )
    assert (busy_before, worker.busy) == (True, False)
    assert worker.poll() is None


def test_one_process_answers_many_and_the_slab_grows_for_larger_pictures(make: Make) -> None:
    worker = make()
    first_pid = None
    for index, (width, height) in enumerate([(64, 48), (1280, 720), (320, 240), (1920, 1080)]):
        picture = frame(3 + index, width, height)
        reply = ask(worker, "x", index, picture)
        assert reply.grounding is not None
        assert reply.grounding.targets[0].box[0] == 3 + index
        first_pid = first_pid or worker.pid
    assert worker.pid == first_pid


def test_the_reasoner_that_the_config_names_answers_from_its_process(make: Make) -> None:
    image = np.full((180, 320, 3), 120, np.uint8)
    image[60:120, 200:260] = (200, 20, 30)
    image[60:120, 40:100] = (20, 40, 200)
    worker = make(factory=None)
    reply = ask(worker, "the red square", target=Frame(0, 0, 0, image))
    assert reply.error is None
    assert reply.grounding is not None
    assert reply.grounding.targets[0].box == pytest.approx((200, 60, 260, 120), abs=4)


def test_who_cannot_see_by_kind_says_so_and_chooses_nothing(make: Make) -> None:
    worker = make()
    target = frame(5)
    asked = GroundingRequest("the square", target, (target,), mode=GroundingMode.WITNESS)
    worker.submit(asked, 1)
    reply = worker.wait(PATIENCE_S)
    assert reply is not None
    assert reply.grounding is not None
    assert (reply.grounding.targets, reply.grounding.seen) == ((), None)


def test_nothing_there_is_an_answer(make: Make) -> None:
    reply = ask(make(), "none")
    assert reply.error is None
    assert reply.grounding is not None
    assert reply.grounding.targets == ()


def test_what_a_library_prints_does_not_reach_the_protocol(make: Make) -> None:
    assert ask(make(), "print").error is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("refuse", "will not"),
        ("stumble", "ZeroDivisionError: one line of Python too many"),
        ("nan", "finite"),
        ("outside", "expected boxes within 64x48"),
        ("many 17", "expected at most 16 targets"),
    ],
)
def test_an_unusable_answer_is_an_error_and_the_process_lives(
    make: Make, events: list[Event], text: str, words: str
) -> None:
    worker = make()
    reply = ask(worker, text)
    pid = worker.pid
    assert reply.grounding is None
    assert words in (reply.error or "")
    assert ask(worker, "x").error is None
    assert worker.pid == pid
    assert events == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("crash", "exited with code 3"),
        ("segfault", "was ended by SIGSEGV"),
        ("garbage {}", "spoke nonsense"),
        ('garbage {"type": "answer", "serial": 99}', "spoke nonsense"),
        ('garbage {"type": "refusal", "serial": 99, "message": ""}', "answered 99, was asked 0"),
        ('garbage {"type": "ready"}', "spoke without being asked"),
        ("flood", "sent a line of more than"),
    ],
)
def test_a_broken_process_costs_an_error_and_is_replaced(
    make: Make, events: list[Event], text: str, words: str
) -> None:
    worker = make()
    assert worker.wait_ready(PATIENCE_S)
    pid = worker.pid
    reply = ask(worker, text)
    assert words in (reply.error or "")
    assert ask(worker, "x").error is None
    assert pid is not None
    assert dead(pid)
    assert [event.kind for event in events] == ["reasoning_failed"]
    assert words in events[0].message


def test_a_hang_is_ended_at_the_deadline(make: Make) -> None:
    worker = make(deadline_s=1.0)
    assert worker.wait_ready(PATIENCE_S)
    pid = worker.pid
    reply = ask(worker, "hang")
    assert "did not answer within 1 s (reasoning.fast.deadline_s)" in (reply.error or "")
    assert pid is not None
    assert dead(pid)
    assert ask(worker, "x").error is None


def test_a_process_killed_while_idle_is_replaced(make: Make, events: list[Event]) -> None:
    worker = make()
    assert ask(worker, "x").error is None
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)
    eventually(lambda: len(events) == 1)
    assert "SIGKILL" in events[0].message
    assert ask(worker, "x").error is None


def test_the_newest_request_wins_and_the_older_answer_is_dropped(make: Make) -> None:
    worker = make()
    assert worker.wait_ready(PATIENCE_S)
    worker.submit(request("slow 0.3", frame(1)), tag=1)
    time.sleep(0.1)
    worker.submit(request("x", frame(20)), tag=2)
    worker.submit(request("x", frame(30)), tag=3)
    reply = worker.wait(PATIENCE_S)
    assert reply is not None
    assert reply.tag == 3
    assert reply.grounding is not None
    assert reply.grounding.targets[0].box[0] == 30
    assert worker.stale_answers == 1
    assert worker.poll() is None


def test_a_request_behind_a_cancelled_hang_is_served_after_the_deadline(make: Make) -> None:
    worker = make(deadline_s=1.0)
    assert worker.wait_ready(PATIENCE_S)
    worker.submit(request("hang"), tag=1)
    time.sleep(0.05)
    reply = ask(worker, "x", tag=2)
    assert reply.error is None


def test_cancel_wants_no_reply(make: Make) -> None:
    worker = make()
    worker.submit(request("x"), tag=1)
    worker.cancel()
    assert not worker.busy
    assert worker.wait(PATIENCE_S) is None
    assert ask(worker, "x", tag=2).tag == 2


def test_cancel_ends_a_wait_in_another_thread(make: Make) -> None:
    worker = make()
    worker.submit(request("hang"), tag=1)
    replies: list[Reply | None] = []
    waiter = threading.Thread(target=lambda: replies.append(worker.wait(PATIENCE_S)))
    waiter.start()
    worker.cancel()
    waiter.join(PATIENCE_S)
    assert replies == [None]


def test_wait_gives_up(make: Make) -> None:
    worker = make()
    worker.submit(request("hang"), tag=1)
    assert worker.wait(0.05) is None
    assert worker.busy


def test_crash_after_crash_means_degraded_and_then_it_is_tried_again(
    make: Make, events: list[Event]
) -> None:
    worker = make("scripted", crash_limit=3, degraded_retry_s=1.0)
    for _ in range(3):
        assert ask(worker, "crash").error is not None
    assert worker.state == "degraded"
    assert "degraded; next try in" in (ask(worker, "x").error or "")
    assert worker.wait_ready(PATIENCE_S)
    assert ask(worker, "x").error is None
    kinds = [event.kind for event in events]
    assert kinds == [*["reasoning_failed"] * 3, "reasoning_degraded", "reasoning_restored"]


@pytest.mark.parametrize(
    ("factory", "words"),
    [
        ("stillborn", "exited with code 7"),
        ("unable", "cannot load its model: expected weights at nowhere"),
        ("missing_function", "AttributeError"),
        ("sleepy", "was not ready within 0.5 s (reasoning.fast.start_timeout_s)"),
    ],
)
def test_a_reasoner_that_cannot_be_loaded(
    make: Make, events: list[Event], factory: str, words: str
) -> None:
    worker = make(factory, crash_limit=1, start_timeout_s=0.5 if factory == "sleepy" else 60.0)
    assert words in (ask(worker, "x").error or "")
    assert worker.state == "degraded"


def test_an_injected_delay_holds_the_reply_back_on_a_real_clock(make: Make) -> None:
    clock = RealClock()
    worker = make(clock=clock, delay_s=0.4)
    assert worker.wait_ready(PATIENCE_S)
    worker.submit(request("x"), tag=1)
    reply = None
    while reply is None:
        before_ns = clock.now_ns()
        reply = worker.poll()
    assert before_ns <= clock.now_ns()
    assert reply.due_ns == reply.submitted_ns + 400_000_000
    assert clock.now_ns() >= reply.due_ns > reply.finished_ns
    waited = ask(worker, "x", tag=2)
    assert clock.now_ns() >= waited.due_ns


def test_on_a_virtual_clock_computing_takes_no_time(make: Make) -> None:
    clock = VirtualClock()
    clock.frame_arrived(0)
    clock.frame_arrived(2_000_000_000)
    worker = make(clock=clock, delay_s=1.5)
    reply = ask(worker, "slow 0.05")
    assert (reply.submitted_ns, reply.finished_ns) == (2_000_000_000, 2_000_000_000)
    assert reply.due_ns == 3_500_000_000


def test_an_overlong_query_is_refused_at_once(make: Make) -> None:
    worker = make(max_query_chars=10)
    with pytest.raises(ReasoningError, match="at most 10 characters"):
        worker.submit(request("x" * 11), tag=1)
    assert not worker.busy


@pytest.mark.parametrize("text", ["x", "hang"])
def test_close_ends_the_process_and_leaves_no_descriptor(make: Make, text: str) -> None:
    before = len(os.listdir("/proc/self/fd"))
    worker = make()
    assert worker.wait_ready(PATIENCE_S)
    worker.submit(request(text), tag=1)
    pid = worker.pid
    worker.close()
    worker.close()
    assert worker.state == "closed"
    assert pid is not None
    assert dead(pid)
    assert len(os.listdir("/proc/self/fd")) == before
    with pytest.raises(ReasoningError, match="closed"):
        worker.submit(request("x"), tag=2)


def test_close_before_start_and_while_starting(make: Make) -> None:
    before = len(os.listdir("/proc/self/fd"))
    ReasoningWorker(ReasoningConfig(), RealClock()).close()
    worker = make("sleepy")
    eventually(lambda: worker.pid is not None)
    worker.close()
    assert worker.state == "closed"
    assert len(os.listdir("/proc/self/fd")) == before


PARENT = """
    import os, signal, sys, time
    import numpy as np
    from streamseg.clock import RealClock
    from streamseg.config import ReasoningConfig
    from streamseg.reasoning import GroundingRequest
    from streamseg.reasoning.worker.client import ReasoningWorker
    from streamseg.types import Frame

    worker = ReasoningWorker(ReasoningConfig(), RealClock(), factory="scripted_reasoner:scripted")
    worker.start()
    frame = Frame(0, 0, 0, np.full((48, 64, 3), 255, np.uint8))
    worker.submit(GroundingRequest("x", frame, (frame,)), 0)
    assert worker.wait(30.0).error is None
    print(worker.pid, flush=True)
    if sys.argv[1] == "killed":
        worker.submit(GroundingRequest("hang", frame, (frame,)), 1)
        time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("how", ["killed", "forgotten"])
def test_the_process_does_not_outlive_its_parent(how: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(PARENT), how],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *sys.path]),
        },
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert ended.stderr == b""
    assert ended.returncode == (-signal.SIGKILL if how == "killed" else 0)
    eventually(lambda: dead(int(ended.stdout)))


WORKER_MODULES = """
import sys
from streamseg.config import ReasoningConfig
from streamseg.reasoning import build
from streamseg.reasoning.worker import main
build(ReasoningConfig())
print(*sorted({name.partition(".")[0] for name in sys.modules}))
print(*sorted(name for name in sys.modules if name.startswith("streamseg.")))
"""


def test_the_process_loads_only_what_it_answers_with() -> None:
    """Its start is the wait before the first mask: everything imported there is paid for."""
    done = subprocess.run(
        [sys.executable, "-c", WORKER_MODULES],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    packages, ours = (set(line.split()) for line in done.stdout.splitlines())
    assert packages & {"cv2", "numpy"} == {"cv2", "numpy"}
    heavy = {"scipy", "torch", "transformers", "av", "rich", "PIL", "onnxruntime", "gi"}
    assert not packages & heavy
    rooms = {name.split(".")[1] for name in ours}
    assert rooms <= {
        "reasoning",
        "borders",
        "config",
        "errors",
        "masking",
        "referents",
        "types",
        "version",
        "vocabulary",
    }
