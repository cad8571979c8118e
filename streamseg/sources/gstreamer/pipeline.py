"""Runs one GStreamer pipeline that ends in our appsink and takes pictures from it."""

from __future__ import annotations

import contextlib
import ctypes
import re
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from streamseg.errors import MissingDependencyError, SourceError, SourceSpecError
from streamseg.sources import StreamEnded
from streamseg.sources.connection import Picture
from streamseg.sources.gstreamer.pictures import GstPainter

SINK_NAME = "streamseg"
_CAPS = "video/x-raw,format=(string){RGB,RGBA,GBR_10LE}"
_TAIL = f"videoconvert ! {_CAPS} ! appsink name={SINK_NAME} sync=false"
_APPSINK = re.compile(r"(?<![\w-])appsink(?![\w-])")
_COUNTED = re.compile(r"(?<![\w-])num-buffers\s*=")
_BREATH_S = 0.1
_QUEUE = 8  # pictures that the appsink holds while this thread waits for the processor
_PACKAGES = (
    "GStreamer itself comes from Debian: apt-get install gstreamer1.0-plugins-base "
    "gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly "
    "gstreamer1.0-libav gir1.2-gst-plugins-base-1.0 libgirepository1.0-dev libcairo2-dev"
)


def load_gst() -> tuple[Any, Any]:
    """Import and start GStreamer: its `Gst` and `GstVideo`.

    Raises:
        MissingDependencyError: PyGObject or GStreamer's libraries are not installed.
    """
    _keep_exceptions_of_others()
    try:
        import gi

        for name in ("Gst", "GstApp", "GstVideo"):
            gi.require_version(name, "1.0")
        from gi.repository import Gst, GstApp, GstVideo  # noqa: F401 - appsink's methods
    except (ImportError, ValueError):
        raise MissingDependencyError("PyGObject", "gstreamer", _PACKAGES) from None
    Gst.init(None)
    return Gst, GstVideo


