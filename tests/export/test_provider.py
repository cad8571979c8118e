"""Where a part's engine comes from: a folder, the cache, or made; and what tells two apart."""

import hashlib
from dataclasses import replace

import pytest
import torch
from torch import nn

from streamseg import weights
from streamseg.config import EngineConfig
from streamseg.engines.files import write_whole
from streamseg.engines.manifest import add_to_manifest, read_manifest, weights_sha256, with_file
from streamseg.errors import EngineError, StreamSegError
from streamseg.export import fingerprint, provider
from streamseg.export.onnx import to_model
from streamseg.export.part import Part
from streamseg.export.provider import Provider, describe
from streamseg.export.sam2_video import Sam2VideoParts
from streamseg.export.xmem import XMemParts, XMemShapes

CPU = torch.device("cpu")
ORT = EngineConfig(family="onnxruntime")


def network():
    torch.manual_seed(0)
    return nn.Conv2d(3, 2, 3, padding=1).eval()


def part(net, side=8, **options):
    image = torch.linspace(-1, 1, 3 * side * side).reshape(1, 3, side, side)
    return Part("small", net, {"image": image}, ("out",), options=options)


def exported(folder, net, one, precision="fp32", format_="onnx", target="", content=None):
    """What `streamseg export` leaves of a part."""
    content = content or to_model(one).SerializeToString()
    file = f"small.{precision}.{target}.{format_}"
    entry = describe(one, "onnx", precision, weights_sha256(net), file)
    write_whole(folder / file, content)
    add_to_manifest(folder, [with_file(replace(entry, format=format_), content, target)])
    return folder / file


def test_an_engine_is_built_once_and_then_found(tmp_path):
    net = network()
    one = part(net)
    first = Provider(net, ORT, CPU, tmp_path)
    assert first.origin(one, "onnxruntime") == "to be built"
    got = first.provide(one).engine.run(one.inputs)["out"]
    torch.testing.assert_close(got, net(one.inputs["image"]), rtol=1e-5, atol=1e-6)
    (entry,) = read_manifest(tmp_path)
    assert entry.code_sha256 == fingerprint.code_sha256()
    assert {"torch", "onnx", "onnxscript", "transformers"} <= set(entry.versions)
    second = Provider(net, ORT, CPU, tmp_path)
    assert second.origin(one, "onnxruntime") == "cache"
    before = (tmp_path / entry.file).stat().st_mtime_ns
    second.provide(one)
    assert (tmp_path / entry.file).stat().st_mtime_ns == before
    assert second.problems == []


def other_weights(net):
    with torch.no_grad():
        net.bias[0] += 1e-6
    return part(net)


@pytest.mark.parametrize(
    "change", [other_weights, lambda net: part(net, 16), lambda net: part(net, rows=2)]
)
def test_other_weights_shapes_or_options_are_another_file(tmp_path, change):
    net = network()
    Provider(net, ORT, CPU, tmp_path).provide(part(net))
    changed = change(net)
    other = Provider(net, ORT, CPU, tmp_path)
    assert other.origin(changed, "onnxruntime") == "to be built"
    other.provide(changed)
    assert len(list(tmp_path.glob("*.onnx"))) == 2


@pytest.mark.parametrize("what", ["code_sha256", "versions"])
def test_other_code_or_another_torch_is_another_file(tmp_path, monkeypatch, what):
    net = network()
    Provider(net, ORT, CPU, tmp_path).provide(part(net))
    changed = {"code_sha256": lambda: "0" * 64, "versions": lambda: {"torch": "1.0"}}[what]
    monkeypatch.setattr(provider, what, changed)
    other = Provider(net, ORT, CPU, tmp_path)
    assert other.origin(part(net), "onnxruntime") == "to be built"


def test_two_query_rows_give_two_files_with_two_graphs(tmp_path):
    net = weights.load_sam2_video("selftest-sam2", "cpu")
    contents = []
    for rows in (8, 32):
        attention = Sam2VideoParts(net, rows).make("attention", 1, 1)
        assert attention.options == {"query_rows": rows}
        Provider(net, ORT, CPU, tmp_path).provide(attention)
        contents.append(
            {hashlib.sha256(f.read_bytes()).hexdigest() for f in tmp_path.glob("*.onnx")}
        )
    first, both = contents
    assert (len(first), len(both)) == (1, 2)


def test_two_top_ks_give_two_files(tmp_path):
    net = weights.load_xmem("selftest-xmem", "cpu")
    for top_k in (4, 8):
        read = XMemParts(net, XMemShapes(32, 32, (1,), 16, top_k)).make("read", 1)
        Provider(net, ORT, CPU, tmp_path).provide(read)
    assert [entry.options for entry in read_manifest(tmp_path)].count({"top_k": 4}) == 1
    assert len(list(tmp_path.glob("*.onnx"))) == 2


