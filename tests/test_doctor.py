"""The doctor: what is here is said as it is, and what is missing comes with what mends it."""

import json
import os
import sys

import pytest
from chat_server import ChatServer

from streamseg import cli, config, doctor, weights
from streamseg.engines.manifest import MANIFEST
from streamseg.export.xmem_engines import XMemEngines


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
    monkeypatch.setattr(
        doctor.families, "find_spec", lambda name: None if name == package else object()
    )
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


ON_ORT = [
    "segmentation.backend=grabcut",
    "propagation.xmem.height=48",
    "propagation.xmem.windows.from_objects=0",
    "propagation.xmem.engine.family=onnxruntime",
    "propagation.xmem.engine.objects=[1]",
]


def test_where_each_engine_comes_from_is_said_and_what_the_cache_holds(own_cache):
    settings = config.load("selftest", ON_ORT)
    (row,) = doctor.examine(settings)["parts"]
    assert {"xmem_key", "xmem_decode_n1"} <= set(row["files"])
    assert set(row["files"].values()) == {"to be built"}
    assert (row["engine"], row["objects"], row["problem"]) == ("onnxruntime cpu", [1], "")
    network = weights.load_xmem("selftest-xmem", "cpu")
    engines = XMemEngines(network, settings.propagation.xmem.engine, own_cache, 30)
    engines.find("key", None, (48, 96))
    found = doctor.examine(settings)
    assert found["parts"][0]["files"]["xmem_key"] == "cache"
    assert found["parts"][0]["files"]["xmem_decode_n1"] == "to be built"
    (file,) = found["cache"]["files"]
    assert (file["part"], file["format"], file["precision"]) == ("xmem_key", "onnx", "fp32")
    assert file["state"] == "whole"
    text = doctor.to_text(found)
    assert "1 of 5 engines: from the cache" in text
    assert "4 of 5 engines: to be built" in text
    (own_cache / file["file"]).write_bytes(b"tampered with")
    found = doctor.examine(settings)
    assert found["cache"]["files"][0]["state"] == "damaged"
    assert not doctor.can_run(found)
    (own_cache / file["file"]).unlink()
    assert doctor.examine()["cache"]["files"][0]["state"] == "missing"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["-c", "sam2.1-tiny"], "run streamseg models fetch"),
        (
            ["-c", "selftest", "--set", "propagation.xmem.device=cuda:9"],
            "cannot run: device 'cuda:9' is not on this machine",
        ),
        (
            ["-c", "selftest", "--set", "propagation.xmem.engine.family=tensorrt-rtx"],
            "cannot run: nothing runs it",
        ),
        (
            [
                *("-c", "selftest"),
                *(w for o in ON_ORT for w in ("--set", o)),
                *("--set", "propagation.xmem.engine.folder=nowhere"),
            ],
            "found nothing of it; run streamseg export",
        ),
    ],
)
def test_what_a_config_needs_and_is_missing_is_exit_code_1(capsys, monkeypatch, words, told):
    monkeypatch.setenv("HF_HUB_CACHE", "/nowhere")
    with pytest.raises(SystemExit) as done:
        cli.main(["doctor", *words])
    assert done.value.code == 1
    assert told in capsys.readouterr().out


def test_models_that_are_not_here_are_named_with_size_licence_and_command(own_cache, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(own_cache))
    found = doctor.examine(config.load("open"))
    assert not doctor.can_run(found)
    assert {row["state"] for row in found["models"]} == {"to fetch"}
    text = doctor.to_text(found)
    assert (
        "model      IDEA-Research/grounding-dino-tiny: not here (about 690 MB, Apache-2.0)" in text
    )
    assert text.count("run streamseg models fetch open") >= 3


def test_a_file_by_path_that_is_here_or_not(own_cache):
    own_cache.mkdir()
    there = own_cache / "eye.onnx"
    there.write_bytes(b"x")
    changed = [f"reasoning.objects.detector={there}", "segmentation.salient.network=/gone.onnx"]
    rows = doctor.examine(config.load("everyday", changed))["models"]
    assert [row["state"] for row in rows] == ["here", "missing"]
    assert "/gone.onnx" in rows[1]["problem"]


def test_packages_that_a_config_needs_are_told(monkeypatch):
    monkeypatch.setattr(weights.needs, "find_spec", lambda name: None)
    found = doctor.examine(config.load("remote"))
    assert not doctor.can_run(found)
    assert 'package    httpx2: not installed: run pip install "streamseg[remote]"' in (
        doctor.to_text(found)
    )


def test_an_endpoint_answers_refuses_the_key_or_is_not_there(monkeypatch):
    def asked(url, *more):
        named = [f"reasoning.remote.url={url}", "reasoning.remote.model=qwen2.5-vl", *more]
        found = doctor.examine(config.load("remote", named))
        assert doctor.can_run(found) is not bool(found["endpoint"]["problem"])
        return found["endpoint"]

    monkeypatch.setenv("A_KEY", "sesame")
    with ChatServer() as server:
        assert asked(server.url)["said"] == "answers (HTTP 200)"
        server.key = "sesame"
        assert "refuses the key (HTTP 401)" in asked(server.url)["problem"]
        assert asked(server.url, "reasoning.remote.key_env=A_KEY")["problem"] == ""
        gone = server.url
    assert "does not answer" in asked(gone)["problem"]
    monkeypatch.delenv("A_KEY")
    assert "A_KEY" in asked(gone, "reasoning.remote.key_env=A_KEY")["problem"]


def test_what_auto_would_take_and_whether_there_is_a_token_are_told(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("HF_ENDPOINT", "http://bob:hunter2@127.0.0.1:9")
    found = doctor.examine()
    assert found["auto"]["config"] == "classical"
    assert found["hub"]["token"]
    text = doctor.to_text(found)
    assert "auto       config auto took classical; everyday would give more" in text
    assert "127.0.0.1:9, a token" in text
    assert "hf_secret" not in text + doctor.to_json(found)
    assert "hunter2" not in text + doctor.to_json(found)


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
