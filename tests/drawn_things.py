"""Things drawn on a plain ground, a few frames of them, and what the attribute reasoner says."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from streamseg.reasoning import GroundingRequest
from streamseg.reasoning.attribute import AttributeReasoner
from streamseg.types import Frame, Grounding, Image, Mask

RED, BLUE, GREEN, YELLOW, WHITE = (
    (205, 40, 40), (40, 80, 205), (50, 160, 65), (240, 210, 50), (240, 240, 238),
)  # fmt: skip
Thing = tuple[str, tuple[int, int, int], tuple[float, float], float, tuple[float, float]]
"""Shape, colour, centre, radius, velocity in pixels per frame."""


def outline(shape: str, centre: tuple[float, float], radius: float) -> Mask:
    """Draw one shape as a (360, 640) bool mask."""
    mask = np.zeros((360, 640), np.uint8)
    x, y = centre
    if shape in ("disc", "ring"):
        cv2.circle(mask, (round(x), round(y)), round(radius), 1, cv2.FILLED)
        if shape == "ring":
            cv2.circle(mask, (round(x), round(y)), round(0.55 * radius), 0, cv2.FILLED)
        return mask > 0
    points = {"square": [1.3] * 4, "triangle": [1.35] * 3, "star": [1.35, 0.6] * 5}[shape]
    turn = 2 * np.pi * np.arange(len(points)) / len(points) - np.pi / (
        4 if shape == "square" else 2
    )
    corners = np.stack([np.cos(turn), np.sin(turn)], 1) * np.asarray(points)[:, None] * radius
    cv2.fillPoly(mask, [np.round(corners + centre).astype(np.int32)], 1)
    return mask > 0


def frames(
    things: Sequence[Thing], count: int = 6, pan: tuple[float, float] = (0.0, 0.0)
) -> tuple[Frame, ...]:
    """Paint things moving over a mottled ground, every third frame of 30 a second."""
    rng = np.random.default_rng(5)
    mottle = cv2.GaussianBlur(rng.normal(0, 60, (420, 720)), (0, 0), 6)
    made = []
    for k in range(count):
        shift = np.asarray(pan) * 3 * k
        move = np.float32([[1, 0, -40 - shift[0]], [0, 1, -30 - shift[1]]])
        ground = 150 + cv2.warpAffine(mottle, move, (640, 360))
        image = np.repeat(ground[..., None], 3, axis=2)
        for shape, colour, centre, radius, velocity in things:
            at = np.asarray(centre) + np.asarray(velocity) * 3 * k - shift
            image[outline(shape, (float(at[0]), float(at[1])), radius)] = colour
        image = cv2.GaussianBlur(image, (0, 0), 0.7) + rng.normal(0, 2, image.shape)
        picture: Image = np.clip(image, 0, 255).astype(np.uint8)
        made.append(Frame(3 * k, k * 100_000_000, 0, picture))
    return tuple(made)


def ask(text: str, segment: tuple[Frame, ...], **options: object) -> Grounding:
    request = GroundingRequest(text, segment[-1], segment, **options)  # type: ignore[arg-type]
    return AttributeReasoner().ground(request)
