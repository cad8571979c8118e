"""The manifest: what it says comes back, and what it does not vouch for is not loaded."""

import json

import pytest
import torch
from torch import nn

from streamseg.engines import TensorSpec
from streamseg.engines.manifest import (
    MANIFEST,
    Entry,
    add_to_manifest,
    read_manifest,
    trusted_bytes,
    weights_sha256,
    with_file,
)
from streamseg.errors import EngineError


def entry(file="part.onnx", content=b"content"):
    spec = TensorSpec("image", (1, 3, 8, 8), "float32")
    made = Entry(
        part="part",
        file=file,
        format="onnx",
        precision="fp32",
        target="",
        inputs=(spec,),
        outputs=(spec,),
        opset=20,
        options={"top_k": 30},
        weights_sha256="0" * 64,
        code_sha256="1" * 64,
        file_sha256="",
        nbytes=0,
        build_s=0.0,
        difference=1e-6,
        versions={"torch": "2"},
    )
    return with_file(made, content, build_s=1.5)


def test_entries_come_back_as_they_went_in_newest_for_each_file(tmp_path):
    assert read_manifest(tmp_path) == []
    add_to_manifest(tmp_path, [entry("b.onnx"), entry("a.onnx")])
    add_to_manifest(tmp_path, [entry("b.onnx", b"other")])
    assert read_manifest(tmp_path) == [entry("a.onnx"), entry("b.onnx", b"other")]


def test_a_file_is_read_only_with_the_hash_that_stands_there(tmp_path):
    (tmp_path / "part.onnx").write_bytes(b"content")
    assert trusted_bytes(tmp_path, entry()) == b"content"
    (tmp_path / "part.onnx").write_bytes(b"changed")
    with pytest.raises(EngineError, match=r"expected sha256 .* it is not loaded; export again"):
        trusted_bytes(tmp_path, entry())
    (tmp_path / "part.onnx").unlink()
    with pytest.raises(EngineError, match=r"cannot read .*No such file"):
        trusted_bytes(tmp_path, entry())


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"format": 2, "parts": [{}]}', '{"format": 2, "parts": 3}']
)
def test_a_damaged_manifest_is_one_line_that_says_what_to_do(tmp_path, text):
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(EngineError, match=r"cannot read .*manifest\.json.*export again"):
        read_manifest(tmp_path)


def test_a_manifest_of_another_format_is_refused(tmp_path):
    (tmp_path / MANIFEST).write_text('{"format": 1, "parts": []}')
    with pytest.raises(EngineError, match="expected a manifest of format 2, got 1"):
        read_manifest(tmp_path)


def test_a_manifest_cannot_point_out_of_its_folder(tmp_path):
    add_to_manifest(tmp_path, [entry()])
    content = json.loads((tmp_path / MANIFEST).read_text())
    content["parts"][0]["file"] = "../elsewhere.plan"
    (tmp_path / MANIFEST).write_text(json.dumps(content))
    with pytest.raises(EngineError, match="expected the name of a file"):
        read_manifest(tmp_path)


def test_the_hash_of_weights_sees_every_number_and_name():
    torch.manual_seed(0)
    one = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    first = weights_sha256(one)
    assert weights_sha256(one) == first
    one[1].running_mean[2] += 1e-3
    assert weights_sha256(one) != first
    assert weights_sha256(nn.Sequential(one)) != weights_sha256(one)