def test_every_module_that_makes_graphs_is_in_the_fingerprint():
    """A file of export/ that defines a layer or makes a part decides what is computed."""
    signs = ("(nn.Module):", " Part(", "onnx.export(")
    folder = fingerprint.resources.files("streamseg.export")
    sources = {file.name: file.read_text("utf-8") for file in folder.iterdir() if file.is_file()}
    makes = {name for name, text in sources.items() if any(sign in text for sign in signs)}
    assert {"xmem.py", "onnx.py"} <= makes <= {f"{name}.py" for name in fingerprint.EXPORTERS}


# ── a folder ─────────────────────────────────────────────────────────────────────────────────


def test_a_folder_is_read_and_nothing_is_built(tmp_path):
    net = network()
    one = part(net)
    exported(tmp_path / "made", net, one)
    config = EngineConfig(family="onnxruntime", folder=str(tmp_path / "made"))
    here = Provider(net, config, CPU, tmp_path / "cache")
    assert here.origin(one, "onnxruntime") == "folder"
    here.provide(one)
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda net: part(net, 16),
            r"inputs image float32\[1, 3, 8, 8\], not image float32\[1, 3, 16",
        ),
        (lambda net: part(net, rows=2), r"options \{\}, not \{'rows': 2\}"),
        (other_weights, "weights .*, not "),
        (lambda net: replace(part(net), name="large"), "found nothing of it"),
    ],
)
def test_a_folder_without_this_very_part_says_what_differs_and_the_command(tmp_path, change, words):
    net = network()
    exported(tmp_path, net, part(net))
    config = EngineConfig(family="onnxruntime", folder=str(tmp_path))
    changed = change(net)
    with pytest.raises(EngineError, match=words) as told:
        Provider(net, config, CPU, tmp_path / "cache").provide(changed)
    command = f"run streamseg export --config NAME --parts {changed.name} --format onnx"
    assert command in str(told.value)


def test_a_file_with_another_hash_is_refused(tmp_path):
    net = network()
    file = exported(tmp_path, net, part(net))
    file.write_bytes(file.read_bytes() + b"\0")
    config = EngineConfig(family="onnxruntime", folder=str(tmp_path))
    here = Provider(net, config, CPU, tmp_path / "cache")
    with pytest.raises(EngineError, match=r"expected sha256 .* it is not loaded"):
        here.provide(part(net))
    with pytest.raises(EngineError, match="it is not loaded"):
        here.origin(part(net), "onnxruntime")


class Card(Provider):
    """On a machine with a card: sm89, and a library of version 10.9."""

    def _card(self, part, family):
        return "sm89", "A card", {family: "10.9"}


def planned(folder, net, target="sm89", version="10.9"):
    one = part(net)
    file = exported(folder, net, one, format_="tensorrt", target=target, content=b"plan")
    (entry,) = (entry for entry in read_manifest(folder) if entry.file == file.name)
    add_to_manifest(folder, [replace(entry, versions={"tensorrt": version})])
    return file


TENSORRT = EngineConfig(family="tensorrt")


def test_a_plan_for_this_card_and_version_is_taken(tmp_path):
    net = network()
    planned(tmp_path, net)
    config = TENSORRT.model_copy(update={"folder": str(tmp_path)})
    assert Card(net, config, CPU, tmp_path / "cache").origin(part(net), "tensorrt") == "folder"


@pytest.mark.parametrize(
    ("made", "words"),
    [
        ({"target": "sm86"}, "target sm86, not sm89"),
        ({"version": "10.8"}, "tensorrt 10.8, not 10.9"),
    ],
)
def test_a_plan_for_another_card_or_version_names_the_rebuild_command(tmp_path, made, words):
    net = network()
    planned(tmp_path, net, **made)
    config = TENSORRT.model_copy(update={"folder": str(tmp_path)})
    with pytest.raises(EngineError, match=words) as told:
        Card(net, config, CPU, tmp_path / "cache").provide(part(net))
    assert "streamseg export --config NAME --parts small --format tensorrt " in str(told.value)


def test_where_a_folder_has_onnx_alone_plans_are_built_from_it(tmp_path, monkeypatch):
    net = network()
    file = exported(tmp_path / "made", net, part(net))
    config = TENSORRT.model_copy(update={"folder": str(tmp_path / "made")})
    here = Card(net, config, CPU, tmp_path / "cache")
    assert here.origin(part(net), "tensorrt") == "to be built"
    seen = []
    monkeypatch.setattr(
        provider, "build_plan", lambda name, onnx, **_: seen.append(onnx) or b"plan"
    )
    monkeypatch.setattr(
        provider, "load_library", lambda family: type("Lib", (), {"__version__": "10.9"})
    )
    with pytest.raises(StreamSegError):  # no card runs it here
        here.provide(part(net))
    assert seen == [file.read_bytes()]
    assert here.origin(part(net), "tensorrt") == "cache"


def test_without_a_card_a_plan_is_an_error_before_anything_is_built(tmp_path):
    net = network()
    config = EngineConfig(family="tensorrt-rtx")
    with pytest.raises(
        EngineError, match="small: expected a CUDA device for tensorrt-rtx, got cpu"
    ):
        Provider(net, config, CPU, tmp_path).provide(part(net))
    assert list(tmp_path.iterdir()) == []
