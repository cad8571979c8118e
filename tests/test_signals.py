"""Signals in this process: the first asks, the second aborts, the last word is an exit code."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

import pytest

from streamseg.signals import NUMBERS, Aborted, StopSignals


@pytest.mark.parametrize("number", NUMBERS)
def test_the_first_stops_and_the_second_aborts(number: signal.Signals) -> None:
    calls: list[str] = []
    before = signal.getsignal(number)
    signals = StopSignals()
    with signals.heard_by(lambda: calls.append("stop")):
        assert not signals.received
        signal.raise_signal(signal.SIGINT)
        assert signals.received
        with pytest.raises(Aborted) as aborted:
            signal.raise_signal(number)
    assert calls == ["stop"]
    assert aborted.value.exit_code == 128 + number
    assert not aborted.value.first
    assert signal.getsignal(number) is before


def test_where_nothing_can_be_stopped_the_first_aborts() -> None:
    signals = StopSignals()
    with signals.installed():
        with pytest.raises(Aborted) as aborted:
            signal.raise_signal(signal.SIGTERM)
        assert aborted.value.first
        assert signals.aborted is aborted.value
        calls: list[str] = []
        with signals.heard_by(lambda: calls.append("stop")):
            assert calls == ["stop"]  # a library may have swallowed what was raised


def test_other_threads_leave_signals_alone() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def enter() -> None:
        with StopSignals().installed():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert seen == [before]


def test_a_hangup_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopSignals().installed():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_once_all_is_done_a_signal_changes_no_exit_code() -> None:
    program = """
import signal
from streamseg.signals import SIGNALS
with SIGNALS.installed():
    SIGNALS.leave_with(7)
signal.raise_signal(signal.SIGTERM)
"""
    done = subprocess.run([sys.executable, "-c", program], check=False, timeout=60)
    assert done.returncode == 7
