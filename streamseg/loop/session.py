"""The push form of a run, for who owns the loop: a camera's callback, a robot, an OpenCV program.

The stages, sinks and endings are those of `StreamSegmenter.run`; only the frames come by hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import TracebackType
from typing import Self

import numpy as np

from streamseg.clock import Clock
from streamseg.config import SourceConfig
from streamseg.errors import UsageError
from streamseg.loop.endings import Ending
from streamseg.loop.listener import OnEvent
from streamseg.pipeline import Run
from streamseg.sources.arrays import Order, checked_image, checked_pts
from streamseg.sources.connection import Picture
from streamseg.sources.playing.epochs import FrameMaker
from streamseg.types import Frame, FrameResult, SourceInfo


class Session:
    """Takes one picture after another and says at once what is where; made by
    `StreamSegmenter.session`.

    `step` may be called from any thread, one call at a time; others wait for their turn.
    `set_query`, `add_target`, `remove_target`, `stop` and `summary` are the segmenter's.
    """

    def __init__(self, pictures: PushedPictures, run: Run, ending: Ending) -> None:
        self._pictures = pictures
        self._run = run
        self._ending = ending
        ending.watch(self)

    @property
    def ended(self) -> bool:
        """Closed or stopped: `step` takes no more pictures."""
        return self._ending.over or self._run.stopped

    def step(self, image: np.ndarray, pts_ns: int | None = None) -> FrameResult:
        """What is on this picture.

        Args:
            image: (H, W, 3) uint8 in the session's order of channels; contiguous or not. It is
                copied, so the caller may write to it again at once. Another size than before
                begins a new epoch.
            pts_ns: When it was taken, in nanoseconds of any clock that grows; a step back or a
                jump begins a new epoch. None: now, counted from the first picture, or where the
                session is not live, one frame interval after the last.

        Raises:
            UsageError: No such array, or the session has ended. After a bad array it goes on.
        """
        with self._ending.turn():
            if self.ended:
                raise UsageError("this session has ended: expected step() before stop or close")
            return self._run.step(self._pictures.frame(image, pts_ns))

    def close(self) -> None:
        """Finish the files and free the segmenter for another run. May be called twice.

        Raises:
            OutputError: All is closed, but not everything could be written.
        """
        if not self._ending.over:
            self._ending.close()
            self._run.raise_failures()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
        else:  # which is not to be hidden
            self._ending.close()


class PushedPictures:
    """What stands where a source would: it numbers the pictures that come by hand.

    Attributes:
        info: For the sinks; the size is known once the first picture is there.
        dropped: Nothing: every picture is taken.
    """

    def __init__(
        self,
        info: SourceInfo,
        order: Order,
        config: SourceConfig,
        clock: Clock,
        on_event: OnEvent,
    ) -> None:
        self.info = info
        self.dropped: Mapping[str, int] = {}
        self._order = order
        self._maker = FrameMaker(config, clock, on_event, live=info.live)
        self._maker.set_fps(info.fps)
        self._count = 0

    def frame(self, image: np.ndarray, pts_ns: int | None) -> Frame:
        """Number one picture.

        Raises:
            UsageError: It is none.
        """
        where = f"picture {self._count}"
        picture = Picture(checked_image(image, self._order, where), checked_pts(pts_ns, where))
        self._count += 1
        if not self.info.width:
            height, width = picture.image.shape[:2]
            self.info = replace(self.info, width=width, height=height)
        return self._maker.make(picture)

    def read(self, timeout_s: float) -> Frame | None:
        """Nothing comes by itself."""
        return None

    def close(self) -> None:
        """There is nothing to close."""
