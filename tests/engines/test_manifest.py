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


def rewritten(tmp_path, **changes):
    add_to_manifest(tmp_path, [entry()])
    content = json.loads((tmp_path / MANIFEST).read_text())
    content["parts"][0].update(changes)
    (tmp_path / MANIFEST).write_text(json.dumps(content))


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "/etc/passwd", "a/b.onnx", "a\0b", "a\nb", "x" * 256, "é" * 128, 5, None],
)
def test_a_file_must_have_a_name_of_a_file(tmp_path, name):
    rewritten(tmp_path, file=name)
    with pytest.raises(EngineError, match=r"cannot read .*parts\.0\.file: ") as told:
        read_manifest(tmp_path)
    assert "\n" not in str(told.value)
    assert len(str(told.value)) < 400


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("inputs", 3),
        ("inputs", [[1]]),
        ("inputs", [{"name": "a", "shape": "no", "dtype": "float32"}]),
        ("options", [1]),
        ("nbytes", "many"),
        ("nbytes", 1e400),
        ("versions", {"torch": {}}),
        ("part", None),
        ("difference", [[[]]]),
    ],
)
def test_what_is_of_another_type_is_named(tmp_path, field, value):
    rewritten(tmp_path, **{field: value})
    with pytest.raises(EngineError, match=r"cannot read .*(parts\.0\.\w|no JSON)") as told:
        read_manifest(tmp_path)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[" * 100_000, "nested too deeply"),
        ('{"format": ' + "9" * 5000 + "}", "no JSON"),
        ('{"format": NaN}', "NaN is no number"),
        ("[" + "[]," * 1_000_000 + "[]]", "at most 2097152 bytes"),
        ('{"format": 2, "parts": {"a": 1}}', "parts: "),
        ('{"format": [[2]], "parts": []}', "expected a manifest of format 2"),
        ("\xff", "no JSON"),
    ],
    ids=["deep", "digits", "nan", "huge", "mapping", "format", "bytes"],
)
def test_a_manifest_that_is_too_much_is_one_line(tmp_path, text, words):
    (tmp_path / MANIFEST).write_bytes(text.encode("latin-1"))
    with pytest.raises(EngineError, match=words) as told:
        read_manifest(tmp_path)
    assert "\n" not in str(told.value)


def test_what_is_no_file_is_not_read(tmp_path):
    (tmp_path / "part.onnx").symlink_to("/dev/zero")
    with pytest.raises(EngineError, match="it is no file"):
        trusted_bytes(tmp_path, entry())
    (tmp_path / MANIFEST).symlink_to("/dev/zero")
    with pytest.raises(EngineError, match="expected a file"):
        read_manifest(tmp_path)


def test_a_file_that_grew_is_not_read_whole(tmp_path):
    with (tmp_path / "part.onnx").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(EngineError, match="expected sha256"):
        trusted_bytes(tmp_path, entry())
