"""Synthetic sentences said in a roundabout way: they take knowledge of the world, not of pictures.

"the red disc" becomes "the disc that has the colour of a ripe tomato". The answer stays.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from streamseg.synthetic import Expression

COLOURS: Mapping[str, str] = {
    "red": "a ripe tomato",
    "orange": "a carrot",
    "yellow": "a canary",
    "green": "fresh grass",
    "cyan": "a shallow lagoon",
    "blue": "a clear sky",
    "purple": "an aubergine",
    "pink": "a flamingo",
    "white": "clean snow",
    "black": "coal",
    "gray": "ashes",
    "brown": "tree bark",
}
SHAPES: Mapping[str, str] = {
    "ball": "thing that would roll downhill",
    "disc": "thing like a coin",
    "circle": "thing drawn with compasses",
    "square": "thing with four equal sides",
    "triangle": "thing with three corners",
    "star": "thing like those in the night sky",
    "ring": "thing to be worn on a finger",
    "ellipse": "thing outlined like a planet's orbit",
    "oval": "thing outlined like an egg",
}
_COLOURED = re.compile(rf"\b({'|'.join(COLOURS)}) (\w+)")
_SHAPED = re.compile(rf"\b({'|'.join(SHAPES)})\b")


def said_roundabout(expression: Expression, way: int) -> Expression:
    """The same said by its colour, its shape, or both, in other words (`way` modulo 3); the
    sentence as it is where it has no such word."""
    text = expression.text
    if way % 3 != 0:
        text = _SHAPED.sub(lambda found: SHAPES[found[1]], text)
    if way % 3 != 1:
        text = _COLOURED.sub(_by_colour, text)
    return replace(expression, text=text)


def _by_colour(found: re.Match[str]) -> str:
    return f"{found[2]} that has the colour of {COLOURS[found[1]]}"
