"""The door to whole videos: models loaded once, one video after another."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from streamseg import config as configs
from streamseg import propagation, reasoning, segmentation
from streamseg.config import Config
from streamseg.errors import UsageError
from streamseg.loop.asked import checked_count
from streamseg.loop.endings import Ending
from streamseg.loop.inbox import check_query
from streamseg.loop.listener import OnEvent, careful, tell_choice
from streamseg.loop.results import Results
from streamseg.loop.summary import nothing_done
from streamseg.masking import legible
from streamseg.offline.run import OnProgress, VideoRun
from streamseg.sinks import Sink
from streamseg.sources.arrays import Order, checked_order
from streamseg.sources.given import Given
from streamseg.sources.spec import local_files


class VideoSegmenter:
    """A sentence and a whole video in, masks out. Models are loaded once and serve one video after
    another; `stop` and `summary` may be called at any time from any thread."""

    def __init__(self, config: Config) -> None:
        """
        Raises:
            CheckpointError: Weights that the config names are missing or of another shape.
            MissingDependencyError: A package that the config needs is not installed.
        """
        self.config = config
        reasoning.prepare(config.reasoning)
        self._segmenter = segmentation.build(config.segmentation)
        self._propagator = propagation.build(config.propagation)
        self._running = threading.Lock()
        self._stopped = False
        self._run: VideoRun | None = None
        self._summary: dict[str, Any] = {}

    @classmethod
    def from_config(
        cls, name_or_path: str | Path | Config = configs.AUTO, overrides: Sequence[str] = ()
    ) -> Self:
        """Make one from a shipped config's name, a YAML file or a Config, with `a.b=value`
        overrides; unless one is named it is the best that is here without a download.

        Raises:
            ConfigError: No such config, an unknown key, a bad value.
        """
        if isinstance(name_or_path, Config):
            return cls(name_or_path)
        return cls(configs.load(name_or_path, overrides))

    def segment(
        self,
        video: Given,
        query: str,
        *,
        order: Order = "rgb",
        target_frame: int | None = None,
        max_frames: int | None = None,
        sinks: Sequence[Sink] = (),
        unfinished: Path | None = None,
        resume: bool = False,
        overwrite: bool = False,
        on_event: OnEvent | None = None,
        on_progress: OnProgress | None = None,
    ) -> Results:
        """Segment a video: an iterator of one result per frame, in time order.

        The first result takes the longest: until then the video is read through, the reasoner is
        asked, and masks are carried back from the target frame to the beginning.

        Args:
            video: A path, SRC as in `streamseg run` where that has an end, or a list or array of
                (H, W, 3) uint8 pictures. It is read several times.
            target_frame: Point on this frame, whatever the sampler would choose.
            max_frames: Take the video to end after so many.
            unfinished: A file for what is done already, which goes once all is; so that a run that
                was stopped or killed can go on.
            resume: Go on with what `unfinished` holds, where it holds anything.
            overwrite: Replace it. Neither of both: refuse where it holds anything.
            order, sinks, on_event: As in `StreamSegmenter.run`.
            on_progress: Told after every frame that was read, carried or written.

        Raises:
            QueryError: An empty or over-long query.
            UsageError: Another video is under way. With the first result: `video` is nothing that
                can be read twice; `target_frame` is not in it; `unfinished` is of another run.
            SourceSpecError, SourceError: With the first result: it cannot be opened, goes on for
                ever, or holds no picture.
            ReasoningError: With the first result: the reasoner gave no answer.
            OutputError: As in `StreamSegmenter.run`; `unfinished` cannot be written.
        """
        channels, tell = checked_order(order), careful(on_event)
        most = checked_count(max_frames, "max_frames")
        frame = checked_count(target_frame, "target_frame")
        check_query(query, self.config.reasoning.max_query_chars)
        ending = self._claim(query, legible(video) if isinstance(video, str) else "video")

        def begin() -> VideoRun:
            run = VideoRun(self.config, self._segmenter, self._propagator, self._is_stopped, tell)
            self._run = run
            ending.then(self._finish, run)
            run.open(video, channels, query.strip(), most, frame)
            reads = local_files(str(video)) if isinstance(video, str | Path) else ()
            run.write_to(sinks, reads)
            run.keep_in(unfinished, reads, resume=resume, overwrite=overwrite)
            run.on_progress = on_progress
            tell_choice(self.config, tell)
            return run

        return Results(begin, ending)

    def stop(self) -> None:
        """End after the frame under way; files are finished. Safe in a signal handler."""
        self._stopped = True

    def summary(self) -> dict[str, Any]:
        """What is known of the video under way, or of the last one."""
        run = self._run
        return self._summary if run is None else run.summary()

    def _is_stopped(self) -> bool:
        return self._stopped

    def _claim(self, query: str, name: str) -> Ending:
        if not self._running.acquire(blocking=False):
            raise UsageError(
                "this VideoSegmenter is already at work: finish or close that first, or make "
                "another VideoSegmenter"
            )
        self._stopped = False
        ending = Ending(self.stop)
        ending.then(self._running.release)
        self._summary = nothing_done(self.config, name, query)
        return ending

    def _finish(self, run: VideoRun) -> None:
        try:
            run.close()
        finally:
            self._summary = run.summary()
            self._run = None
