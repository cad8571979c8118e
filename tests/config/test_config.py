"""The configuration: shipped files load, overrides apply, mistakes are answered helpfully."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from streamseg import config
from streamseg.errors import ConfigError

SHIPPED = [
    "classical",
    "everyday",
    "sam2.1-base-plus",
    "sam2.1-large",
    "sam2.1-small",
    "sam2.1-tiny",
    "selftest",
]


def test_the_shipped_configs_are_available() -> None:
    assert set(SHIPPED) <= set(config.available())
    assert config.available() == sorted(config.available())


@pytest.mark.parametrize("name", sorted({*config.available()} - {config.AUTO}))
def test_every_shipped_config_loads_under_its_own_name(name: str) -> None:
    loaded = config.load(name)
    assert loaded.name == name
    assert loaded.description


def test_classical_is_the_defaults() -> None:
    loaded = config.load("classical")
    assert loaded.model_copy(update={"description": ""}) == config.Config()


def test_everyday_sees_with_a_detector_and_cuts_with_two_cutters() -> None:
    loaded = config.load("everyday")
    assert loaded.reasoning.fast.backend == "objects"
    assert loaded.reasoning.objects.detector == "d-fine-nano"
    assert loaded.segmentation.backend == "salient"
    assert loaded.segmentation.salient.network == "u2netp"
    assert loaded.trigger.refresh_s < config.load("classical").trigger.refresh_s


@pytest.mark.parametrize("size", ["tiny", "small", "base-plus", "large"])
def test_sam2_configs_name_the_public_checkpoints(size: str) -> None:
    loaded = config.load(f"sam2.1-{size}")
    assert loaded.segmentation.backend == "sam2"
    assert loaded.segmentation.sam2.checkpoint == f"sam2.1-hiera-{size}"
    assert loaded.propagation.backend == "xmem"
    assert loaded.propagation.xmem.checkpoint == "xmem"


@pytest.mark.parametrize("name", ["cpu", "jetson-orin", "rtx", "server"])
def test_a_config_for_a_machine_runs_both_stages_as_that_machine_runs_best(name: str) -> None:
    loaded = config.load(name)
    stages = loaded.segmentation.sam2, loaded.propagation.xmem
    cut, carry = (stage.engine for stage in stages)
    assert not cut.is_plain
    assert (cut.family, cut.precision, cut.fallback) == (
        carry.family,
        carry.precision,
        carry.fallback,
    )
    assert len({stage.device for stage in stages}) == 1


def test_selftest_says_that_its_masks_mean_nothing() -> None:
    loaded = config.load("selftest")
    assert "mean nothing" in loaded.description
    assert loaded.segmentation.sam2.checkpoint == "selftest-sam2"
    assert loaded.propagation.xmem.checkpoint == "selftest-xmem"


def test_overrides_apply_in_order_and_leave_the_rest() -> None:
    loaded = config.load(
        "selftest", ["trigger.cooldown_s=1", "trigger.cooldown_s=2.5", "sinks.overlay=false"]
    )
    assert loaded.trigger.cooldown_s == 2.5
    assert loaded.sinks.overlay is False
    assert loaded.segmentation.sam2.checkpoint == "selftest-sam2"


def test_an_override_may_clear_a_value() -> None:
    loaded = config.load("selftest", ["segmentation.sam2.box_margin=null"])
    assert loaded.segmentation.sam2.box_margin is None


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("trigger.cooldwon_s=1", r"'trigger\.cooldwon_s' \(did you mean 'cooldown_s'\?\)"),
        ("triger.cooldown_s=1", r"'triger' \(did you mean 'trigger'\?\)"),
        ("qqqq=1", r"unknown config key 'qqqq'; known here: .*segmentation"),
        ("trigger.cooldown_s", r"expected KEY=VALUE"),
        ("=1", r"expected KEY=VALUE"),
        ("trigger.cooldown_s=[", r"'\[' is not a YAML value"),
        ("name.first=1", r"'name' is a value, not a section"),
        ("trigger.cooldown_s=-1", r"trigger\.cooldown_s: .*greater than or equal to 0, got -1"),
        ("trigger.cooldown_s=soon", r"trigger\.cooldown_s: .*number.*got \"soon\""),
        ("segmentation.backend=sam3", r"segmentation\.backend: .*'sam2'.*got \"sam3\""),
        ("trigger=3", r"config trigger: "),
    ],
)
def test_a_wrong_override_is_answered(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        config.load("classical", [override])
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_every_mistake_is_named_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        config.parse({"trigger": {"colldown_s": 1}, "buffer": {"max_frames": 0}})
    assert "'trigger.colldown_s'" in str(caught.value)
    assert "buffer.max_frames" in str(caught.value)


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"'selftset' \(did you mean 'selftest'\?\)"):
        config.load("selftset")


def test_a_file_loads_by_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\nbuffer: {seconds: 2}\n")
    for given_path in (path, str(path)):
        loaded = config.load(given_path, ["buffer.max_frames=9"])
        assert (loaded.name, loaded.buffer.seconds, loaded.buffer.max_frames) == ("mine", 2.0, 9)


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "empty.yaml"
    path.touch()
    assert config.load(path) == config.Config()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: [", "is not valid YAML"),
        (b"- 1\n- 2\n", "expected a mapping at the top, got list"),
        (b"just words", "expected a mapping at the top, got str"),
        (b"\xff\xfe\x00", "cannot read config"),
        (b"name: !!python/object/apply:os.system ['true']", "is not valid YAML"),
        (b"1: 2\n", "config 1: "),
    ],
)
def test_a_file_that_is_no_config_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=message) as caught:
        config.load(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read config .*gone\.yaml"):
        config.load(tmp_path / "gone.yaml")


def sections(model: type[BaseModel]) -> list[type[BaseModel]]:
    inner = [field.annotation for field in model.model_fields.values()]
    models = [kind for kind in inner if isinstance(kind, type) and issubclass(kind, BaseModel)]
    return [model, *(found for kind in models for found in sections(kind))]


@pytest.mark.parametrize("section", sections(config.Config), ids=lambda kind: kind.__name__)
def test_every_section_is_frozen_and_closed(section: type[BaseModel]) -> None:
    instance = section()
    name = next(iter(section.model_fields))
    with pytest.raises(ValidationError, match="frozen"):
        setattr(instance, name, getattr(instance, name))
    with pytest.raises(ValidationError, match="not permitted"):
        section.model_validate({"no such key": 1})


def test_a_config_survives_a_round_trip() -> None:
    loaded = config.load("selftest")
    assert config.parse(loaded.model_dump(mode="json")) == loaded


@given(st.text(max_size=40))
def test_any_override_loads_or_is_a_config_error(text: str) -> None:
    message = ""
    try:
        config.load("classical", [text])
    except ConfigError as error:
        message = str(error)
    assert "\n" not in message


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["trigger", "name", "x"]) | st.text(), inner)
        ),
        max_leaves=12,
    ).filter(lambda value: isinstance(value, dict))
)
def test_any_mapping_parses_or_is_a_config_error(values: dict[str, object]) -> None:
    with contextlib.suppress(ConfigError):
        assert isinstance(config.parse(values), config.Config)


ENGINE = "propagation.xmem.engine"


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ([f"{ENGINE}.autocast=true", f"{ENGINE}.precision=fp16"], "expected precision fp32"),
        ([f"{ENGINE}.autocast=true", f"{ENGINE}.precision=bf16"], "expected precision fp32"),
        ([f"{ENGINE}.family=onnxruntime", f"{ENGINE}.compile=true"], "compile is for torch"),
        ([f"{ENGINE}.family=tensorrt", f"{ENGINE}.autocast=true"], "autocast is for torch"),
        (
            [f"{ENGINE}.family=onnxruntime", f"{ENGINE}.cuda_graph=true"],
            "cuda_graph is for tensorrt and tensorrt-rtx and torch",
        ),
        ([f"{ENGINE}.cuda_graph=true"], "cuda_graph: expected device cuda, or auto.*got cpu"),
        ([f"{ENGINE}.threads=2"], "threads is for onnxruntime, but family and fallback name torch"),
        ([f"{ENGINE}.providers=[cuda]"], "providers is for onnxruntime"),
        ([f"{ENGINE}.folder=engines"], "folder is for onnxruntime and tensorrt"),
        ([f"{ENGINE}.fallback=[onnxruntime]", f"{ENGINE}.precision=bf16"], "no bfloat16 on a CPU"),
        ([f"{ENGINE}.providers=[]"], "providers: .*at least 1 item"),
        ([f"{ENGINE}.autocast=maybe"], "autocast: "),
        ([f"{ENGINE}.packed=true", f"{ENGINE}.compile=true"], "packed is for .* neither autocast"),
        ([f"{ENGINE}.packed=true", f"{ENGINE}.autocast=true"], "packed is for .* nor compile"),
        ([f"{ENGINE}.packed=true", f"{ENGINE}.precision=fp16"], "packed is for .* precision fp16"),
        ([f"{ENGINE}.packed=true", f"{ENGINE}.family=onnxruntime"], "packed is for torch, but"),
    ],
)
def test_engine_settings_that_do_not_go_together_are_refused(
    overrides: list[str], words: str
) -> None:
    with pytest.raises(ConfigError, match=f"config propagation.xmem.*{words}") as told:
        config.load("selftest", overrides)
    assert len(str(told.value).splitlines()) == 1


@pytest.mark.parametrize(
    "overrides",
    [
        [f"{ENGINE}.autocast=true", f"{ENGINE}.channels_last=true"],
        [f"{ENGINE}.packed=true", f"{ENGINE}.precision=bf16"],
        [f"{ENGINE}.family=tensorrt", f"{ENGINE}.fallback=[torch]", f"{ENGINE}.compile=true"],
        [f"{ENGINE}.cuda_graph=true", "propagation.xmem.device=cuda:1"],
        [f"{ENGINE}.family=tensorrt-rtx", f"{ENGINE}.folder=engines"],
        [f"{ENGINE}.family=onnxruntime", f"{ENGINE}.precision=fp16", f"{ENGINE}.threads=1"],
    ],
)
def test_engine_settings_that_go_together_are_taken(overrides: list[str]) -> None:
    assert config.load("selftest", overrides).propagation.xmem.engine != config.EngineConfig()


def test_only_a_bare_network_is_plain() -> None:
    assert config.EngineConfig().is_plain
    for name in ("channels_last", "packed", "autocast", "compile", "cuda_graph"):
        assert not config.EngineConfig.model_validate({name: True}).is_plain
    assert not config.EngineConfig(precision="bf16").is_plain
    assert not config.EngineConfig(family="onnxruntime").is_plain


def numbers(model: type[BaseModel], inside: str = "") -> list[tuple[str, object]]:
    """Every field of the config that takes a number, and whether in a list, by its dotted key."""
    found: list[tuple[str, object]] = []
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            found += numbers(kind, f"{inside}{name}.")
        elif "int" in str(kind) or "float" in str(kind):
            found.append((f"{inside}{name}", "tuple" in str(kind)))
    return found


NUMBERS = numbers(config.Config)


def nested(key: str, value: object) -> dict[str, object]:
    for part in reversed(key.split(".")):
        value = {part: value}
    assert isinstance(value, dict)
    return value


def test_the_walk_finds_the_numbers() -> None:
    keys = {key for key, _ in NUMBERS}
    assert {"source.stall_s", "buffer.max_bytes", "propagation.xmem.engine.objects"} <= keys
    assert len(keys) > 90


IMPOSSIBLE = (
    *(float("inf"), float("-inf"), float("nan"), 1e300, -1e300, 10**400, -(10**400), 2**63),
    *(-(2**40), True, "3", "soon", [], {}),
)


@pytest.mark.parametrize(("key", "listed"), NUMBERS)
def test_a_number_that_cannot_be_is_refused_by_its_name(key: str, listed: bool) -> None:
    for value in IMPOSSIBLE:
        with pytest.raises(ConfigError, match=rf"config {key}[.0-9]*: .*got ") as told:
            config.parse(nested(key, [value] if listed else value))
        assert "\n" not in str(told.value)
        assert len(str(told.value)) < 300


@pytest.mark.parametrize(
    "override",
    [
        "trigger.cooldown_s=.inf",
        "trigger.cooldown_s=1e300",
        f"buffer.max_frames={10**390}",
        f"trigger.cooldown_s={'9' * 5000}",
        "trigger.cooldown_s=1:61:1e9",
    ],
)
def test_an_override_out_of_range_is_refused_by_name(override: str) -> None:
    with pytest.raises(ConfigError, match=override.partition("=")[0]) as told:
        config.load("classical", [override])
    assert len(str(told.value)) < 400


def test_a_number_may_be_written_as_people_do() -> None:
    assert config.load("classical", ["trigger.cooldown_s=1e-3"]).trigger.cooldown_s == 0.001
    assert config.load("classical", ["trigger.cooldown_s=2"]).trigger.cooldown_s == 2.0


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("a." * 5000 + "b=1", "a key of at most 8 parts"),
        ("k" * 100_000 + "=1", "unknown config key 'kkk"),
        ("trigger=" + "[" * 30_000, "levels of nesting"),
        ("trigger.cooldown_s={a: 1, a: 2}", "stands there twice"),
        ("trigger={1: 2}", "config trigger.1: keys should be strings"),
        ('segmentation.sam2.checkpoint="a\\0b"', "without NUL characters"),
        (f"segmentation.sam2.checkpoint={'a' * 5000}", "at most 4096 characters"),
        ("a\nb=1", "unknown config key 'a b'"),
    ],
)
def test_an_override_that_is_too_much_is_refused(override: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as told:
        config.load("classical", [override])
    assert "\n" not in str(told.value)
    assert len(str(told.value)) < 500


def test_a_thousand_mistakes_are_one_short_line() -> None:
    with pytest.raises(ConfigError, match="and 992 more mistakes") as told:
        config.parse({f"key{index}": 1 for index in range(1000)})
    assert len(str(told.value)) < 3000


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("a\0b.yaml", "NUL"),
        ("x" * 5000 + ".yaml", "less than 4096 bytes"),
        ("x" * 300 + ".yaml", "names of at most 255"),
        ("", "an empty one"),
        ("/dev/null.d/x.yaml", "Not a directory|No such file"),
        ("https://bob:hunter2@host/c?key=hunter2", r"https://\*\*\*@host/c\?\*\*\*"),
    ],
)
def test_a_path_that_cannot_be_is_refused(path: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as told:
        config.load(path)
    assert "hunter2" not in str(told.value)
    assert len(str(told.value)) < 700


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    with pytest.raises(ConfigError, match="expected a file"):
        config.load(tmp_path / "pipe.yaml")
    (tmp_path / "endless.yaml").symlink_to("/dev/zero")
    with pytest.raises(ConfigError, match="expected a file"):
        config.load(tmp_path / "endless.yaml")


def test_a_huge_file_is_not_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "huge.yaml"
    with path.open("wb") as file:
        file.truncate(2**33)  # 8 GiB of nothing, on no disk
    with pytest.raises(ConfigError, match="at most 32768 characters"):
        config.load(path)
