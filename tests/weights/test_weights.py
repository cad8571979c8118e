"""Names to checked files to networks, with a hub that is a real server and with none at all."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hub_server import Hub

from streamseg import weights
from streamseg.errors import (
    CheckpointError,
    ConfigError,
    EngineError,
    OutputError,
    UsageError,
)
from streamseg.nets.sam2_selftest import selftest_sam2
from streamseg.nets.xmem import XMem, selftest_xmem
from streamseg.weights import loading, registry
from streamseg.weights.registry import MODELS

NAMES = [
    "sam2.1-hiera-tiny",
    "sam2.1-hiera-small",
    "sam2.1-hiera-base-plus",
    "sam2.1-hiera-large",
    "xmem",
    "xmem-s012",
    "xmem-nano",
    "reasoner-nano",
    "d-fine-nano",
    "u2netp",
    "selftest-sam2",
    "selftest-xmem",
]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache and no network."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("STREAMSEG_CACHE", str(folder))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    return folder


@pytest.fixture(scope="module")
def sam2_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sam2")
    selftest_sam2(seed=3).save_pretrained(folder)
    return folder


@pytest.fixture
def hub(sam2_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    files = {
        f"/facebook/sam2.1-hiera-tiny/{name}": (sam2_folder / name).read_bytes()
        for name in registry.SAM2_FILES
    }
    with Hub(files) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


@pytest.fixture
def xmem_file(cache: Path) -> Path:
    """A file as the release's, put where the user is told to put it."""
    path = cache / "xmem" / "XMem.pth"
    path.parent.mkdir(parents=True)
    torch.save(selftest_xmem(seed=5).state_dict(), path)
    return path


