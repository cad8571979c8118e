"""A source whose connections end again and again leaves nothing of them behind."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator

import pytest
from source_tools import read_until, wait_until

from streamseg.benchmarks.faults import vitals
from streamseg.benchmarks.faults.proxy import FaultyProxy
from streamseg.clock import RealClock
from streamseg.config import SourceConfig
from streamseg.sources import open_source

Way = Callable[[FaultyProxy], None]


@pytest.fixture
def no_collector() -> Iterator[None]:
    """What only the search for cycles would free stays: a run may go for minutes without one."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def refuse(proxy: FaultyProxy) -> None:
    proxy.refuse()
    proxy.come_back()


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("way", [FaultyProxy.drop, refuse])
def test_threads_and_files_of_a_lost_connection_go_with_it(proxy: FaultyProxy, way: Way) -> None:
    source = open_source(f"tcp://127.0.0.1:{proxy.port}", SourceConfig(), RealClock())
    try:
        epoch = read_until(source, lambda frame: frame.index > 5).epoch
        begun = vitals.census()
        for _ in range(4):
            way(proxy)
            epoch = read_until(source, lambda frame, seen=epoch: frame.epoch > seen, 60.0).epoch
        wait_until(lambda: not vitals.census() - begun, 20.0)
    finally:
        source.close()
