"""Which config `auto` takes, by the files and packages that are here, and what it says of that."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from command_line import caller
from hub_server import Hub

from streamseg import StreamSegmenter, config
from streamseg.errors import CheckpointError
from streamseg.offline import VideoSegmenter
from streamseg.weights import auto, needs, registry

DINO = "IDEA-Research/grounding-dino-tiny"
OF_A_REPOSITORY = ("config.json", "tokenizer.json", "preprocessor_config.json", "model.safetensors")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty caches, ours and the hub's."""
    monkeypatch.setenv("STREAMSEG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path


def put(cache: Path, *names: str) -> None:
    """Files of the registry's models in our cache, as by hand."""
    for name in names:
        for file in registry.MODELS[name].files:
            place = cache / "cache" / name / file
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(b"{}")


def put_repository(cache: Path, repo: str, files: tuple[str, ...]) -> Path:
    """Files of a repository in the hub's cache, as huggingface_hub lays it out."""
    held = cache / "hub" / f"models--{repo.replace('/', '--')}"
    snapshot = held / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    (held / "refs").mkdir()
    (held / "refs" / "main").write_text("a" * 40)
    for file in files:
        (snapshot / file).write_bytes(b"{}")
    return snapshot


def without(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    real = needs.find_spec
    monkeypatch.setattr(needs, "find_spec", lambda name: None if name == package else real(name))


def test_where_nothing_is_here_it_is_classical_and_says_what_would_give_more() -> None:
    loaded = config.load("auto")
    assert loaded.name == "classical"
    assert loaded.chosen.startswith("config auto took classical; everyday would give more")
    assert "streamseg models fetch everyday (20 MB)" in loaded.chosen
    assert "streamseg models fetch open (1.1 GB)" in loaded.chosen
    assert "\n" not in loaded.chosen
    assert loaded.model_copy(update={"chosen": ""}) == config.load("classical")


def test_the_two_files_of_everyday_make_it_everyday(cache: Path) -> None:
    put(cache, "d-fine-nano")
    assert config.load("auto").name == "classical"
    put(cache, "u2netp")
    loaded = config.load("auto", ["trigger.cooldown_s=1.5"])
    assert loaded.name == "everyday"
    assert loaded.reasoning.fast.backend == "objects"
    assert loaded.trigger.cooldown_s == 1.5
    assert "open would give more" in loaded.chosen
    assert "everyday would" not in loaded.chosen


def test_open_is_taken_where_all_of_its_weights_are_wherever_they_lie(cache: Path) -> None:
    put(cache, "d-fine-nano", "u2netp", "xmem", "sam2.1-hiera-tiny")
    snapshot = put_repository(cache, DINO, OF_A_REPOSITORY)
    assert config.load("auto").name == "open"
    assert config.load("auto").chosen == "config auto took open"
    (snapshot / "model.safetensors").unlink()
    assert config.load("auto").name == "everyday"


def test_a_model_in_the_hubs_cache_counts_as_here(cache: Path) -> None:
    put(cache, "u2netp")
    model = registry.MODELS["d-fine-nano"]
    snapshot = put_repository(cache, model.home, model.files)
    assert config.load("auto").name == "everyday"
    (snapshot.parents[1] / "refs" / "main").write_text("../../../etc")
    assert config.load("auto").name == "classical"


@pytest.mark.parametrize("package", ["torch", "transformers", "onnxruntime"])
def test_files_without_the_package_that_reads_them_do_not_count(
    cache: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    put(cache, "d-fine-nano", "u2netp")
    without(monkeypatch, package)
    loaded = config.load("auto")
    assert loaded.name == "classical"
    assert 'everyday things by name): pip install "streamseg[everyday]"' in loaded.chosen


def test_finding_out_imports_no_optional_package() -> None:
    program = (
        "import sys\n"
        "from streamseg import config\n"
        "config.load('auto')\n"
        "heavy = {'torch', 'transformers', 'onnxruntime', 'huggingface_hub', 'http'}\n"
        "print(sorted(heavy & {name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, timeout=60, capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]"


def test_the_doors_take_it_unless_told_otherwise() -> None:
    told: list[str] = []
    segmenter = StreamSegmenter.from_config()
    scene = "synthetic:easy?seed=1&size=160x90&frames=3"
    results = segmenter.run(
        scene, "the red disc", on_event=lambda e: told.append(f"{e.kind} {e.message}")
    )
    assert len(list(results)) == 3
    assert told[0] == f"config {auto.choose()}"
    summary = segmenter.summary()["config"]
    assert (summary["name"], summary["chosen"]) == ("classical", str(auto.choose()))
    assert VideoSegmenter.from_config().config == config.load("auto")
    assert StreamSegmenter.from_config("classical").config.chosen == ""


def test_the_push_form_says_it_too() -> None:
    told: list[str] = []
    segmenter = StreamSegmenter.from_config()
    with segmenter.session("the mug", on_event=lambda event: told.append(event.kind)):
        assert told[0] == "config"


def test_the_command_says_it_in_one_line_and_keeps_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call = caller(capsys)
    words = ("-s", "synthetic:easy?seed=1&size=160x90&frames=3", "-q", "the red disc")
    code, _, err = call("run", *words, "-o", str(tmp_path / "out"))
    assert code == 0
    assert err.startswith("streamseg: config auto took classical; everyday would give more")
    assert err.count("config auto") == 1
    kept = json.loads((tmp_path / "out" / "summary.json").read_text("utf-8"))["config"]
    assert kept["name"] == "classical"
    assert kept["chosen"].startswith("config auto took classical")
    assert call("run", *words, "--quiet") == (0, "", "")
    code, _, err = call("run", *words, "-c", "classical")
    assert "auto" not in err
    code, out, _ = call("configs")
    assert "auto " in out
    assert "here it takes classical" in out
    assert "auto: the best that is" in " ".join(call("run", "--help")[1].split())


def test_a_configs_models_are_told_of_and_then_fetched_each_from_its_home(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Repositories into the hub's cache by huggingface_hub, plain addresses by our downloader."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache / "hub"))
    sam2 = "facebook/sam2.1-hiera-tiny"
    files = {f"/{DINO}/{name}": b"{}" for name in OF_A_REPOSITORY}
    files |= {f"/{sam2}/{name}": b"{}" for name in registry.SAM2_FILES}
    call = caller(capsys)
    with Hub({**files, "/v1/XMem.pth": b"weights"}) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        local = replace(registry.MODELS["xmem"], home=f"{server.url}/v1")
        monkeypatch.setitem(registry.MODELS, "xmem", local)
        server.gated = {DINO}
        words = ("-s", "synthetic:easy?seed=1&size=160x90&frames=3", "-q", "the red disc")
        code, _, err = call("run", "-c", "open", *words)
        assert code == 1
        lines = err.splitlines()
        assert sum(line.startswith("streamseg: to fetch: ") for line in lines) == 3
        assert "`streamseg models fetch open` does it beforehand" in lines[3]
        assert "is gated: accept its licence at" in lines[-1]
        code, out, err = call("models", "fetch", "open")
        assert (code, out) == (1, "")
        assert "is gated: accept its licence at" in err.splitlines()[-1]
        server.gated = set()
        code, out, err = call("models", "fetch", "open")
        assert code == 0, err
        told = [line for line in err.splitlines() if line.startswith("streamseg: to fetch: ")]
        assert len(told) == 3
        assert "about 690 MB, Apache-2.0" in told[0]
        assert server.url in told[0]
        assert "hub/models--IDEA-Research--grounding-dino-tiny" in out
        assert config.load("auto").name == "open"
    assert "to fetch" not in call("models", "fetch", "open")[2]


def test_a_reasoner_that_is_not_exported_yet_names_the_command(cache: Path) -> None:
    settings = config.load("reasoner-nano-onnx")
    place = cache / "cache" / "exported" / "reasoner-nano"
    told = f"--parts reasoner --model reasoner-nano --output {place}"
    with pytest.raises(CheckpointError, match=re.escape(told)):
        StreamSegmenter(settings)
    place.mkdir(parents=True)
    with pytest.raises(CheckpointError, match=r"has no reasoner\.json"):
        StreamSegmenter(settings)
    torchs = config.load("reasoner-nano").reasoning.vlm
    for key in ("context_frames", "most_thinking", "answer_tokens"):
        assert getattr(settings.reasoning.exported, key) == getattr(torchs, key)
