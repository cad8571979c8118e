"""The table of conventions: there and back, and against transformers' own resizing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

from streamseg.errors import CheckpointError, ConfigError, ReasoningError
from streamseg.reasoning.language.coordinates import (
    FAMILIES,
    Convention,
    Family,
    Scale,
    family_of,
    fitted,
    scale_of,
    stated,
    type_from_name,
)

sides = st.integers(1, 4096)


@given(sides, sides, st.sampled_from((28, 32)), st.integers(1, 60), st.integers(1, 2000))
def test_pictures_are_fitted_as_transformers_fits_them(
    width: int, height: int, cell: int, least: int, more: int
) -> None:
    low, high = least * cell**2, (least + more) * cell**2
    if max(width, height) > 200 * min(width, height):
        with pytest.raises(ReasoningError, match="factor of at most 200"):
            fitted(width, height, cell, low, high)
        with pytest.raises(ValueError, match="aspect ratio"):
            smart_resize(height, width, cell, low, high)
        return
    assert fitted(width, height, cell, low, high)[::-1] == smart_resize(
        height, width, cell, low, high
    )


@pytest.mark.parametrize(
    ("model_type", "name", "size", "box", "written"),
    [
        # 1919x1079 fits 1904x1092 within two million pixels.
        ("qwen2_5_vl", "", (1919, 1079), (0, 0, 1919, 1079), (0, 0, 1932, 1092)),
        ("qwen2_5_vl", "", (640, 360), (320, 90, 640, 180), (322, 91, 644, 182)),
        ("qwen2_vl", "", (640, 360), (320, 90, 640, 180), (500, 250, 1000, 500)),
        ("qwen3_vl", "", (333, 777), (111, 259, 222, 518), (333, 333, 667, 667)),
        (
            "qwen2_5_vl",
            "Ricky06662/VisionReasoner-7B",
            (1280, 720),
            (640, 180, 960, 360),
            (420, 210, 630, 420),
        ),
    ],
)
def test_each_family_writes_its_own_numbers(
    model_type: str,
    name: str,
    size: tuple[int, int],
    box: tuple[float, float, float, float],
    written: tuple[int, int, int, int],
) -> None:
    scale = scale_of(family_of(model_type, name), *size, pixels=1932 * 1092)
    assert scale.box_to_model(box) == written


families = st.sampled_from([*FAMILIES.values(), Family(Convention.SQUARE)])


@given(families, st.integers(17, 3001), st.integers(17, 3001), st.data())
def test_there_and_back_is_off_by_half_a_unit_at_most(
    family: Family, width: int, height: int, data: st.DataObject
) -> None:
    scale = scale_of(family, width, height, pixels=400_000)
    x, y = data.draw(st.floats(0, width)), data.draw(st.floats(0, height))
    back_x, back_y = scale.to_pixels(scale.to_model((x, y)))
    assert abs(back_x - x) <= 0.5001 * width / scale.span[0]
    assert abs(back_y - y) <= 0.5001 * height / scale.span[1]
    assert scale.to_model(scale.to_pixels(scale.to_model((x, y)))) == scale.to_model((x, y))


@given(families, st.integers(200, 3001), st.integers(200, 3001), st.integers(1, 3_000_000))
def test_a_processor_leaves_what_is_shown_as_it_is(
    family: Family, width: int, height: int, pixels: int
) -> None:
    across, down = scale_of(family, width, height, pixels).shown
    assert smart_resize(down, across, family.cell, family.least, family.most) == (down, across)


@given(families, st.integers(200, 3001), st.integers(200, 3001), st.integers(1, 3_000_000))
def test_what_is_shown_keeps_to_the_budget_and_to_whole_cells(
    family: Family, width: int, height: int, pixels: int
) -> None:
    across, down = scale_of(family, width, height, pixels).shown
    assert across % family.cell == 0
    assert down % family.cell == 0
    if family.convention is Convention.SQUARE:
        assert (across, down) == (840, 840)
    elif max(width, height) < 5 * min(width, height):
        assert family.least <= across * down <= max(pixels, 3 * family.least)


def test_what_lies_outside_is_written_at_the_border() -> None:
    scale = Scale((100, 100), (112, 112), (1000, 1000))
    assert scale.box_to_model((-5, -5, 150, 99)) == (0, 0, 1000, 990)


def test_a_convention_is_said_by_the_config_first_then_by_the_checkpoint() -> None:
    name = "Ricky06662/VisionReasoner-7B"
    assert family_of("qwen2_5_vl").convention is Convention.RESIZED
    assert family_of("qwen2_5_vl", name).convention is Convention.SQUARE
    assert family_of("qwen2_5_vl", name, "thousand").convention is Convention.THOUSAND
    assert family_of("internvl", convention="thousand").convention is Convention.THOUSAND
    assert family_of("qwen3_vl", convention="resized").cell == 32


STATED = {"convention": "stretched", "size": [160, 100], "cell": 20}


def test_a_checkpoint_may_state_a_size_that_pictures_are_stretched_to() -> None:
    family = stated({"model_type": "qwen3_vl", "coordinates": STATED})
    assert family is not None
    scale = scale_of(family, 640, 480, pixels=400)
    assert scale.shown == scale.span == (160, 100)
    assert scale.to_model((320.0, 240.0)) == (80, 50)
    assert stated({"model_type": "qwen3_vl"}) is None


@pytest.mark.parametrize(
    "changed",
    [
        {"convention": "thousand"},
        {"size": [160]},
        {"size": [161, 100]},
        {"size": [160.0, 100]},
        {"size": [20_000, 100]},
        {"cell": 0},
        {"cell": "20"},
    ],
)
def test_what_a_checkpoint_states_must_be_able_to_be(changed: dict[str, object]) -> None:
    with pytest.raises(CheckpointError, match="expected coordinates with"):
        stated({"coordinates": {**STATED, **changed}})
    with pytest.raises(CheckpointError, match="expected coordinates with"):
        stated({"coordinates": "stretched"})


def test_an_unknown_model_is_not_guessed_at() -> None:
    with pytest.raises(ConfigError, match=r"to one of resized, thousand, square840; known"):
        family_of("internvl")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Qwen/Qwen2.5-VL-7B-Instruct-AWQ", "qwen2_5_vl"),
        ("qwen2.5vl:7b", "qwen2_5_vl"),
        ("qwen2-vl-72b-instruct", "qwen2_vl"),
        ("Qwen/Qwen3-VL-8B-Instruct", "qwen3_vl"),
        ("Ricky06662/VisionReasoner-7B", "qwen2_5_vl"),
        ("Qwen/Qwen2.5-7B-Instruct", ""),
        ("gpt-4o", ""),
    ],
)
def test_an_endpoints_model_is_known_by_its_public_name(name: str, kind: str) -> None:
    assert type_from_name(name) == kind
