"""What a language model answered: think block and list to targets; intervals, places, ratings.

Tolerant of how models write (fences, prose, several blocks, cut tails), strict in what is let out:
finite, in the picture, ordered, with an area. Text comes from a model, which may have been talked
into anything: it is read in one pass, and nothing in it is run.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from streamseg.errors import ReasoningError
from streamseg.reasoning.language.coordinates import Scale
from streamseg.reasoning.language.loose_json import Listed, Mapped, Value, read
from streamseg.types import Box, Difficulty, Point, Target

MOST_CHARS = 2**20
"""More of an answer is not read."""
_MOST_ITEMS = 512
_MOST_VALUES = 20_000
_MOST_POINTS = 8
_MOST_BLOCKS = 16
_SHOWN = 80

_TAG = re.compile(r"<(/?)(think|answer)>", re.IGNORECASE)
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d{1,3})?", re.ASCII)
_TIME = re.compile(r"\d+(?::\d{1,2}){0,2}(?:\.\d+)?", re.ASCII)
_NOTHING = frozenset(("none", "null", "nothing", "empty"))

_BOX = ("bbox_2d", "box_2d", "bbox", "box")
_POSITIVE = ("point_2d", "points_2d", "point", "points", "positive_point_2d", "positive_points")
_NEGATIVE = ("negative_point_2d", "negative_points_2d", "negative_point", "negative_points")
_LABEL = ("label", "name", "object", "description")
_OBJECTS = ("objects", "answer", "targets", "results")
_UNDECIDED = ("cannot_tell", "cannot tell", "ambiguous")


@dataclass(frozen=True, slots=True)
class Item:
    """One object as the model wrote it, in its own numbers."""

    box: Box
    positive: tuple[Point, ...] = ()
    negative: tuple[Point, ...] = ()
    label: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer.

    Attributes:
        thinking: What stood before the answer.
        items: None where the model says that nothing is meant.
        cannot_tell: The model says that it cannot be told what is meant.
        cut: The list has no end: what came of it is here.
    """

    thinking: str
    items: tuple[Item, ...]
    cannot_tell: bool = False
    cut: bool = False


def parse(text: str) -> Answer:
    """Read an answer to a grounding prompt.

    Raises:
        ReasoningError: It holds neither objects nor a word that there are none.
    """
    thinking, blocks = split(text)
    for block in reversed(blocks):
        if (answer := _answer_in(block, thinking)) is not None:
            return answer
    raise ReasoningError(
        f"expected a list of objects with bbox_2d, or an empty one, got {_brief(blocks[-1])}"
    )


def split(text: str) -> tuple[str, list[str]]:
    """The thinking, and the blocks that may be the answer; one at least.

    Raises:
        ReasoningError: The text ends within the thinking, or is empty.
    """
    text = text[:MOST_CHARS]
    tags = list(_TAG.finditer(text))
    names = [f"{tag[1]}{tag[2]}".lower() for tag in tags]
    ends = [*(tag.start() for tag in tags), len(text)][1:]
    blocks = [
        text[tag.end() : end]
        for tag, name, end in zip(tags, names, ends, strict=True)
        if name == "answer"
    ]
    if blocks:
        return _thinking(text[: tags[names.index("answer")].start()]), blocks[-_MOST_BLOCKS:]
    if "/think" in names:
        last = tags[len(names) - 1 - names[::-1].index("/think")]
        return _thinking(text[: last.start()]), [text[last.end() :]]
    if "think" in names:
        raise ReasoningError(
            "expected an answer after the thinking, got thinking without an end; give the model "
            "more tokens or more time"
        )
    if not text.strip():
        raise ReasoningError("expected an answer, got an empty text")
    return "", [text]


def targets(answer: Answer, scale: Scale, limit: int) -> tuple[Target, ...]:
    """The objects of an answer in pixels of the picture: clipped to it, each once.

    Args:
        limit: Most targets.

    Raises:
        ReasoningError: There are objects, and none of them lies in the picture.
    """
    found: dict[Box, Target] = {}
    for item in answer.items:
        box = _within(scale.box_to_pixels(item.box), scale.size)
        if box is None or box in found:
            continue
        found[box] = Target(
            box=box,
            positive=tuple(point for point in _moved(item.positive, scale) if _holds(box, point)),
            negative=tuple(_moved(item.negative, scale)),
            label=item.label,
        )
        if len(found) == limit:
            break
    if answer.items and not found:
        width, height = scale.size
        raise ReasoningError(
            f"expected boxes within {width}x{height}, got {list(answer.items[0].box)} in the "
            f"model's own numbers; is the model's convention the right one?"
        )
    return tuple(found.values())


