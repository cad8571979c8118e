"""Opens what has an end as a film, and says of anything else why it is none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import numpy as np

from streamseg.clock import RealClock
from streamseg.config import SourceConfig
from streamseg.errors import SourceSpecError, UsageError
from streamseg.masking import Masker, legible
from streamseg.sources import Source, never
from streamseg.sources.arrays import Order
from streamseg.sources.connection import Connection
from streamseg.sources.decoding.hwaccel import hardware_device
from streamseg.sources.decoding.images import ImageConnection
from streamseg.sources.decoding.requests import by_content, request_for
from streamseg.sources.decoding.video import VideoConnection
from streamseg.sources.film import Reel
from streamseg.sources.film.stills import ImagesReel, PicturesReel, SceneReel
from streamseg.sources.film.video import VideoReel
from streamseg.sources.given import Given, spec_or_source
from streamseg.sources.opening import open_unless
from streamseg.sources.playing.ordered import OrderedSource
from streamseg.sources.spec import STDIN_PIPE, Kind, SourceSpec, parse_spec
from streamseg.sources.synthetic import SyntheticSource
from streamseg.types import Event

OnEvent = Callable[[Event], None]


def open_reel(
    given: Given,
    order: Order,
    config: SourceConfig,
    on_event: OnEvent,
    stopped: Callable[[], bool] = never,
) -> Reel:
    """Open a file, images, a synthetic scene, a film on the web, or a sequence of pictures.

    Args:
        given: SRC as in `open_source`, a path, or pictures that can be asked for by number.
        order: Of arrays' channels.
        stopped: Looked at a few times a second while opening takes its time.

    Raises:
        StreamEnded: `stopped` said so.
        UsageError: It is nothing of the kind, or can be read only once.
        SourceSpecError: No such file, or what goes on for ever.
        SourceError: It cannot be opened, or holds no picture that decodes.
    """
    source = spec_or_source(given, order, config, RealClock(), on_event)
    if isinstance(source, str):
        return _of_spec(source, config, on_event, stopped)
    if isinstance(given, Sequence | np.ndarray):
        return PicturesReel(cast(Sequence[object], given), order, source)
    source.close()
    raise UsageError(
        "expected a video that can be read more than once: a file, a folder of images, or a list "
        f"or array of pictures; got a {type(given).__name__}: collect it into a list, or use run()"
    )


def _of_spec(
    spec: str, config: SourceConfig, on_event: OnEvent, stopped: Callable[[], bool]
) -> Reel:
    if spec.startswith("gst:"):
        raise _endless("a GStreamer pipeline")
    if spec.startswith("synthetic:"):
        scene = SyntheticSource.open(spec, _as_file(config), RealClock())
        if scene.info.live:
            raise _endless(f"{legible(spec)}, played live,")
        return SceneReel(scene)
    parsed = by_content(parse_spec(spec))
    if parsed.kind in {Kind.CAMERA, Kind.STREAM}:
        raise _endless(parsed.name)
    if parsed.location == STDIN_PIPE:
        raise SourceSpecError(
            "a piped video can be read only once, and segment reads it several times: write it to "
            "a file first, or use streamseg run --source -"
        )
    return _Opening(parsed, Masker(spec), config, on_event).reel(stopped)


def _as_file(config: SourceConfig) -> SourceConfig:
    return config.model_copy(update={"realtime": False})


def _endless(what: str) -> SourceSpecError:
    return SourceSpecError(
        f"{what} goes on for ever, and segment looks at a video from its first to its last frame: "
        "give a file, a folder of images or synthetic:NAME, or use streamseg run"
    )


class _Opening:
    """From a parsed spec to its reel."""

    def __init__(
        self, spec: SourceSpec, masker: Masker, config: SourceConfig, on_event: OnEvent
    ) -> None:
        self._spec = spec
        self._masker = masker
        self._config = config
        self._on_event = on_event

    def reel(self, stopped: Callable[[], bool]) -> Reel:
        if self._spec.kind is Kind.IMAGES:
            images = open_unless(lambda: self._images(0, self._tell), stopped)
            return ImagesReel(lambda file: self._images(file, _silent), images, self._play)
        video = open_unless(lambda: self._video(self._tell), stopped)
        if video.live:
            video.close()
            raise _endless(self._spec.name)
        return VideoReel(lambda: self._video(_silent), video, self._play, self._tell)

    def _video(self, tell: Callable[[str, str], None]) -> VideoConnection:
        hardware = None if self._config.hwaccel == "none" else hardware_device()
        request = request_for(self._spec, self._config, hardware, self._masker, tell)
        return VideoConnection(request)

    def _images(self, first: int, tell: Callable[[str, str], None]) -> ImageConnection:
        config, spec = self._config, self._spec
        fps = config.fps or config.fallback_fps
        return ImageConnection(spec.name, spec.paths[first:], fps, config.max_pixels, tell)

    def _play(self, connection: Connection) -> Source:
        name, config = self._spec.name, self._config
        return OrderedSource(name, connection, config, RealClock(), self._on_event)

    def _tell(self, kind: str, message: str) -> None:
        self._on_event(Event(kind, message, RealClock().now_ns()))


def _silent(kind: str, message: str) -> None:
    """What there is to tell was told while the film was read first."""