def _keep_exceptions_of_others() -> None:
    """Let GCC's own library go on unwinding the C++ exceptions of what is loaded after GStreamer.

    Debian's GStreamer brings libunwind, whose functions have the same names and are found first:
    after it an exception inside ONNX Runtime or ONNX, caught there every day, ends the process.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            ctypes.CDLL("libgcc_s.so.1", mode=ctypes.RTLD_GLOBAL)


def complete(description: str) -> str:
    """The description with our appsink at its end, unless it has an appsink of its own."""
    description = description.strip().removesuffix("!").strip()
    if _APPSINK.search(description):
        return description
    return f"{description} ! {_TAIL}"


class GstConnection:
    """One running pipeline, its first picture already there."""

    def __init__(
        self,
        description: str,
        *,
        realtime: bool,
        timeout_s: float,
        name: str,
        mask: Callable[[str], str],
        max_pixels: int | None = None,
    ) -> None:
        """Parse, start, and wait for the first picture.

        Args:
            description: As `gst-launch-1.0` takes it.
            realtime: Play what is not live at its own pace.
            timeout_s: Longest wait for the first picture.
            name: For people; holds no password.
            mask: Takes secrets out of GStreamer's words.
            max_pixels: A larger picture is refused; None for any.

        Raises:
            SourceSpecError: It does not parse, or does not end in one appsink.
            SourceError: It does not run, or gives no picture.
        """
        self._gst, self._gst_video = load_gst()
        self._name = name
        self._mask = mask
        self._painter = GstPainter(self._gst, self._gst_video, name, max_pixels)
        self._first: Picture | None = None
        self._counted = _COUNTED.search(description) is not None
        self._pipeline = self._parse(description)
        try:
            self._sink = self._find_sink()
            self._painter.listen(self._sink.get_static_pad("sink"))
            self._bus = self._pipeline.get_bus()
            self.live = self._start(realtime, timeout_s)
            self._first = self._wait_first(timeout_s)
        except BaseException:
            self.close()
            raise

    @property
    def width(self) -> int:
        return self._painter.width

    @property
    def height(self) -> int:
        return self._painter.height

    @property
    def pixel_aspect(self) -> float:
        return self._painter.pixel_aspect

    @property
    def fps(self) -> float | None:
        return self._painter.fps

    @property
    def frame_count(self) -> int | None:
        return None

    def read(self) -> Picture | None:
        """The newest picture (live) or the next one; None when none came for a moment."""
        if self._first is not None:
            picture, self._first = self._first, None
            return picture
        return self._pull(_BREATH_S)

    def close(self) -> None:
        self._pipeline.set_state(self._gst.State.NULL)

    def _parse(self, description: str) -> Any:
        from gi.repository import GLib

        pipeline, why = None, ""
        try:
            pipeline = self._gst.parse_launch(complete(description))
        except GLib.Error as error:
            why = self._clean(error.message)
        if why:  # not while GStreamer's error is handled: it repeats the description
            raise SourceSpecError(
                f"GStreamer cannot make the pipeline {self._name}: {why}; "
                "try it with gst-launch-1.0"
            )
        if not isinstance(pipeline, self._gst.Bin):
            raise SourceSpecError(
                f"{self._name} is one element: expected a pipeline such as videotestsrc ! appsink"
            )
        return pipeline

    def _find_sink(self) -> Any:
        sink = self._pipeline.get_by_name(SINK_NAME)
        if sink is None:
            found = [
                element
                for element in _elements(self._pipeline.iterate_recurse(), self._gst)
                if element.get_factory() and element.get_factory().get_name() == "appsink"
            ]
            sink = found[0] if len(found) == 1 else None
        if sink is None or not hasattr(sink, "try_pull_sample"):
            raise SourceSpecError(
                f"{self._name}: expected one appsink, or one named {SINK_NAME}; leave it out and "
                "it is added"
            )
        return sink

    def _start(self, realtime: bool, timeout_s: float) -> bool:
        """Set it playing; True when its pictures come when they come."""
        gst, sink = self._gst, self._sink
        if sink.get_property("caps") is None:
            sink.set_property("caps", gst.Caps.from_string(_CAPS))
        sink.set_property("max-buffers", _QUEUE)
        sink.set_property("drop", False)
        change = self._pipeline.set_state(gst.State.PAUSED)
        deadline_s = time.monotonic() + timeout_s
        while change == gst.StateChangeReturn.ASYNC and time.monotonic() < deadline_s:
            change = self._pipeline.get_state(int(_BREATH_S * gst.SECOND))[0]
            self._raise_errors()
        self._raise_errors()
        if change == gst.StateChangeReturn.FAILURE:
            raise SourceError(f"{self._name} does not start; try it with gst-launch-1.0")
        live = bool(change == gst.StateChangeReturn.NO_PREROLL)
        if live:
            sink.set_property("drop", True)
        elif realtime:
            sink.set_property("sync", True)
        self._pipeline.set_state(gst.State.PLAYING)
        return live

    def _wait_first(self, timeout_s: float) -> Picture:
        deadline_s = time.monotonic() + timeout_s
        while time.monotonic() < deadline_s:
            try:
                picture = self._pull(_BREATH_S)
            except StreamEnded:
                raise SourceError(
                    f"{self._name} ended without a picture; try it with gst-launch-1.0"
                ) from None
            if picture is not None:
                return picture
        raise SourceError(f"{self._name} gave no picture within {timeout_s:g} s")

    def _pull(self, timeout_s: float) -> Picture | None:
        sample = self._sink.try_pull_sample(int(timeout_s * self._gst.SECOND))
        if sample is None:
            self._raise_errors()
            if self._sink.is_eos():
                raise self._ended()
            return None
        skipped = 0
        while self.live and (newer := self._sink.try_pull_sample(0)) is not None:
            sample, skipped = newer, skipped + 1
        return self._picture(sample, skipped)

    def _ended(self) -> Exception:
        # A camera on the network that goes away is an end of stream too, to rtspsrc.
        if self.live and not self._counted:
            return SourceError(f"{self._name}: the other side ended the stream")
        return StreamEnded()

    def _picture(self, sample: Any, skipped: int) -> Picture:
        image = self._painter.paint(sample)
        return Picture(image, self._time_of(sample), skipped)

    def _time_of(self, sample: Any) -> int | None:
        """In a file's own time, where the segment tells: decoders with B-frames begin their stamps
        later, and an edit list says by how much."""
        gst, pts = self._gst, sample.get_buffer().pts
        if pts == gst.CLOCK_TIME_NONE:
            return None
        segment = sample.get_segment()
        if self.live or segment is None or segment.format != gst.Format.TIME:
            return int(pts)
        time = segment.to_stream_time(gst.Format.TIME, pts)
        return int(pts if time == gst.CLOCK_TIME_NONE else time)

    def _raise_errors(self) -> None:
        message = self._bus.timed_pop_filtered(0, self._gst.MessageType.ERROR)
        if message is None:
            return
        error, _debug = message.parse_error()
        where = message.src.get_name() if message.src else "pipeline"
        raise SourceError(f"{self._name}: {where}: {self._clean(error.message)}")

    def _clean(self, words: str) -> str:
        return self._mask(" ".join(words.split())).rstrip(".")


def _elements(iterator: Any, gst: Any) -> Iterator[Any]:
    while True:
        result, element = iterator.next()
        if result != gst.IteratorResult.OK:
            return
        yield element
