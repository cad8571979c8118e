"""Contact sheets: what a clip's sentences showed on its annotated frames, to be looked at.

A row a sentence, five frames beside one another: truth boxes dashed in white, masks tinted, their
outline dashed where they are not shown as tracking, and below a bar in the verdict's colour.
Knows pictures and scores; runs nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from streamseg.errors import OutputError
from streamseg.evaluation.queries import Sentence
from streamseg.evaluation.real import FrameScore, Shown, Verdict
from streamseg.sinks.palette import Colour, colour_of
from streamseg.sinks.text import TextPainter, blit, shade
from streamseg.types import Box, Frame, Image, Mask, TrackState

COLUMNS = 5
PANEL_PX = 316
GAP_PX = 4
WIDTH_PX = COLUMNS * (PANEL_PX + GAP_PX) + GAP_PX
_TALLEST = 1.0
"""Of a panel's picture, in its widths: an upright clip is drawn narrower."""
_HEADER_PX = 28
_TITLE_PX = 40
_BAR_PX = 20
_TEXT_PX = 14
_OPACITY = 0.45
_DASH_PX = 6

GROUND: Colour = (22, 24, 28)
WHITE: Colour = (255, 255, 255)
GREY: Colour = (165, 172, 180)
BLACK: Colour = (0, 0, 0)
VERDICT_COLOURS: dict[Verdict | None, Colour] = {
    Verdict.RIGHT: (92, 201, 120),
    Verdict.CLEAN: (150, 214, 190),
    Verdict.PARTLY: (245, 200, 72),
    Verdict.NONE: (170, 176, 186),
    Verdict.WRONG: (236, 98, 88),
    Verdict.INVENTED: (214, 110, 220),
    None: (84, 88, 96),
}


@cache
def painter() -> TextPainter:
    return TextPainter()


