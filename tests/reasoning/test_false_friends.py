"""What bears the colour asked for without being the thing: leaves, walls, specks, hair."""

from __future__ import annotations

import cv2
import numpy as np

from streamseg.reasoning import GroundingRequest
from streamseg.reasoning.attribute import AttributeReasoner, colours_in
from streamseg.reasoning.scoring import View
from streamseg.reasoning.seen import candidates
from streamseg.reasoning.seen.colour import INDEX, word_weights
from streamseg.reasoning.seen.picture import observe
from streamseg.reasoning.words import grammar
from streamseg.types import Frame, Grounding, Image

GREEN, WHITE, BROWN, GRAY, BLUE = (
    (40, 150, 50), (240, 240, 240), (120, 70, 35), (110, 110, 112), (40, 70, 200),
)  # fmt: skip
WIDTH, HEIGHT = 320, 180


def ground(colour: tuple[int, int, int] = (165, 165, 165)) -> Image:
    """Mottled, so that motion can be told."""
    noise = np.random.default_rng(5).normal(0, 60, (HEIGHT, WIDTH)).astype(np.float32)
    mottle = cv2.GaussianBlur(noise, (0, 0), 2)[..., None]
    return np.clip(np.asarray(colour) + mottle, 0, 255).astype(np.uint8)


def frames(images: list[Image]) -> tuple[Frame, ...]:
    return tuple(Frame(k, round(k * 1e8), 0, image) for k, image in enumerate(images))


def view(text: str, *images: Image) -> View:
    segment = frames(list(images))
    picture = observe(segment[-1], segment)
    return View(picture, candidates.find(picture, colours_in(grammar.parse(text))))


def ask(text: str, *images: Image) -> Grounding:
    segment = frames(list(images))
    return AttributeReasoner().ground(GroundingRequest(text, segment[-1], segment))


def at(shown: View, x: int, y: int) -> int:
    """The candidate around a point."""
    items = enumerate(shown.candidates)
    return next(k for k, i in items if i.x0 <= x < i.x1 and i.y0 <= y < i.y1)


def with_disc(image: Image, radius: int = 14) -> Image:
    cv2.circle(image, (240, 90), radius, GREEN, cv2.FILLED)
    return image


def test_where_a_colour_lies_all_about_an_object_has_to_be_more_of_one() -> None:
    alone = view("the green ball", with_disc(ground()))
    hedge = with_disc(ground())
    hedge[:, :130] = ground(GREEN)[:, :130]
    beside = view("the green ball", hedge)
    (first,), (second,) = (
        [shown.least_objectness(["green"])[at(shown, 240, 90)]] for shown in (alone, beside)
    )
    assert first < 0.15
    assert second > 0.25
    # A ball is a ball beside a hedge, too.
    (target,) = ask("the green ball", hedge).targets
    assert abs(target.box[0] - 226) < 6
    assert abs(target.box[2] - 254) < 6


def test_a_speck_has_to_be_more_of_an_object() -> None:
    for radius, least in ((4, 0.25), (14, 0.0)):
        shown = view("the green ball", with_disc(ground(), radius))
        found = float(shown.least_objectness(["green"])[at(shown, 240, 90)])
        assert found >= least
        assert (found < 0.15) == (least == 0.0)


def test_a_wall_is_no_closed_thing_and_a_board_on_it_is() -> None:
    image = ground((90, 60, 40))
    image[:100, :200] = WHITE
    image[120:165, 230:290] = WHITE
    shown = view("the white table", image)
    assert shown.closed[at(shown, 20, 20)] < 1.0
    assert shown.closed[at(shown, 260, 140)] == 1.0
    (target,) = ask("the white table", image).targets
    assert target.box[0] > 200


def walking(hair: bool) -> list[Image]:
    """A brown patch that walks to the right, on a figure or by itself."""
    images = []
    for step in range(4):
        image, x = ground(), 100 + 6 * step
        if hair:
            image[30:170, x - 14 : x + 54] = GRAY
        image[50:80, x : x + 40] = BROWN
        images.append(image)
    return images


def test_what_moves_with_all_that_lies_around_it_is_no_animal() -> None:
    hair, dog = (view("the brown dog", *walking(hair)) for hair in (True, False))
    on_figure, by_itself = hair.alone[at(hair, 138, 65)], dog.alone[at(dog, 138, 65)]
    assert on_figure < 0.3
    assert by_itself > 0.7
    assert not ask("the brown dog", *walking(True)).targets
    assert ask("the brown dog", *walking(False)).targets


def test_the_most_of_what_is_not_known_cannot_be_told() -> None:
    image = with_disc(ground())
    assert ask("the biggest gizmo", image).cannot_tell
    assert ask("the biggest thing", image).targets
    assert ask("the biggest green gizmo", image).targets


def test_silver_shines() -> None:
    weights = word_weights("silver")
    assert weights[INDEX["gray"]] == 1.0
    assert word_weights("gray")[INDEX["white"]] < 0.5 < weights[INDEX["white"]] < 1.0