def parse_interval(text: str, duration_s: float) -> tuple[float, float]:
    """Read [start, end] in seconds, also as minutes:seconds; ordered and within the video.

    Raises:
        ReasoningError: There are no two times, or nothing of the video lies between them.
    """
    _, blocks = split(text)
    for block in reversed(blocks):
        times = [_seconds(found[0]) for found in islice(_TIME.finditer(block), 2)]
        if len(times) == 2:
            start, end = (min(time, duration_s) for time in sorted(times))
            if start < end:
                return start, end
    raise ReasoningError(
        f"expected [start, end] in seconds within 0 to {duration_s:.1f}, got {_brief(blocks[-1])}"
    )


def parse_fraction(text: str) -> float:
    """Read a place in an interval as a fraction in [0, 1], also in per cent.

    Raises:
        ReasoningError: There is no number, or it lies outside.
    """
    _, blocks = split(text)
    for block in reversed(blocks):
        found = _NUMBER.search(block)
        if found is not None:
            value = _real(found[0])
            value = value / 100.0 if block[found.end() :].lstrip(" ")[:1] == "%" else value
            if 0.0 <= value <= 1.0:
                return value
    raise ReasoningError(f"expected a number from 0 to 1, got {_brief(blocks[-1])}")


def parse_difficulty(text: str) -> Difficulty:
    """Read the ratings of the five dimensions, by name or in their order, each from 1 to 10.

    Raises:
        ReasoningError: They are not five, or one lies outside.
    """
    names = tuple(Difficulty.__dataclass_fields__)
    _, blocks = split(text)
    for block in reversed(blocks):
        for value in read(block):
            rated: list[Value | None] = []
            if isinstance(value, Mapped):
                keys = {key.replace(" ", "_"): item for key, item in value.items.items()}
                rated = [keys.get(name) for name in names]
            elif isinstance(value, Listed) and len(value.items) == len(names):
                rated = list(value.items)
            ratings = [item for item in rated if isinstance(item, float) and 1.0 <= item <= 10.0]
            if len(ratings) == len(names):
                return Difficulty(*ratings)
    raise ReasoningError(
        f"expected a rating from 1 to 10 for each of {', '.join(names)}, got {_brief(blocks[-1])}"
    )


def _answer_in(block: str, thinking: str) -> Answer | None:
    """What a block says; None where it says nothing of objects."""
    values = read(block)
    if not thinking and values and isinstance(values[0], Mapped):
        told = values[0].items.get("thinking")
        thinking = told if isinstance(told, str) else thinking
    if not values:
        bare = block.strip(" \t\r\n`.\"'").lower()
        bare = bare.removeprefix("json").strip()
        if bare in _NOTHING:
            return Answer(thinking, ())
        return Answer(thinking, (), cannot_tell=True) if bare in _UNDECIDED else None
    cut = any(isinstance(value, Listed | Mapped) and not value.closed for value in values)
    items: list[Item] = []
    undecided = False
    for value in _walk(values):
        if isinstance(value, Mapped) and len(items) < _MOST_ITEMS:
            items += _items(value)
            undecided = undecided or any(
                str(value.items.get(key, "false")).lower() in ("true", "yes", "1.0")
                for key in _UNDECIDED
            )
    if not items:
        items = [Item(box) for value in _walk(values) for box in _bare_boxes(value)]
    if items:
        return Answer(thinking, tuple(items[:_MOST_ITEMS]), cut=cut)
    if undecided:
        return Answer(thinking, (), cannot_tell=True)
    return Answer(thinking, ()) if any(map(_is_empty, values)) else None


def _is_empty(value: Value) -> bool:
    """Whether an outermost value says that there is nothing."""
    if isinstance(value, Mapped) and value.closed and (inner := _first(value, _OBJECTS)):
        value = inner
    return isinstance(value, Listed | Mapped) and value.closed and not value.items


