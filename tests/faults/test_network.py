"""A run on a real RTSP server whose network fails: cut, silent, noisy, gone, back with another
picture.
"""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest
from live_run import LiveRun, check_breaks, shows_objects
from source_tools import RtspServer

from streamseg.benchmarks.faults.proxy import FaultyProxy
from streamseg.benchmarks.faults.verdict import broken_files

STALL = ("--set", "source.stall_s=1")


def start(proxy: FaultyProxy, folder: Path, *words: str) -> LiveRun:
    return LiveRun(f"rtsp://127.0.0.1:{proxy.port}/live", "the white ball", folder, *words)


def check_end(run: LiveRun, number: signal.Signals) -> None:
    assert run.end(number) == 0, run.told
    assert "Traceback" not in run.told
    assert broken_files(run.output) == []
    check_breaks(run.records())


def test_every_cut_costs_one_epoch_and_the_masks_come_back(
    rtsp_proxy: FaultyProxy, tmp_path: Path
) -> None:
    with start(rtsp_proxy, tmp_path) as run:
        run.wait_for(shows_objects)
        for epoch in range(1, 4):
            rtsp_proxy.drop()
            run.wait_for(lambda record, epoch=epoch: record["epoch"] >= epoch)
        assert run.wait_for(shows_objects, after=run.last)["epoch"] == 3
        check_end(run, signal.SIGINT)
        assert {record["epoch"] for record in run.records()} == {0, 1, 2, 3}


def test_a_silence_is_told_of_and_outlived(rtsp_proxy: FaultyProxy, tmp_path: Path) -> None:
    with start(rtsp_proxy, tmp_path, *STALL) as run:
        run.wait_for(shows_objects)
        rtsp_proxy.stall()
        run.until(lambda: "connecting again" in run.told)
        rtsp_proxy.resume()
        run.wait_for(lambda record: record["epoch"] > 0 and shows_objects(record))
        check_end(run, signal.SIGTERM)


def test_a_stop_is_heard_in_a_silence(rtsp_proxy: FaultyProxy, tmp_path: Path) -> None:
    with start(rtsp_proxy, tmp_path) as run:
        run.wait_for(shows_objects)
        rtsp_proxy.stall()
        time.sleep(0.5)
        check_end(run, signal.SIGINT)


@pytest.mark.parametrize("every_bytes", [2_000, 100])
def test_wrong_bits_and_strange_bytes_end_nothing(
    rtsp_proxy: FaultyProxy, tmp_path: Path, every_bytes: int
) -> None:
    """A bit here and there hits pictures; many hit the words of RTSP too, also of reconnects."""
    with start(rtsp_proxy, tmp_path, *STALL) as run:
        run.wait_for(shows_objects)
        rtsp_proxy.flip(every_bytes)
        time.sleep(3.0)
        rtsp_proxy.slip_in(bytes(range(256)) * 40)
        time.sleep(1.0)
        rtsp_proxy.flip(None)
        healed = run.last
        run.wait_for(lambda record: shows_objects(record), after=healed + 15)
        check_end(run, signal.SIGTERM)


def test_a_server_that_comes_back_with_another_picture(
    rtsp: RtspServer, rtsp_proxy: FaultyProxy, tmp_path: Path
) -> None:
    with start(rtsp_proxy, tmp_path) as run:
        run.wait_for(shows_objects)
        rtsp.kill()
        run.until(lambda: "connecting again" in run.told)
        rtsp.restart((384, 216))
        run.wait_for(lambda record: record["epoch"] > 0 and shows_objects(record))
        check_end(run, signal.SIGINT)
        shapes = {
            item["mask"].shape: record["epoch"]
            for record in run.records()
            for item in record["objects"]
        }
        assert set(shapes) == {(240, 320), (216, 384)}
        assert shapes[240, 320] < shapes[216, 384]


def test_a_stop_is_heard_while_the_camera_is_away(rtsp_proxy: FaultyProxy, tmp_path: Path) -> None:
    with start(rtsp_proxy, tmp_path) as run:
        run.wait_for(shows_objects)
        rtsp_proxy.refuse()
        run.until(lambda: run.told.count("connecting again") >= 2)
        check_end(run, signal.SIGINT)


def test_a_camera_that_takes_the_call_and_says_nothing_is_one_line(
    rtsp_proxy: FaultyProxy, tmp_path: Path
) -> None:
    rtsp_proxy.fall_silent()
    with start(rtsp_proxy, tmp_path, "--set", "source.connect_timeout_s=2") as run:
        assert run.process.wait(90) == 1
        assert run.told.count("\n") == 1
        assert "no answer within 2 s" in run.told
        assert not list(run.output.glob("*"))
