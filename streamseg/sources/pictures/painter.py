"""Paints a frame that FFmpeg decoded as the RGB picture that its maker meant.

Chooses matrix, range, tone, ground and turn from what the frame says of itself, and where it does
not say, as players do. Knows PyAV's frames; knows nothing of containers and time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from streamseg.sources.pictures.ground import on_ground
from streamseg.sources.pictures.matrix import display_matrix
from streamseg.sources.pictures.tone import Tone
from streamseg.sources.pictures.upright import AS_STORED, from_matrix, turned
from streamseg.types import Image

Tell = Callable[[str, str], None]

_BT709, _UNSPECIFIED, _BT601, _BT2020 = 1, 2, 5, 9
_MATRICES = frozenset({_BT709, 4, _BT601, 6, 7, _BT2020, 10})
"""Matrices of H.273 that swscale knows: also FCC, SMPTE 170M and 240M, BT.2020 constant."""
_UNSAID = frozenset({0, _UNSPECIFIED, 3})
_DEEP = "gbrp10le"
_DEEP_BITS = 10


def guessed_matrix(width: int, height: int, primaries: int) -> int:
    """The matrix of a picture that names none, by the rule of mpv: HD is BT.709, SD is BT.601."""
    if primaries == _BT2020:
        return _BT2020
    return _BT709 if width >= 1280 or height > 576 else _BT601


@dataclass(frozen=True, slots=True)
class _Look:
    """How frames of one kind are painted."""

    matrix: int
    alpha: bool
    tone: Tone | None

    @property
    def format(self) -> str:
        if self.tone is not None:
            return _DEEP
        return "rgba" if self.alpha else "rgb24"


class Painter:
    """Paints one stream's frames, in the order in which they are shown."""

    def __init__(self, name: str, tell: Tell) -> None:
        """
        Args:
            name: Of the stream, for people.
            tell: Called with a kind and a message where a picture is not quite what it could be.
        """
        self._name = name
        self._tell = tell
        self._told: set[str] = set()
        self._reformatter = VideoReformatter()
        self._key: tuple[object, ...] = ()
        self._look = _Look(_BT601, False, None)
        self._opaque_so_far = True
        self.turn = AS_STORED
        """How the last picture was turned."""

    def paint(self, frame: VideoFrame) -> Image:
        """(H, W, 3) uint8 RGB, C-contiguous, upright, the frame's own memory never."""
        key = (
            frame.width,
            frame.height,
            frame.format.name,
            frame.colorspace,
            frame.color_trc,
            frame.color_primaries,
        )
        if key != self._key:
            self._key, self._look = key, self._look_of(frame)
        if frame.interlaced_frame:
            self._say(
                "interlaced",
                "the video is interlaced: edges of what moves are combed, and so are their masks; "
                "deinterlace it first, for instance with ffmpeg -vf bwdif",
            )
        look = self._look
        shown = self._reformatter.reformat(frame, format=look.format, src_colorspace=look.matrix)
        image = self._finished(shown, look)
        matrix = display_matrix(frame)
        self.turn = AS_STORED if matrix is None else from_matrix(matrix)
        return turned(image, self.turn)

    def _finished(self, shown: VideoFrame, look: _Look) -> Image:
        if look.tone is not None:
            return look.tone.map(_merged(shown), _DEEP_BITS)
        pixels = np.ascontiguousarray(shown.to_ndarray(), dtype=np.uint8)
        if not look.alpha:
            return pixels
        # Recorders that leave the fourth byte of a pixel at 0 mean nothing by it.
        if self._opaque_so_far and not pixels[..., 3].any():
            return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGBA2RGB), np.uint8)
        self._opaque_so_far = False
        return on_ground(pixels)

    def _look_of(self, frame: VideoFrame) -> _Look:
        matrix, transfer = frame.colorspace, frame.color_trc
        primaries = frame.color_primaries
        known = matrix in _MATRICES
        if not known and not frame.format.is_rgb:
            guess = guessed_matrix(frame.width, frame.height, primaries)
            if matrix not in _UNSAID:
                self._say(
                    "colour",
                    f"its colours are coded in a way that is not known here (matrix {matrix} of "
                    "H.273) and may look odd; convert it to BT.709 for true ones",
                )
            matrix = guess
        tone = Tone.needed(transfer, primaries)
        return _Look(matrix, tone is None and _has_alpha(frame.format), tone)

    def _say(self, kind: str, words: str) -> None:
        if kind not in self._told:
            self._told.add(kind)
            self._tell(kind, f"{self._name}: {words}")


def _has_alpha(form: VideoFormat) -> bool:
    return form.has_palette or any(component.is_alpha for component in form.components)


def _merged(shown: VideoFrame) -> NDArray[np.uint16]:
    """(H, W, 3) uint16 RGB of a planar frame in FFmpeg's order: green, blue, red."""
    green, blue, red = (
        np.frombuffer(memoryview(plane), np.uint16).reshape(-1, plane.line_size // 2)[
            : shown.height, : shown.width
        ]
        for plane in shown.planes
    )
    return np.asarray(cv2.merge([red, green, blue]), np.uint16)
