"""The cache: built once, found again, never trusted blindly, never in the way."""

import subprocess
import sys
from dataclasses import replace

import pytest

from streamseg.engines import TensorSpec
from streamseg.engines.cache import EngineCache, Key
from streamseg.engines.manifest import MANIFEST, Entry, read_manifest, with_file

SPEC = TensorSpec("image", (1, 3, 8, 8), "float32")
KEY = Key("part", "w" * 64, "tensorrt", "fp16", (SPEC,), "sm86", "10.9")


def builder(key, content=b"engine", calls=None):
    def build():
        if calls is not None:
            calls.append(content)
        entry = Entry(
            part=key.part,
            file=key.file,
            format=key.format,
            precision=key.precision,
            target=key.gpu,
            inputs=key.inputs,
            outputs=(),
            opset=20,
            weights_sha256=key.weights_sha256,
            file_sha256="",
            nbytes=0,
            build_s=0.0,
            difference=None,
            versions={},
        )
        return with_file(entry, content), content

    return build


def test_what_was_built_once_is_found_again(tmp_path):
    calls = []
    cache = EngineCache(tmp_path)
    assert cache.get(KEY, builder(KEY, calls=calls)) == b"engine"
    assert EngineCache(tmp_path).get(KEY, builder(KEY, b"another", calls)) == b"engine"
    assert calls == [b"engine"]
    assert cache.problems == []
    assert [entry.file for entry in read_manifest(tmp_path)] == [KEY.file]


@pytest.mark.parametrize(
    "change",
    [
        {"part": "other"},
        {"weights_sha256": "v" * 64},
        {"format": "onnx"},
        {"precision": "bf16"},
        {"inputs": (replace(SPEC, shape=(1, 3, 8, 16)),)},
        {"gpu": "sm89"},
        {"version": "10.10"},
    ],
)
def test_all_that_an_engine_depends_on_tells_it_apart(change):
    assert replace(KEY, **change).file != KEY.file


@pytest.mark.parametrize("damage", [b"", b"engina", b"engine and more"])
def test_a_damaged_file_is_built_anew(tmp_path, damage):
    cache = EngineCache(tmp_path)
    cache.get(KEY, builder(KEY))
    (tmp_path / KEY.file).write_bytes(damage)
    assert cache.get(KEY, builder(KEY, b"new")) == b"new"
    assert "not loaded" in cache.problems[0]
    assert EngineCache(tmp_path).get(KEY, builder(KEY, b"third")) == b"new"


def test_a_file_that_no_manifest_vouches_for_is_built_anew(tmp_path):
    (tmp_path / KEY.file).write_bytes(b"planted")
    assert EngineCache(tmp_path).get(KEY, builder(KEY)) == b"engine"


def test_a_damaged_manifest_is_begun_anew(tmp_path):
    (tmp_path / MANIFEST).write_text("{")
    assert EngineCache(tmp_path).get(KEY, builder(KEY)) == b"engine"
    assert [entry.file for entry in read_manifest(tmp_path)] == [KEY.file]


def test_where_nothing_can_be_kept_the_engine_is_used_all_the_same(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    cache = EngineCache(tmp_path / "file" / "folder")
    assert cache.get(KEY, builder(KEY)) == b"engine"
    assert "cannot write" in cache.problems[0]


RACE = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_cache import KEY, builder
from streamseg.engines.cache import EngineCache
folder = Path(sys.argv[1])
def build():
    with (folder / "builds.log").open("a") as log:
        log.write("built\\n")
    time.sleep(0.3)
    return builder(KEY)()
assert EngineCache(folder).get(KEY, build) == b"engine"
"""


def test_two_processes_build_the_same_engine_once(tmp_path, request):
    here = str(request.path.parent)
    command = [sys.executable, "-c", RACE, str(tmp_path), here]
    running = [subprocess.Popen(command) for _ in range(3)]
    assert [process.wait(60) for process in running] == [0, 0, 0]
    assert (tmp_path / "builds.log").read_text() == "built\n"
