"""The doctor: what is here is said as it is, and what is missing comes with what mends it."""

import json
import os
import sys

import pytest

from streamseg import cli, config, doctor
from streamseg.engines.manifest import MANIFEST


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("STREAMSEG_CACHE", str(tmp_path))
    return tmp_path / "engines"


def test_the_machine_is_described():
    machine = doctor.examine()["machine"]
    assert machine["cores"] == len(os.sched_getaffinity(0))
    assert 0 < machine["free_gib"] <= machine["memory_gib"]
    assert machine["processor"]


def test_every_family_is_usable_or_says_why_not_and_what_to_do():
    families = doctor.examine()["families"]
    assert {"torch", "onnxruntime cpu", "onnxruntime cuda", "tensorrt", "tensorrt-rtx"} <= set(
        families
    )
    assert families["torch"]["usable"]
    assert families["onnxruntime cpu"]["usable"]
    for family in families.values():
        assert family["detail"]
        assert family["usable"] or family["mend"]


@pytest.mark.parametrize(
    ("package", "family", "extra"),
    [
        ("torch", "torch", "neural"),
        ("onnxruntime", "onnxruntime cpu", "export"),
        ("tensorrt", "tensorrt", "tensorrt"),
    ],
)
def test_a_package_that_is_missing_names_its_extra(monkeypatch, package, family, extra):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setattr(doctor, "find_spec", lambda name: None if name == package else object())
    found = doctor.examine()["families"][family]
    assert not found["usable"]
    assert f'pip install "streamseg[{extra}]"' in found["mend"]


def test_the_engines_of_a_config_are_named_with_their_reason():
    changed = [
        "propagation.xmem.engine.family=onnxruntime",
        "propagation.xmem.engine.providers=[tensorrt]",
        "propagation.xmem.engine.fallback=[torch]",
    ]
    first, second = doctor.examine(config.load("selftest", changed))["parts"]
    assert (first["part"], first["engine"]) == ("propagation.xmem", "torch")
    assert "onnxruntime tensorrt is not usable" in first["reason"]
    assert second["part"] == "segmentation.sam2"
    alone = doctor.examine(config.load("selftest", changed[:2]))["parts"][0]
    assert alone["engine"] == "nothing"


def test_a_damaged_cache_is_told(own_cache):
    own_cache.mkdir()
    (own_cache / MANIFEST).write_text("{")
    assert "cannot read" in doctor.examine()["cache"]["problem"]


@pytest.mark.parametrize(
    "words", [[], ["--json"], ["-c", "selftest"], ["-c", "classical", "--json"]]
)
def test_the_command_speaks_plainly_and_as_json(capsys, words):
    with pytest.raises(SystemExit) as done:
        cli.main(["doctor", *words])
    assert done.value.code == 0
    out = capsys.readouterr().out
    if "--json" in words:
        assert set(json.loads(out)) >= {"machine", "gpus", "families", "cache"}
    else:
        assert out.startswith("streamseg ")
        assert "tensorrt-rtx" in out
        assert ("propagation.xmem" in out) == bool(words)