def panel(
    frame: Frame, objects: Sequence[Shown], truth: Sequence[Box] | None, score: FrameScore | None
) -> Image:
    """One frame, (h, PANEL_PX, 3): what is shown, the true boxes, and the verdict.

    Args:
        truth: None where it cannot be told; then there is no score either.
    """
    scale = min(PANEL_PX / frame.width, _TALLEST * PANEL_PX / frame.height)
    width, height = round(frame.width * scale), round(frame.height * scale)
    resized = cv2.resize(frame.image, (width, height), interpolation=cv2.INTER_AREA)
    picture = np.asarray(resized, np.uint8)
    for number, each in enumerate(objects, 1):
        _draw_object(picture, each, number)
    for box in truth or ():
        _dashed_box(picture, [round(edge * scale) for edge in box])
    _label(picture, str(frame.index), 2, 2)
    canvas = _canvas(height + _BAR_PX, PANEL_PX)
    left = (PANEL_PX - width) // 2
    canvas[:height, left : left + width] = picture
    canvas[height:] = VERDICT_COLOURS[None if score is None else score.shown]
    said = painter().fitted(_said(objects, score), _TEXT_PX, PANEL_PX - 8)
    blit(canvas, said, 5, height + (_BAR_PX - said.shape[0]) // 2, BLACK)
    return canvas


def _said(objects: Sequence[Shown], score: FrameScore | None) -> str:
    """The verdict, that on tracking alone where it is another, and each object's state."""
    words = "cannot be told"
    if score is not None:
        words = str(score.shown)
        if score.tracking is not score.shown:
            words += f", as tracking {score.tracking}"
        if score.box_iou:
            words += f", IoU {score.box_iou:.2f}"
    told = [f"{state} {scores}" for state, scores in _scores(objects)]
    return " · ".join([words, *told])


def _scores(objects: Sequence[Shown]) -> Iterable[tuple[TrackState, str]]:
    for state in dict.fromkeys(each.state for each in objects):
        scores = [f"{each.score:.2f}" for each in objects if each.state is state]
        yield state, " ".join(scores)


def strip(sentence: Sentence, panels: Sequence[Image]) -> Image:
    """A sentence's row of the sheet, (h, WIDTH_PX, 3); more than five frames take more lines."""
    header = _canvas(_HEADER_PX, WIDTH_PX)
    text = painter().fitted(sentence.query, 17, WIDTH_PX - 300, bold=True)
    kind = painter().coverage(sentence.kind, _TEXT_PX)
    blit(header, text, GAP_PX, 4, WHITE)
    blit(header, kind, GAP_PX + text.shape[1] + 12, 7, GREY)
    lines = [panels[at : at + COLUMNS] for at in range(0, len(panels), COLUMNS)]
    return np.vstack([header, *(_line(line) for line in lines)])


def _line(panels: Sequence[Image]) -> Image:
    height = max(each.shape[0] for each in panels)
    canvas = _canvas(height + GAP_PX, WIDTH_PX)
    for column, each in enumerate(panels):
        x = GAP_PX + column * (PANEL_PX + GAP_PX)
        canvas[: each.shape[0], x : x + PANEL_PX] = each
    return canvas


def sheet(title: str, strips: Iterable[Path]) -> Image:
    """Put a clip's rows, drawn before, under one another.

    Raises:
        OutputError: One cannot be read any more.
    """
    header = _canvas(_TITLE_PX, WIDTH_PX)
    blit(header, painter().coverage(title, 22, bold=True), GAP_PX, 6, WHITE)
    x = WIDTH_PX - GAP_PX
    for verdict in reversed(Verdict):
        word = painter().coverage(verdict, _TEXT_PX)
        x -= word.shape[1] + 20
        header[12:28, x : x + word.shape[1] + 12] = VERDICT_COLOURS[verdict]
        blit(header, word, x + 6, 12, BLACK)
    return np.vstack([header, *(_read(path) for path in strips)])


def _read(path: Path) -> Image:
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
    if picture is None or picture.shape[1] != WIDTH_PX:
        raise OutputError(f"cannot read {path}: run its sentence again, without --resume")
    return np.asarray(picture, np.uint8)


def write(path: Path, picture: Image) -> None:
    """Write a PNG.

    Raises:
        OutputError: It cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        coded = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1]
        path.write_bytes(coded.tobytes())
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from None


def _canvas(height: int, width: int) -> Image:
    return np.full((height, width, 3), GROUND, np.uint8)


def _label(picture: Image, text: str, x: int, y: int) -> None:
    words = painter().coverage(text, _TEXT_PX)
    shade(picture, x, y, x + words.shape[1] + 6, y + words.shape[0])
    blit(picture, words, x + 3, y, WHITE)


def _draw_object(picture: Image, each: Shown, number: int) -> None:
    """Tint the object's mask, and draw its outline: dashed unless it is shown as tracking."""
    size = (picture.shape[1], picture.shape[0])
    mask = _smaller(each.mask, size)
    colour = np.asarray(colour_of(number), np.float32)
    place = picture[mask]
    picture[mask] = np.rint(place * (1 - _OPACITY) + colour * _OPACITY).astype(np.uint8)
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    for contour in contours:
        points = contour[:, 0]
        if each.state is not TrackState.TRACKING:
            points = points[np.arange(len(points)) // _DASH_PX % 2 == 0]
        picture[points[:, 1], points[:, 0]] = colour_of(number)


def _smaller(mask: Mask, size: tuple[int, int]) -> Mask:
    """The mask at the panel's size; what has a pixel keeps one."""
    covered = cv2.resize(mask.astype(np.uint8) * 255, size, interpolation=cv2.INTER_AREA)
    smaller: Mask = covered >= min(128, int(covered.max()))
    return smaller


def _dashed_box(picture: Image, box: Sequence[int]) -> None:
    """A box in dashes of white and black, so that it shows on any ground."""
    height, width = picture.shape[:2]
    x0, x1 = (min(max(x, 0), width - 1) for x in (box[0], box[2] - 1))
    y0, y1 = (min(max(y, 0), height - 1) for y in (box[1], box[3] - 1))
    cv2.rectangle(picture, (x0, y0), (x1, y1), BLACK, 1)
    for x in range(x0, x1 + 1, 2 * _DASH_PX):
        for y in (y0, y1):
            cv2.line(picture, (x, y), (min(x + _DASH_PX, x1), y), WHITE, 1)
    for y in range(y0, y1 + 1, 2 * _DASH_PX):
        for x in (x0, x1):
            cv2.line(picture, (x, y), (x, min(y + _DASH_PX, y1)), WHITE, 1)