def same(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    mine, other = a.state_dict(), b.state_dict()
    return mine.keys() == other.keys() and all(torch.equal(mine[k], other[k]) for k in mine)


def info(name: str) -> weights.ModelInfo:
    return next(model for model in weights.list_models() if model.name == name)


def test_the_list_needs_no_network_and_no_cache(cache: Path) -> None:
    models = weights.list_models()
    assert [model.name for model in models] == NAMES
    assert {model.name for model in models if model.present} == {
        "xmem-nano",
        "reasoner-nano",
        "selftest-sam2",
        "selftest-xmem",
    }
    assert all(model.licence for model in models)
    assert not cache.exists()
    assert info("sam2.1-hiera-tiny").where.endswith("facebook/sam2.1-hiera-tiny")
    assert info("sam2.1-hiera-tiny").nbytes == 156_000_000


@pytest.mark.parametrize(
    ("streamseg", "xdg", "expected"),
    [("/a", "/b", "/a"), (None, "/b", "/b/streamseg"), (None, None, "/home/me/.cache/streamseg")],
)
def test_where_the_cache_is(monkeypatch, streamseg, xdg, expected) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    for name, value in (("STREAMSEG_CACHE", streamseg), ("XDG_CACHE_HOME", xdg)):
        monkeypatch.delenv(name, raising=False)
        if value:
            monkeypatch.setenv(name, value)
    assert weights.cache_dir() == Path(expected)


@pytest.mark.parametrize("name", ["sam2.1-hiera-large", "facebook/sam2.1-hiera-large"])
def test_offline_sam2_says_which_files_to_put_where(cache: Path, name: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        weights.load_sam2(name, "cpu")
    message = str(caught.value)
    assert "config.json and model.safetensors" in message
    assert "/facebook/sam2.1-hiera-large" in message
    assert f"put into {cache}/sam2.1-hiera-large/" in message
    assert "\n" not in message


@pytest.mark.parametrize(("name", "file"), [("xmem", "XMem.pth"), ("xmem-s012", "XMem-s012.pth")])
def test_offline_xmem_says_which_file_to_put_where(cache: Path, name: str, file: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        weights.load_xmem(name, "cpu")
    assert f"get {file} from " in str(caught.value)
    assert f"v1.0/{file} and put into {cache}/{name}/" in str(caught.value)


def test_fetch_loads_lists_and_verifies(hub: Hub, cache: Path, sam2_folder: Path) -> None:
    told: set[str] = set()
    folder = weights.fetch("sam2.1-hiera-tiny", lambda file, *_: told.add(file))
    assert folder == cache / "sam2.1-hiera-tiny"
    assert told == set(registry.SAM2_FILES)
    asked = len(hub.requests)
    assert same(weights.load_sam2("sam2.1-hiera-tiny", "cpu"), selftest_sam2(seed=3))
    assert same(weights.load_sam2("facebook/sam2.1-hiera-tiny", "cpu"), selftest_sam2(seed=3))
    assert len(hub.requests) == asked
    model = info("sam2.1-hiera-tiny")
    assert model.present
    assert model.where == str(folder)
    assert model.nbytes == sum((sam2_folder / f).stat().st_size for f in registry.SAM2_FILES)
    assert set(weights.verify("sam2.1-hiera-tiny")) == set(registry.SAM2_FILES)


def test_loading_fetches_what_is_missing(hub: Hub, cache: Path, sam2_folder: Path) -> None:
    folder = cache / "sam2.1-hiera-tiny"
    folder.mkdir(parents=True)
    shutil.copy(sam2_folder / "config.json", folder)
    assert same(weights.load_sam2("sam2.1-hiera-tiny", "cpu"), selftest_sam2(seed=3))
    fetched = {path.rpartition("/")[2] for _, path, _ in hub.requests}
    assert fetched == {"model.safetensors"}


def test_any_hub_id_can_be_fetched(hub: Hub, cache: Path) -> None:
    for name in registry.SAM2_FILES:
        hub.files[f"/me/my-sam2/{name}"] = hub.files[f"/facebook/sam2.1-hiera-tiny/{name}"]
    assert same(weights.load_sam2("me/my-sam2", "cpu"), selftest_sam2(seed=3))
    assert (cache / "me--my-sam2" / "model.safetensors").is_file()


def test_a_broken_fetch_goes_on_where_it_stopped(hub: Hub) -> None:
    hub.break_after = 200_000
    with pytest.raises(CheckpointError, match=r"fetching failed: .*broke off"):
        weights.fetch("sam2.1-hiera-tiny")
    assert not info("sam2.1-hiera-tiny").present
    hub.break_after = None
    weights.fetch("sam2.1-hiera-tiny")
    assert any(wanted == "bytes=200000-" for _, _, wanted in hub.requests)
    weights.verify("sam2.1-hiera-tiny")


def test_verify_sees_a_changed_file(hub: Hub) -> None:
    folder = weights.fetch("sam2.1-hiera-tiny")
    path = folder / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match=r"model\.safetensors: expected SHA-256 .* got"):
        weights.verify("sam2.1-hiera-tiny")


def test_verify_of_files_put_by_hand_checks_every_tensor(cache: Path, sam2_folder: Path) -> None:
    folder = cache / "sam2.1-hiera-small"
    shutil.copytree(sam2_folder, folder)
    assert set(weights.verify("sam2.1-hiera-small")) == set(registry.SAM2_FILES)
    config = json.loads((folder / "config.json").read_text())
    config["mask_decoder_config"]["mlp_dim"] = 96
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=r"of another shape: mask_decoder\.transformer"):
        weights.verify("sam2.1-hiera-small")


def test_verify_of_what_is_not_here(cache: Path) -> None:
    with pytest.raises(CheckpointError, match=f"put into {cache}/xmem/"):
        weights.verify("xmem")
    assert weights.verify("selftest-xmem") == {}


def test_the_hugging_face_cache_is_looked_at(
    sam2_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub_cache = tmp_path / "hf"
    monkeypatch.setenv("HF_HUB_CACHE", str(hub_cache))
    repo = hub_cache / "models--facebook--sam2.1-hiera-small"
    snapshot = repo / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (repo / "blobs").mkdir()
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text("abc")
    for name in registry.SAM2_FILES:
        blob = repo / "blobs" / loading._sha256(sam2_folder / name)
        shutil.copy(sam2_folder / name, blob)
        (snapshot / name).symlink_to(blob)
    assert same(weights.load_sam2("sam2.1-hiera-small", "cpu"), selftest_sam2(seed=3))
    assert info("sam2.1-hiera-small").where == str(snapshot)
    weights.verify("sam2.1-hiera-small")
    with (snapshot / "config.json").open("a") as stream:
        stream.write("\n")
    with pytest.raises(CheckpointError, match="expected SHA-256"):
        weights.verify("sam2.1-hiera-small")


def test_a_sam2_folder_loads_by_path(sam2_folder: Path, monkeypatch) -> None:
    assert same(weights.load_sam2(str(sam2_folder), "cpu"), selftest_sam2(seed=3))
    monkeypatch.chdir(sam2_folder.parent)
    relative = f"./{sam2_folder.name}"
    assert same(weights.load_sam2(relative, "cpu"), selftest_sam2(seed=3))


def test_xmem_loads_by_name_and_by_path(xmem_file: Path, tmp_path: Path) -> None:
    expected = selftest_xmem(seed=5)
    assert same(weights.load_xmem("xmem", "cpu"), expected)
    assert same(weights.load_xmem(str(xmem_file), "cpu"), expected)
    assert set(weights.verify("xmem")) == {"XMem.pth"}
    assert info("xmem").present


def test_xmem_is_fetched_from_its_release(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "XMem.pth"
    torch.save(selftest_xmem(seed=5).state_dict(), path)
    with Hub({"/v1.0/XMem.pth": path.read_bytes()}) as server:
        local = replace(MODELS["xmem"], home=f"{server.url}/v1.0")
        monkeypatch.setitem(MODELS, "xmem", local)
        assert same(weights.load_xmem("xmem", "cpu"), selftest_xmem(seed=5))
    weights.verify("xmem")


CUTTER = b"a cutter's bytes"
DETECTOR = {
    f"/ustc-community/dfine-nano-coco/{file}": file.encode() * 9
    for file in ("config.json", "preprocessor_config.json", "model.safetensors")
}


@pytest.fixture
def everyday(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A server of what the everyday config wants, whose cutter has the sum that is pinned."""
    with Hub({**DETECTOR, "/v0/u2netp.onnx": CUTTER}) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        pinned = (hashlib.sha256(CUTTER).hexdigest(),)
        row = replace(MODELS["u2netp"], home=f"{server.url}/v0", sha256=pinned)
        monkeypatch.setitem(MODELS, "u2netp", row)
        yield server


def test_a_bundle_names_all_that_a_config_needs(everyday: Hub, cache: Path) -> None:
    assert weights.members("xmem") == ("xmem",)
    for name in weights.members("everyday"):
        weights.fetch(name)
    assert (cache / "u2netp" / "u2netp.onnx").read_bytes() == CUTTER
    assert (cache / "d-fine-nano" / "model.safetensors").is_file()
    assert set(weights.verify("u2netp")) == {"u2netp.onnx"}
    assert set(weights.verify("d-fine-nano")) == {path.rpartition("/")[2] for path in DETECTOR}


def test_what_is_pinned_is_held_against_what_comes(everyday: Hub, cache: Path) -> None:
    everyday.files["/v0/u2netp.onnx"] = CUTTER[::-1]
    with pytest.raises(CheckpointError, match=r"u2netp\.onnx: expected SHA-256 .*, got .*"):
        weights.fetch("u2netp")
    assert not (cache / "u2netp" / "u2netp.onnx").exists()


def test_what_is_pinned_is_held_against_what_was_put_there(everyday: Hub, cache: Path) -> None:
    (cache / "u2netp").mkdir(parents=True)
    (cache / "u2netp" / "u2netp.onnx").write_bytes(b"another")
    with pytest.raises(CheckpointError, match=r"expected SHA-256 .*: delete it and run"):
        weights.verify("u2netp")


def test_a_detectors_file_that_was_changed_is_told(everyday: Hub, cache: Path) -> None:
    weights.fetch("d-fine-nano")
    (cache / "d-fine-nano" / "config.json").write_bytes(b"{}")
    with pytest.raises(CheckpointError, match=r"config\.json: expected SHA-256"):
        weights.verify("d-fine-nano")


def test_each_pin_is_a_sum_of_a_file_that_is_fetched() -> None:
    for row in MODELS.values():
        assert len(row.sha256) in (0, len(row.files)), row.name
        assert all(re.fullmatch(r"[0-9a-f]{64}", value) for value in row.sha256), row.name
    assert MODELS["u2netp"].sha256


def test_a_model_is_located_as_its_one_file_or_its_folder(everyday: Hub, cache: Path) -> None:
    assert weights.locate("u2netp", "cutter") == cache / "u2netp" / "u2netp.onnx"
    assert weights.locate("d-fine-nano", "detector") == cache / "d-fine-nano"
    own = cache / "own.onnx"
    own.write_bytes(b"")
    assert weights.locate(str(own), "detector") == own


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("u2netp", "u2netp is of kind cutter, expected detector"),
        ("./none.onnx", r"nothing is at .*none\.onnx"),
        ("d-fine-nan", "did you mean 'd-fine-nano'"),
        ("d-fine-nano", r"config\.json and preprocessor_config\.json and model\.safetensors"),
    ],
)
def test_what_cannot_be_located_is_told(name: str, said: str) -> None:
    with pytest.raises(CheckpointError, match=said):
        weights.locate(name, "detector")


def test_xmem_keys_that_do_not_fit_are_named(xmem_file: Path) -> None:
    state = selftest_xmem(seed=5).state_dict()
    del state["decoder.pred.bias"]
    state["key_proj.d_proj.bias"] = torch.zeros(9)
    state["stranger"] = torch.zeros(1)
    torch.save(state, xmem_file)
    with pytest.raises(CheckpointError) as caught:
        weights.load_xmem("xmem", "cpu")
    for part in ("XMem.pth", "decoder.pred.bias", "key_proj.d_proj.bias", "stranger"):
        assert part in str(caught.value)


@pytest.fixture(scope="module")
def full_xmem() -> dict[str, torch.Tensor]:
    """412 entries of the public layout, which XMem.pth and XMem-s012.pth share; random weights."""
    manifest = json.loads((Path(__file__).parents[1] / "data" / "xmem_manifest.json").read_text())
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.randn(shape, generator=generator)
        if shape
        else torch.tensor(7)  # how many batches a normalisation has seen
        for name, shape in manifest.items()
    }


@pytest.mark.parametrize(("name", "file"), [("xmem", "XMem.pth"), ("xmem-s012", "XMem-s012.pth")])
def test_a_full_size_xmem_loads_entry_by_entry(
    full_xmem: dict[str, torch.Tensor], cache: Path, name: str, file: str
) -> None:
    path = cache / name / file
    path.parent.mkdir(parents=True)
    torch.save(full_xmem, path)
    assert path.stat().st_size == pytest.approx(info(name).nbytes, rel=0.02)
    state = weights.load_xmem(name, "cpu").state_dict()
    assert len(state) == 412
    assert state.keys() == full_xmem.keys()
    assert all(torch.equal(state[key], value) for key, value in full_xmem.items())
    assert set(weights.verify(name)) == set(weights.verify(str(path))) == {file}


def test_every_entry_of_a_full_size_xmem_that_does_not_fit_is_named(
    full_xmem: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    state = dict(full_xmem)
    del state["value_encoder.layer2.0.bn1.running_var"]
    state["module.key_proj.d_proj.bias"] = torch.zeros(1)
    state["decoder.up_8_4.skip_conv.bias"] = torch.zeros(3)
    path = tmp_path / "XMem.pth"
    torch.save(state, path)
    for attempt in (weights.load_xmem, weights.verify):
        with pytest.raises(CheckpointError) as caught:
            attempt(str(path))
        message = str(caught.value)
        assert f"{path}: expected an XMem state dict of 412 entries, found 3 that differ" in message
        assert "value_encoder.layer2.0.bn1.running_var is missing" in message
        assert "module.key_proj.d_proj.bias is not expected" in message
        assert "decoder.up_8_4.skip_conv.bias has shape [3], expected [256]" in message


def test_a_folder_is_no_xmem(xmem_file: Path) -> None:
    with pytest.raises(
        CheckpointError, match=r"is a folder: give the path of the XMem\.pth itself"
    ):
        weights.load_xmem(str(xmem_file.parent), "cpu")


def test_verify_by_path_heeds_a_recorded_checksum(xmem_file: Path) -> None:
    record = {xmem_file.name: {"sha256": "0" * 64, "source": "somewhere"}}
    (xmem_file.parent / weights.RECORD).write_text(json.dumps(record))
    with pytest.raises(
        CheckpointError, match=r"XMem\.pth: expected SHA-256 0+, got .*: get it again"
    ):
        weights.verify(str(xmem_file))


def test_nothing_at_a_path_is_named(tmp_path: Path) -> None:
    for attempt in (weights.fetch, weights.verify):
        with pytest.raises(CheckpointError, match=f"nothing is at {tmp_path}/gone: give the path"):
            attempt(str(tmp_path / "gone"))
    with pytest.raises(CheckpointError, match=r"no file .*config\.json: give a folder with"):
        weights.verify(str(tmp_path))


def test_an_xmem_pickle_with_a_payload_is_refused_and_never_run(
    xmem_file: Path, tmp_path: Path
) -> None:
    trace = tmp_path / "pwned"

    class Payload:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, (f"touch {trace}",)

    xmem_file.write_bytes(pickle.dumps({"key": Payload()}, protocol=2))
    for attempt in (weights.load_xmem, weights.verify):
        with pytest.raises(CheckpointError, match=r"XMem\.pth"):
            attempt("xmem")
    assert not trace.exists()


def test_selftest_networks_are_built_not_loaded(cache: Path) -> None:
    assert same(weights.load_sam2("selftest-sam2", "cpu"), selftest_sam2())
    assert isinstance(weights.load_xmem("selftest-xmem", "cpu"), XMem)
    assert weights.fetch("selftest-sam2") == cache
    assert not cache.exists()


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(CheckpointError, match=r"did you mean 'sam2\.1-hiera-tiny'"):
        weights.load_sam2("sam2.1-hiera-tinny", "cpu")


def test_a_model_of_the_other_kind_is_refused(xmem_file: Path) -> None:
    with pytest.raises(CheckpointError, match="xmem is of kind xmem, expected sam2"):
        weights.load_sam2("xmem", "cpu")


def test_a_device_that_is_not_here_is_refused() -> None:
    with pytest.raises(ConfigError, match="'toaster'"):
        weights.load_sam2("selftest-sam2", "toaster")
    with pytest.raises(EngineError, match="'cuda:99'"):
        weights.load_xmem("selftest-xmem", "cuda:99")


@pytest.mark.parametrize("package", ["torch", "transformers"])
def test_a_missing_package_names_its_extra(package: str) -> None:
    program = (
        f"import sys; sys.modules[{package!r}] = None\n"
        "from streamseg import weights\n"
        "from streamseg.errors import MissingDependencyError\n"
        f"assert len(weights.list_models()) == {len(NAMES)}\n"
        "try:\n"
        "    weights.load_sam2('selftest-sam2', 'cpu')\n"
        "except MissingDependencyError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, timeout=120, capture_output=True, text=True
    )
    assert done.stdout.startswith(f"{package} is not installed: run pip install")
    assert "streamseg[neural]" in done.stdout


@pytest.mark.parametrize(
    "name",
    ["", "a\0b", "x" * 5000, "x/" + "y" * 300, "~nobody-of-that-name/x", "https://h/x.pth"],
)
def test_what_can_be_no_name_and_no_path_is_wrong_usage(name: str) -> None:
    for ask in (weights.fetch, weights.verify):
        with pytest.raises(UsageError, match="no such model") as told:
            ask(name)
        assert len(str(told.value)) < 700


@pytest.mark.parametrize(
    "name",
    ["a/..", "../../x", "a/b/c/d", "a--b/c", "a/b--c", "a\nb", "a/b\n", "é/é", "a./b", "a/-b"],
)
def test_a_hub_id_that_the_hub_would_not_take_is_not_asked_for(name: str, cache: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no model named|nothing is at") as told:
        weights.fetch(name)
    assert "\n" not in str(told.value)
    assert not cache.exists()


def test_a_password_in_the_hubs_address_does_not_show(
    hub: Hub, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://bob:hunter2@127.0.0.1:9")
    assert "hunter2" not in info("sam2.1-hiera-tiny").where
    with pytest.raises(CheckpointError) as told:
        weights.fetch("facebook/sam2.1-hiera-tiny")
    assert "hunter2" not in str(told.value)
    assert "http://***@127.0.0.1:9" in str(told.value)


@pytest.mark.parametrize(
    "record", ["[]", "3", '{"XMem.pth": 5}', '{"XMem.pth": {"sha256": [1]}}', "[" * 100_000, "\0"]
)
def test_a_damaged_record_is_no_record(xmem_file: Path, record: str) -> None:
    (xmem_file.parent / weights.RECORD).write_text(record)
    if "sha256" in record:
        with pytest.raises(CheckpointError, match="expected SHA-256"):
            weights.verify("xmem")
    else:
        assert set(weights.verify("xmem")) == {"XMem.pth"}


def test_a_cache_that_can_be_no_folder_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMSEG_CACHE", "x" * 300)
    with pytest.raises(OutputError, match="STREAMSEG_CACHE: expected a path"):
        weights.list_models()


@pytest.mark.parametrize(
    "name", ["cuda:99999999999999999999", "cuda:-1", "cpu\n", "", "xpu", "c" * 999]
)
def test_a_device_that_can_not_be_does_not_end_the_process(name: str) -> None:
    with pytest.raises(ConfigError, match="expected a device such as") as told:
        weights.load_xmem("selftest-xmem", name)
    assert len(str(told.value)) < 200
