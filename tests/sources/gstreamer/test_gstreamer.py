"""Real GStreamer pipelines: exact pixels, live or not, and what does not run."""

from __future__ import annotations

import builtins
import subprocess
import sys
import threading
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from picture_tools import RED, close_to, colour_of, disc_at, scene, transparent_below, write_scene
from source_tools import Events, counted, number_of, read_all, read_until, write_video

from streamseg.clock import RealClock
from streamseg.config import SourceConfig
from streamseg.errors import MissingDependencyError, SourceError, SourceSpecError
from streamseg.sources import Source, StreamEnded, open_source
from streamseg.sources.gstreamer.pipeline import complete


def opened(pipeline: str, events: Events | None = None, **config: object) -> Source:
    events = Events() if events is None else events
    return open_source(f"gst:{pipeline}", SourceConfig.model_validate(config), RealClock(), events)


@pytest.mark.parametrize("size", [(320, 240), (321, 241), (322, 3), (17, 16)])
def test_rows_are_exact_at_any_width(tmp_path: Path, size: tuple[int, int]) -> None:
    """Known raw pictures through GStreamer, whose RGB rows are padded to four bytes."""
    width, height = size
    random = np.random.default_rng(1)
    images = random.integers(0, 255, (3, height, width, 3), np.uint8)
    padded = np.zeros((3, height, -(-width * 3 // 4) * 4), np.uint8)
    padded[:, :, : width * 3] = images.reshape(3, height, width * 3)
    path = tmp_path / "raw.rgb"
    path.write_bytes(padded.tobytes())
    source = opened(
        f"filesrc location={path} blocksize={padded[0].nbytes} "
        f"! video/x-raw,format=RGB,width={width},height={height},framerate=25/1"
    )
    assert (source.info.width, source.info.height, source.info.fps) == (width, height, 25.0)
    frames = read_all(source)
    source.close()
    assert len(frames) == 3
    for frame, image in zip(frames, images, strict=True):
        assert frame.image.flags.c_contiguous
        np.testing.assert_array_equal(frame.image, image)


def test_a_finite_pipeline_drops_nothing() -> None:
    source = opened("videotestsrc num-buffers=40 pattern=red ! video/x-raw,framerate=20/1")
    assert not source.info.live
    time.sleep(0.2)  # a slow reader
    frames = read_all(source)
    source.close()
    assert [frame.index for frame in frames] == list(range(40))
    assert [frame.pts_ns for frame in frames] == [i * 50_000_000 for i in range(40)]
    assert (frames[0].image == (255, 0, 0)).all()
    assert source.dropped == {}


def test_a_file_through_gstreamer(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", [counted(i) for i in range(20)])
    source = opened(f"filesrc location={path} ! decodebin")
    assert [number_of(frame.image) for frame in read_all(source)] == list(range(20))
    source.close()


def test_live_keeps_the_newest_and_counts() -> None:
    source = opened("videotestsrc is-live=true ! video/x-raw,framerate=100/1,width=64,height=48")
    assert source.info.live
    first = read_until(source, lambda frame: True)
    time.sleep(0.5)
    later = source.read(1.0)
    assert later is not None
    assert later.index > first.index + 10
    assert later.pts_s - first.pts_s > 0.3
    assert sum(source.dropped.values()) >= later.index - first.index - 1
    source.close()
    with pytest.raises(StreamEnded):
        source.read(0)


def test_a_counted_live_pipeline_ends() -> None:
    source = opened("videotestsrc is-live=true num-buffers=5 ! video/x-raw,framerate=50/1")
    frames = read_all(source)
    assert len(frames) + sum(source.dropped.values()) == 5
    source.close()


def test_realtime_plays_at_its_own_pace() -> None:
    begun_s = time.monotonic()
    pipeline = "videotestsrc num-buffers=20 ! video/x-raw,framerate=50/1"
    source = opened(pipeline, realtime=True)
    assert source.info.live
    frames = read_all(source)
    assert frames[-1].index == 19
    assert time.monotonic() - begun_s > 0.35
    source.close()


@pytest.mark.parametrize(
    "tail",
    [
        " ! appsink",
        " ! videoconvert ! appsink name=mine",
        " ! tee name=t ! queue ! videoconvert ! appsink name=streamseg t. ! queue ! fakesink",
        " !",
    ],
)
def test_an_appsink_of_ones_own(tail: str) -> None:
    source = opened(f"videotestsrc num-buffers=3 ! video/x-raw,width=30,height=20{tail}")
    assert [frame.image.shape for frame in read_all(source)] == [(20, 30, 3)] * 3
    source.close()


def test_the_appsink_is_added_once() -> None:
    assert complete("a ! b").count("appsink") == 1
    assert complete("a ! appsink name=x") == "a ! appsink name=x"
    assert complete("a my-appsink-like=1 !").endswith("sync=false")


def test_caps_that_change_begin_an_epoch(tmp_path: Path) -> None:
    for number, side in enumerate((16, 16, 32)):
        path = tmp_path / f"{number}.png"
        assert cv2.imwrite(str(path), np.full((side, side, 3), 9, np.uint8))
    events = Events()
    source = opened(
        f"multifilesrc location={tmp_path}/%d.png caps=image/png,framerate=5/1 stop-index=2 "
        "! pngdec",
        events,
    )
    frames = read_all(source)
    source.close()
    assert [(frame.epoch, frame.width) for frame in frames] == [(0, 16), (0, 16), (1, 32)]
    assert events.kinds == ["epoch"]


@pytest.mark.parametrize(
    ("pipeline", "words"),
    [
        ("", "needs a pipeline"),
        ("nosuchelement", 'no element "nosuchelement"'),
        ("videotestsrc ! ! fakesink", "syntax error"),
        ("videotestsrc bogus=1", 'no property "bogus"'),
        ("videotestsrc ! fakesink", "could not link"),
        ("videotestsrc ! appsink  videotestsrc ! appsink", "expected one appsink"),
    ],
)
def test_what_does_not_parse(pipeline: str, words: str) -> None:
    with pytest.raises(SourceSpecError, match=words) as caught:
        opened(pipeline)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("pipeline", "words"),
    [
        ("filesrc location=/missing.mp4 ! decodebin", "(?i)not found|no such"),
        ("filesrc location=/etc/hostname ! decodebin", "filesrc|decodebin|typefind"),
        ("v4l2src device=/dev/video7919", "video7919|v4l2src"),
        ("videotestsrc num-buffers=0", "ended without a picture"),
        ("videotestsrc ! video/x-raw,format=I420 ! appsink", "negotiate|flow|format"),
    ],
)
def test_what_does_not_run(pipeline: str, words: str) -> None:
    with pytest.raises(SourceError, match=words) as caught:
        opened(pipeline)
    assert caught.value.exit_code == 1
    assert "\n" not in str(caught.value)


def test_a_pipeline_without_pictures_times_out() -> None:
    with pytest.raises(SourceError, match=r"no picture within 0\.3 s"):
        opened("appsrc is-live=true ! video/x-raw", connect_timeout_s=0.3)


def test_close_ends_a_blocked_read() -> None:
    source = opened(
        "videotestsrc is-live=true ! video/x-raw,framerate=1/5,width=32,height=32", stall_s=60.0
    )
    source.read(1.0)
    closer = threading.Timer(0.1, source.close)
    closer.start()
    begun_s = time.monotonic()
    with pytest.raises(StreamEnded):
        source.read(30.0)
    closer.join(10)
    assert time.monotonic() - begun_s < 2.1


def test_without_pygobject_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    real_import = builtins.__import__

    def no_gi(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "gi" or name.startswith("gi."):
            raise ImportError(name)
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", no_gi)
    with pytest.raises(MissingDependencyError, match="PyGObject") as caught:
        opened("videotestsrc")
    assert caught.value.extra == "gstreamer"
    assert "apt-get install" in str(caught.value)


@pytest.mark.parametrize(
    ("turn", "place"),
    [
        ((90, False), (0.25, 0.75)),
        ((270, False), (0.75, 0.25)),
        ((0, True), (0.75, 0.25)),
    ],
)
def test_orientation_tags_are_honoured(
    tmp_path: Path, turn: tuple[int, bool], place: tuple[float, float]
) -> None:
    degrees, hflip = turn
    film = write_scene(
        tmp_path / "a.mp4",
        "mpeg4",
        "yuv420p",
        prepare=lambda stream: stream.set_display_rotation(degrees, hflip=hflip),
    )
    source = opened(f"filesrc location={film} ! decodebin")
    assert (source.info.width, source.info.height) == ((120, 160) if degrees else (160, 120))
    frame = read_all(source)[0]
    source.close()
    assert disc_at(frame.image) == pytest.approx(place, abs=0.02)
    assert frame.image.flags.c_contiguous


def test_what_alpha_hides_is_not_seen(tmp_path: Path) -> None:
    cv2.imwrite(
        str(tmp_path / "a.png"), cv2.cvtColor(transparent_below(scene()), cv2.COLOR_RGBA2BGRA)
    )
    source = opened(f"filesrc location={tmp_path}/a.png ! pngdec")
    (frame,) = read_all(source)
    source.close()
    assert colour_of(frame.image, 0) == RED
    assert (frame.image[60:] == 128).all()


def test_hlg_is_brought_to_sdr() -> None:
    film = Path(__file__).parents[2] / "data" / "hlg.mov"
    source = opened(f"filesrc location={film} ! decodebin")
    frame = read_all(source)[0]
    source.close()
    assert close_to(colour_of(frame.image, 0), RED, within=6)


def test_ten_bits_of_sdr_and_the_pixels_shape(tmp_path: Path) -> None:
    def prepare(stream: av.VideoStream) -> None:
        stream.codec_context.sample_aspect_ratio = Fraction(2, 1)

    film = write_scene(tmp_path / "a.mp4", "libx264", "yuv420p10le", prepare=prepare)
    source = opened(f"filesrc location={film} ! decodebin")
    assert source.info.pixel_aspect == 2.0
    frame = read_all(source)[0]
    source.close()
    assert close_to(colour_of(frame.image, 0), RED, within=8)


def test_a_picture_larger_than_allowed() -> None:
    with pytest.raises(SourceError, match=r"more than source\.max_pixels allows"):
        opened("videotestsrc num-buffers=1 ! video/x-raw,width=200,height=100", max_pixels=19_999)


AN_ERROR_AFTERWARDS = """
from streamseg.sources.gstreamer.pipeline import load_gst
load_gst()
import onnxruntime
try:
    onnxruntime.InferenceSession(b"no model")
except Exception as error:
    print("caught", type(error).__name__)
"""


def test_errors_of_other_libraries_can_be_caught_after_it() -> None:
    """GStreamer's libunwind must not take over the unwinding of C++ exceptions."""
    done = subprocess.run(
        [sys.executable, "-c", AN_ERROR_AFTERWARDS],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("caught")


def test_a_file_with_an_edit_list_has_the_time_that_it_has_elsewhere(tmp_path: Path) -> None:
    """With B-frames stamps begin later, which the list takes back."""
    film = write_scene(tmp_path / "a.mp4", "libx264", "yuv420p", frames=6)
    source = opened(f"filesrc location={film} ! decodebin")
    through_gst = [frame.pts_ns for frame in read_all(source)]
    source.close()
    source = open_source(str(film), SourceConfig(hwaccel="none"), RealClock())
    plain = [frame.pts_ns for frame in read_all(source)]
    source.close()
    assert through_gst[0] == plain[0] == 0
    assert through_gst == pytest.approx(plain, abs=1000)
