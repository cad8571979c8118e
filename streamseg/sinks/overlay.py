"""Draws a result onto its picture: fills, contours, ids, state, query, latency and a timeline.

Knows pictures and results; knows nothing of files or codecs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from streamseg.sinks.palette import STATE_COLOURS, Colour, colour_of
from streamseg.sinks.text import TextPainter, blit, shade
from streamseg.types import FrameResult, Image, Labels, Mask, TrackState, TrackView, TriggerReason

Scale = tuple[float, float]
"""Pixels of the canvas to one of the picture, along x and along y."""

WHITE: Colour = (255, 255, 255)
GREY: Colour = (205, 212, 220)
LEAST_WIDTH_FOR_TEXT = 160
_LEAST_HEIGHT_FOR_NAMES = 200
_FILL = 0.42
_FILL_UNCERTAIN = 0.2
_NOTICE_S = 1.2
_LATENCY_SMOOTHING = 0.1
_LATENCY_EVERY_S = 0.25


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a picture lies on the canvas, in pixels of the canvas."""

    x: int
    y: int
    width: int
    height: int


def place(
    width: int, height: int, canvas_width: int, canvas_height: int, pixel_aspect: float = 1.0
) -> Placement:
    """The largest centred place for a picture that keeps its shape (letterboxed).

    Args:
        pixel_aspect: Width of the picture's pixels through their height; the canvas's are square.
    """
    scale = min(canvas_width / (width * pixel_aspect), canvas_height / height)
    w = max(1, min(canvas_width, round(width * pixel_aspect * scale)))
    h = max(1, min(canvas_height, round(height * scale)))
    return Placement((canvas_width - w) // 2, (canvas_height - h) // 2, w, h)


class Timeline:
    """The last seconds as a strip of pixels, newest at the right; constant memory."""

    def __init__(self, width: int, seconds: float) -> None:
        self.colours = np.full((width, 3), 48, np.uint8)
        self.marks = np.zeros(width, np.bool_)
        self._seconds_per_pixel = seconds / width
        self._head = 0

    def add(self, time_s: float, state: TrackState, marked: bool) -> None:
        """Extend to `time_s`, which never goes back, in the colour of `state`."""
        head = int(time_s / self._seconds_per_pixel)
        steps = min(head - self._head, len(self.colours))
        if steps > 0:
            self.colours[:-steps] = self.colours[steps:]
            self.marks[:-steps] = self.marks[steps:]
            self.marks[-steps:] = False
            self._head = head
        self.colours[-max(1, steps) :] = STATE_COLOURS[state]
        self.marks[-1] |= marked


class Overlay:
    """Paints results onto one canvas of a fixed size, which every call overwrites."""

    def __init__(
        self, width: int, height: int, timeline_s: float, pixel_aspect: float = 1.0
    ) -> None:
        self._pixel_aspect = pixel_aspect
        self._canvas: Image = np.zeros((height, width, 3), np.uint8)
        self._text = TextPainter()
        unit = min(2.0, max(0.5, min(width / 640, height / 360)))
        self._font_px = max(10, round(15 * unit))
        self._small_px = max(9, round(12.5 * unit))
        self._pad = max(3, round(6 * unit))
        self._margin = max(4, round(10 * unit))
        self._stroke = max(1, round(1.6 * unit))
        self._strip_px = max(3, round(5 * unit))
        self._dash_px = max(3, round(7 * unit))
        self._timeline = Timeline(max(1, width - 2 * self._margin), timeline_s)
        self._placement: Placement | None = None
        self._notice = ""
        self._notice_until_s = 0.0
        self._latency_ms: float | None = None
        self._shown_latency = ""
        self._shown_at_s = float("-inf")

    def draw(self, result: FrameResult, time_s: float) -> Image:
        """Paint one result.

        Args:
            time_s: Seconds since the start, never going back, for the timeline.

        Returns:
            The canvas, (H, W, 3) uint8 RGB; valid until the next call.
        """
        self._timeline.add(time_s, result.state, _asked(result) is not None)
        spot = self._paste(result)
        picture = self._canvas[spot.y : spot.y + spot.height, spot.x : spot.x + spot.width]
        scale = (spot.width / result.frame.width, spot.height / result.frame.height)
        labels = _resized(result.masks.labels, spot.width, spot.height)
        for track in result.masks.objects:
            self._draw_object(picture, labels, track, scale)
        if self._canvas.shape[1] >= LEAST_WIDTH_FOR_TEXT:
            for track in result.masks.objects:
                self._draw_tag(picture, track, scale)
            self._draw_header(result, time_s)
            self._draw_notices(result, time_s)
            self._draw_timeline()
        return self._canvas

    def _paste(self, result: FrameResult) -> Placement:
        height, width = self._canvas.shape[:2]
        frame = result.frame
        spot = place(frame.width, frame.height, width, height, self._pixel_aspect)
        if spot != self._placement:
            self._canvas[...] = 0
            self._placement = spot
        elif (spot.width, spot.height) != (width, height):
            self._canvas[...] = 0  # the header may reach onto the bars
        target = self._canvas[spot.y : spot.y + spot.height, spot.x : spot.x + spot.width]
        image = frame.image
        if image.shape == target.shape:
            np.copyto(target, image)
        else:
            size = (spot.width, spot.height)
            shrinks = spot.width < frame.width or spot.height < frame.height
            how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
            target[...] = cv2.resize(image, size, interpolation=how)
        return spot

    def _draw_object(self, picture: Image, labels: Labels, track: TrackView, scale: Scale) -> None:
        window = _window(track, scale, picture.shape, margin=4 + self._stroke)
        if window is None:
            return
        mask: Mask = labels[window] == track.id
        bits = mask.view(np.uint8)
        region = picture[window]
        sure = track.state is TrackState.TRACKING
        tinted = cv2.LUT(region, _tint(track.id, _FILL if sure else _FILL_UNCERTAIN))
        cv2.copyTo(tinted, bits, region)
        lines, closed = _outline(bits, 0 if sure else self._dash_px)
        for colour, width in (
            ((16, 16, 16), self._stroke + 2),
            (colour_of(track.id), self._stroke),
        ):
            cv2.polylines(region, lines, closed, colour, width, cv2.LINE_AA)

    def _draw_tag(self, picture: Image, track: TrackView, scale: Scale) -> None:
        if track.box is None:
            return
        named = picture.shape[0] >= _LEAST_HEIGHT_FOR_NAMES
        name = f"{track.id}  {track.label}".rstrip() if named else str(track.id)
        words = self._text.fitted(name, self._small_px, picture.shape[1] // 3, bold=True)
        score = self._text.coverage(f"{track.score:.2f}" if named else "", self._small_px)
        gap = bar = self._pad // 2 + 1
        width = bar + gap + words.shape[1] + 2 * gap + score.shape[1] + gap
        height = words.shape[0] + 2
        x, y = self._tag_corner(picture, track.box, scale, width, height)
        shade(picture, x, y, x + width, y + height)
        picture[max(0, y) : y + height, max(0, x) : x + bar] = colour_of(track.id)
        blit(picture, words, x + bar + gap, y + 1, WHITE)
        blit(picture, score, x + bar + 3 * gap + words.shape[1], y + 1, GREY)

    def _tag_corner(
        self,
        picture: Image,
        box: tuple[float, float, float, float],
        scale: Scale,
        width: int,
        height: int,
    ) -> tuple[int, int]:
        """Above the box where there is room, else just inside it; never under the header."""
        x = min(max(0, round(box[0] * scale[0])), max(0, picture.shape[1] - width))
        above = round(box[1] * scale[1]) - height - 2
        y = above if above > self._header_bottom() else round(box[1] * scale[1]) + 2
        low = picture.shape[0] - height - 2 * self._margin - self._strip_px
        return x, min(max(self._header_bottom(), y), max(0, low))

    def _header_bottom(self) -> int:
        line = round(1.28 * self._font_px) + round(1.28 * self._small_px)
        return self._margin + line + 2 * self._pad

    def _draw_header(self, result: FrameResult, time_s: float) -> None:
        room = self._canvas.shape[1] - 2 * self._margin - 2 * self._pad
        title = self._text.fitted(" ".join(result.query.split()), self._font_px, room, bold=True)
        dot = round(0.62 * self._small_px)
        facts = self._text.fitted(self._facts(result, time_s), self._small_px, room - 2 * dot)
        x, y = self._margin, self._margin
        width = max(title.shape[1], facts.shape[1] + 2 * dot) + 2 * self._pad
        shade(self._canvas, x, y, x + width, self._header_bottom())
        blit(self._canvas, title, x + self._pad, y + self._pad, WHITE)
        below = y + self._pad + title.shape[0]
        centre = (x + self._pad + dot // 2, below + round(0.66 * self._small_px))
        colour = STATE_COLOURS[result.state]
        cv2.circle(self._canvas, centre, max(2, dot // 2), colour, cv2.FILLED, cv2.LINE_AA)
        blit(self._canvas, facts, x + self._pad + round(1.6 * dot), below, GREY)

    def _facts(self, result: FrameResult, time_s: float) -> str:
        visible = sum(track.box is not None for track in result.masks.objects)
        parts = [result.state.value]
        if visible:
            parts.append(f"{visible} object{'s' if visible > 1 else ''}")
        latency = self._latency(result, time_s)
        if latency:
            parts.append(latency)
        minutes, seconds = divmod(time_s, 60.0)
        parts.append(f"{int(minutes):02d}:{seconds:04.1f}")
        return "  ·  ".join(parts)

    def _latency(self, result: FrameResult, time_s: float) -> str:
        """Smoothed, and renewed four times a second, so that it can be read."""
        latest = result.timings_ms.get("latency")
        if latest is None:
            return self._shown_latency
        before = self._latency_ms if self._latency_ms is not None else latest
        self._latency_ms = before + _LATENCY_SMOOTHING * (latest - before)
        if time_s - self._shown_at_s >= _LATENCY_EVERY_S:
            self._shown_latency = f"{self._latency_ms:.0f} ms"
            self._shown_at_s = time_s
        return self._shown_latency

    def _draw_notices(self, result: FrameResult, time_s: float) -> None:
        """At the bottom left: what of the query is not understood, as long as it is in force, and
        above it, for a moment, why the reasoner was asked."""
        if (asked := _asked(result)) is not None:
            self._notice = f"asked: {asked.value}"
            self._notice_until_s = time_s + _NOTICE_S
        bottom = self._canvas.shape[0] - 2 * self._margin - 2 * self._strip_px
        fresh = self._notice if time_s < self._notice_until_s else ""
        for text in filter(None, (result.doubt, fresh)):
            bottom = self._draw_notice(text, bottom)

    def _draw_notice(self, text: str, bottom: int) -> int:
        """One line that ends at `bottom`; returns where one above it may end."""
        room = self._canvas.shape[1] - 2 * self._margin - 2 * self._pad
        words = self._text.fitted(text, self._small_px, room)
        x, y = self._margin, bottom - words.shape[0]
        shade(self._canvas, x, y - 1, x + words.shape[1] + 2 * self._pad, y + words.shape[0] + 1)
        blit(self._canvas, words, x + self._pad, y, WHITE)
        return int(y) - 2

    def _draw_timeline(self) -> None:
        x0 = self._margin
        x1 = x0 + len(self._timeline.colours)
        y1 = self._canvas.shape[0] - self._margin
        y0 = y1 - self._strip_px
        shade(self._canvas, x0 - 1, y0 - 1, x1 + 1, y1 + 1)
        self._canvas[y0:y1, x0:x1] = self._timeline.colours
        for column in np.flatnonzero(self._timeline.marks):
            left = x0 + int(column) - self._stroke // 2
            tick = self._canvas[y0 - self._strip_px : y1, left : left + max(1, self._stroke)]
            tick[...] = WHITE


def _outline(bits: NDArray[np.uint8], dash_px: int) -> tuple[list[NDArray[np.int32]], bool]:
    """The outlines of a mask (H, W) of 0 and 1 as lines of (N, 1, 2) pixels, and whether each is
    closed; in dashes of so many pixels, with as much between them, unless that is 0."""
    how = cv2.CHAIN_APPROX_NONE if dash_px else cv2.CHAIN_APPROX_SIMPLE
    contours, _ = cv2.findContours(bits, cv2.RETR_CCOMP, how)
    whole = [np.asarray(contour, np.int32) for contour in contours]
    if not dash_px:
        return whole, True
    dashes = [
        contour[start : start + dash_px]
        for contour in whole
        for start in range(0, len(contour), 2 * dash_px)
    ]
    return dashes, False


def _resized(labels: Labels, width: int, height: int) -> Labels:
    if labels.shape == (height, width):
        return labels
    resized = cv2.resize(labels, (width, height), interpolation=cv2.INTER_NEAREST)
    return np.asarray(resized, np.uint16)


def _window(
    track: TrackView, scale: Scale, shape: tuple[int, ...], margin: int
) -> tuple[slice, slice] | None:
    """The object's box on the picture with room for its contour; None when nothing is visible."""
    if track.box is None:
        return None
    x0, y0, x1, y1 = (edge * scale[index % 2] for index, edge in enumerate(track.box))
    left, top = max(0, int(x0) - margin), max(0, int(y0) - margin)
    right, bottom = min(shape[1], int(x1) + margin + 1), min(shape[0], int(y1) + margin + 1)
    if left >= right or top >= bottom:
        return None
    return slice(top, bottom), slice(left, right)


@lru_cache(maxsize=256)
def _tint(track_id: int, opacity: float) -> NDArray[np.uint8]:
    """(1, 256, 3) lookup that blends every value towards the id's colour."""
    values = np.arange(256, dtype=np.float32)[None, :, None]
    colour = np.asarray(colour_of(track_id), np.float32)
    return np.rint(values * (1 - opacity) + colour * opacity).astype(np.uint8)


def _asked(result: FrameResult) -> TriggerReason | None:
    """Why a question was asked; a look as a witness, some four a second, is none."""
    return None if result.trigger is TriggerReason.WITNESS else result.trigger
