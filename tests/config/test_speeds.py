"""The two speeds of reasoning in the config, in full and in short."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamseg import config
from streamseg.config import ReasoningConfig, SpeedConfig
from streamseg.errors import ConfigError
from streamseg.types import Speed


def test_what_is_not_said_is_attribute_and_nobody() -> None:
    for said in ({}, {"fast": {}}, {"fast": {"deadline_s": 3.0}}, {"deadline_s": 3.0}):
        loaded = config.parse({"reasoning": said}).reasoning
        assert (loaded.fast.backend, loaded.deep.backend) == ("attribute", "none")


@pytest.mark.parametrize("key", SpeedConfig.model_fields)
def test_every_setting_of_the_fast_one_may_be_written_in_short(key: str) -> None:
    value = {"backend": "objects", "crash_limit": 3}.get(key, 7.0)
    short = config.parse({"reasoning": {key: value}})
    assert short == config.parse({"reasoning": {"fast": {key: value}}})
    assert getattr(short.reasoning.fast, key) == value
    assert getattr(short.reasoning.deep, key) == getattr(SpeedConfig(), key)


def test_a_short_key_and_a_full_one_override_each_other_in_order(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("reasoning: {backend: objects, deadline_s: 3}\n")
    keys = ["reasoning.deadline_s=4", "reasoning.fast.deadline_s=5"]
    for order in (keys, keys[::-1]):
        fast = config.load(path, order).reasoning.fast
        assert fast.deadline_s == float(order[-1].partition("=")[2])
        assert fast.backend == "objects"
    both = config.load(path, ["reasoning.fast.backend=none", "reasoning.deep.backend=attribute"])
    assert both.reasoning.fast.backend == "none"


def test_each_speed_has_its_own_settings() -> None:
    loaded = config.parse({"reasoning": {"deep": {"backend": "attribute", "delay_s": 1.5}}})
    assert loaded.reasoning.speed(Speed.DEEP) is loaded.reasoning.deep
    assert loaded.reasoning.speed(Speed.FAST) is loaded.reasoning.fast
    assert (loaded.reasoning.deep.delay_s, loaded.reasoning.fast.delay_s) == (1.5, 0.0)


def test_a_config_comes_back_from_what_is_handed_to_a_process() -> None:
    made = ReasoningConfig.model_validate({"backend": "none", "deep": {"backend": "objects"}})
    assert ReasoningConfig.model_validate_json(made.model_dump_json()) == made


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("reasoning.backend=vml", r"reasoning\.fast\.backend: .*'attribute'.*got \"vml\""),
        ("reasoning.backend=vml", r"\(reasoning\.backend for short\)"),
        ("reasoning.fast.deadline_s=-1", r"got -1 \(reasoning\.deadline_s for short\)"),
        ("reasoning.deep.deadline_s=-1", r"reasoning\.deep\.deadline_s: .*got -1$"),
        ("reasoning.bakend=attribute", r"'reasoning\.bakend' \(did you mean 'backend'\?\)"),
        ("reasoning.fast.bakend=x", r"'reasoning\.fast\.bakend' \(did you mean 'backend'\?\)"),
        ("reasoning.fast.backend=none", r"expected fast\.backend or deep\.backend, got none"),
        (
            "reasoning={backend: attribute, fast: {backend: objects}}",
            r"config reasoning: backend and fast\.backend are one setting: expected one",
        ),
        ("reasoning={backend: attribute, fast: 3}", r"config reasoning: backend and fast.backend"),
        ("reasoning.fast=3", r"config reasoning\.fast: "),
    ],
)
def test_a_mistake_is_answered_by_both_names(override: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as told:
        config.load("classical", [override])
    assert "\n" not in str(told.value)