def _walk(values: Sequence[Value]) -> Iterator[Value]:
    """Every list and mapping, outer before inner, as far as the bound goes."""
    waiting: list[Value] = list(reversed(values[:_MOST_VALUES]))
    for _ in range(_MOST_VALUES):
        if not waiting:
            return
        value = waiting.pop()
        if isinstance(value, Listed | Mapped):
            yield value
            inner = list(value.items.values() if isinstance(value, Mapped) else value.items)
            waiting += reversed([item for item in inner if isinstance(item, Listed | Mapped)])


def _items(value: Mapped) -> list[Item]:
    boxes = _fours(_first(value, _BOX))
    if not boxes:
        return []
    label = _first(value, _LABEL)
    positive, negative = (_points(_first(value, keys)) for keys in (_POSITIVE, _NEGATIVE))
    text = " ".join(label.split())[:_SHOWN] if isinstance(label, str) else ""
    if len(boxes) > 1:  # points of several boxes under one key belong to nobody
        return [Item(box, label=text) for box in boxes]
    return [Item(boxes[0], positive, negative, text)]


def _bare_boxes(value: Value) -> list[Box]:
    return _fours(value) if len(_numbers(value)) == 4 else []


def _first(value: Mapped, keys: Sequence[str]) -> Value | None:
    return next((value.items[key] for key in keys if key in value.items), None)


def _fours(value: Value | None) -> list[Box]:
    """Boxes in a value: four numbers, two pairs, or a list of boxes."""
    numbers = _numbers(value)
    if len(numbers) == 4:
        return [(numbers[0], numbers[1], numbers[2], numbers[3])]
    if not isinstance(value, Listed):
        return []
    return [
        (four[0], four[1], four[2], four[3])
        for inner in value.items[:_MOST_ITEMS]
        if isinstance(inner, Listed) and len(four := _numbers(inner)) == 4
    ]


def _points(value: Value | None) -> tuple[Point, ...]:
    """Points in a value: two numbers, or a list of pairs; a third number is a label and left."""
    numbers = _numbers(value)
    if len(numbers) in (2, 3):
        return ((numbers[0], numbers[1]),)
    pairs = value.items[:_MOST_POINTS] if isinstance(value, Listed) else []
    found = [_numbers(pair) for pair in pairs]
    return tuple((pair[0], pair[1]) for pair in found if len(pair) in (2, 3))


def _numbers(value: Value | None) -> list[float]:
    """The finite numbers of a whole list, of pairs in it, or of a text; none where it was cut or
    holds anything else."""
    if isinstance(value, str):
        told = [_real(found) for found in _NUMBER.findall(value)[:5]]
        return told if all(map(math.isfinite, told)) else []
    if not isinstance(value, Listed) or not value.closed or len(value.items) > 8:
        return []
    flat: list[float] = []
    for item in value.items:
        inner = [item]
        if isinstance(item, Listed):
            inner = item.items if item.closed and len(item.items) == 2 else [""]
        for number in inner:
            if not isinstance(number, float) or not math.isfinite(number):
                return []
            flat.append(number)
    return flat


def _real(text: str) -> float:
    """A number; not one where it is too long to be meant."""
    return float(text) if len(text) <= 40 else math.nan


def _seconds(text: str) -> float:
    seconds = 0.0
    for part in text[:40].split(":"):
        seconds = 60.0 * seconds + float(part)
    return seconds


def _within(box: Box, size: tuple[int, int]) -> Box | None:
    """A box with its corners in order, clipped to the picture; None without an area in it."""
    if not all(map(math.isfinite, box)):
        return None
    width, height = size
    (x0, x1), (y0, y1) = sorted((box[0], box[2])), sorted((box[1], box[3]))
    x0, y0 = max(x0, 0.0), max(y0, 0.0)
    x1, y1 = min(x1, float(width)), min(y1, float(height))
    return (x0, y0, x1, y1) if x1 - x0 >= 1.0 and y1 - y0 >= 1.0 else None


def _moved(points: Sequence[Point], scale: Scale) -> Iterator[Point]:
    width, height = scale.size
    for point in points[:_MOST_POINTS]:
        x, y = scale.to_pixels(point)
        if 0.0 <= x < width and 0.0 <= y < height:
            yield x, y


def _holds(box: Box, point: Point) -> bool:
    return box[0] <= point[0] <= box[2] and box[1] <= point[1] <= box[3]


def _thinking(text: str) -> str:
    return _TAG.sub("", text).strip()


def _brief(text: str) -> str:
    text = " ".join(text[: 4 * _SHOWN].split())
    shown = "".join(letter for letter in text if letter.isprintable())
    return repr(shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…")
