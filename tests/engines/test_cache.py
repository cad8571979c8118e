"""The cache: built once, found again, never trusted blindly, never in the way."""

import subprocess
import sys
from dataclasses import replace

import pytest

from streamseg.engines import TensorSpec
from streamseg.engines.cache import EngineCache, Key
from streamseg.engines.manifest import MANIFEST, Entry, read_manifest, with_file
from streamseg.errors import EngineError, OutputError

SPEC = TensorSpec("image", (1, 3, 8, 8), "float32")
KEY = Key(
    part="part",
    weights_sha256="w" * 64,
    code_sha256="c" * 64,
    options={"query_rows": 128},
    inputs=(SPEC,),
    precision="fp16",
    format="tensorrt",
    target="sm86",
    gpu="A card",
    versions={"torch": "2.9", "tensorrt": "10.9"},
)
CHANGES = [
    {"part": "other"},
    {"weights_sha256": "v" * 64},
    {"code_sha256": "d" * 64},
    {"options": {"query_rows": 1024}},
    {"options": {}},
    {"inputs": (replace(SPEC, shape=(1, 3, 8, 16)),)},
    {"inputs": (replace(SPEC, dtype="float16"),)},
    {"inputs": (replace(SPEC, name="picture"),)},
    {"precision": "bf16"},
    {"format": "tensorrt-rtx"},
    {"target": "sm89"},
    {"gpu": "Another card"},
    {"versions": {"torch": "2.9", "tensorrt": "10.10"}},
    {"versions": {"torch": "2.10", "tensorrt": "10.9"}},
]


def builder(key, content=b"engine", calls=None):
    def build():
        if calls is not None:
            calls.append(content)
        entry = Entry(
            part=key.part,
            file=key.file,
            format=key.format,
            precision=key.precision,
            target=key.target,
            inputs=key.inputs,
            outputs=(),
            opset=20,
            options=key.options,
            weights_sha256=key.weights_sha256,
            code_sha256=key.code_sha256,
            file_sha256="",
            nbytes=0,
            build_s=0.0,
            difference=None,
            versions=key.versions,
        )
        return with_file(entry, content, key.target), content

    return build


def test_what_was_built_once_is_found_again(tmp_path):
    calls = []
    cache = EngineCache(tmp_path)
    assert cache.get(KEY, builder(KEY, calls=calls)) == b"engine"
    assert EngineCache(tmp_path).get(KEY, builder(KEY, b"another", calls)) == b"engine"
    assert calls == [b"engine"]
    assert cache.problems == []
    assert [entry.file for entry in read_manifest(tmp_path)] == [KEY.file]


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_all_that_an_engine_depends_on_tells_it_apart(tmp_path, change):
    other = replace(KEY, **change)
    cache = EngineCache(tmp_path)
    cache.get(KEY, builder(KEY))
    assert not cache.holds(other)
    assert cache.get(other, builder(other, b"another")) == b"another"
    assert cache.get(KEY, builder(KEY, b"built again")) == b"engine"
    assert len(list(tmp_path.glob("*.plan"))) == 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, []),
        ({"gpu": "Another card"}, []),
        ({"versions": {"torch": "2.10", "tensorrt": "10.9"}}, []),
        ({"target": "sm89"}, ["target sm86, not sm89"]),
        ({"versions": {"tensorrt": "10.10"}}, ["tensorrt 10.9, not 10.10"]),
        ({"options": {}}, ["options {'query_rows': 128}, not {}"]),
        (
            {"precision": "fp32", "weights_sha256": "v" * 64},
            ["precision fp16, not fp32", "weights wwwwwwwwwwww, not vvvvvvvvvvvv"],
        ),
    ],
)
def test_what_keeps_a_file_from_being_an_engine_is_said(change, words):
    entry, _ = builder(KEY)()
    assert replace(KEY, **change).differences(entry) == words


def test_an_onnx_file_is_one_whatever_library_wrote_it():
    key = replace(KEY, format="onnx", target="", gpu="", versions={"torch": "2.9"})
    entry, _ = builder(key)()
    assert replace(key, versions={"torch": "2.10"}).differences(entry) == []


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


def in_a_file(folder):
    (folder / "file").write_bytes(b"")
    return folder / "file" / "folder"


def with_a_folder_for_a_lock(folder):
    (folder / f"{KEY.file}.lock").mkdir()
    return folder


def with_a_folder_for_a_manifest(folder):
    (folder / MANIFEST / "inside").mkdir(parents=True)
    return folder


@pytest.mark.parametrize(
    "broken", [in_a_file, with_a_folder_for_a_lock, with_a_folder_for_a_manifest]
)
def test_where_nothing_can_be_kept_the_engine_is_used_all_the_same(tmp_path, broken):
    calls = []
    cache = EngineCache(broken(tmp_path))
    assert cache.get(KEY, builder(KEY, calls=calls)) == b"engine"
    assert cache.get(KEY, builder(KEY, calls=calls)) == b"engine"
    assert len(calls) == 2
    assert any("cannot write" in problem for problem in cache.problems)
    assert len(set(cache.problems)) == len(cache.problems)


def test_a_file_that_cannot_be_read_is_built_anew(tmp_path):
    cache = EngineCache(tmp_path)
    cache.get(KEY, builder(KEY))
    (tmp_path / KEY.file).unlink()
    (tmp_path / KEY.file).mkdir()
    with pytest.raises(EngineError, match="cannot read"):
        cache.holds(KEY)
    assert cache.get(KEY, builder(KEY, b"new")) == b"new"
    assert any("cannot read" in problem for problem in cache.problems)


def test_a_builder_that_fails_is_asked_once(tmp_path):
    calls = []

    def fails():
        calls.append(1)
        raise OutputError("cannot write elsewhere")

    with pytest.raises(OutputError, match="elsewhere"):
        EngineCache(tmp_path).get(KEY, fails)
    assert calls == [1]


def test_a_broken_manifest_mended_by_one_is_not_lost_to_another(tmp_path):
    """Each mends under the manifest's lock: the second finds what the first wrote."""
    (tmp_path / MANIFEST).write_text("{")
    other = replace(KEY, part="other")
    for key in (KEY, other):
        EngineCache(tmp_path).get(key, builder(key))
    assert {entry.part for entry in read_manifest(tmp_path)} == {"part", "other"}


FULL = """
import resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_cache import KEY, builder
from streamseg.engines.cache import EngineCache
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
cache = EngineCache(Path(sys.argv[1]))
assert cache.get(KEY, builder(KEY, bytes(100_000))) == bytes(100_000)
print(*cache.problems, sep="\\n")
"""


def test_no_room_for_the_file_leaves_nothing_half_written_and_the_cache_usable(tmp_path, request):
    """The kernel refuses the write, as it would on a full disk."""
    done = subprocess.run(
        [sys.executable, "-c", FULL, tmp_path, request.path.parent],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "File too large; free some space; the engine is used and not kept" in done.stdout
    assert {path.name for path in tmp_path.iterdir()} == {f"{KEY.file}.lock"}
    assert EngineCache(tmp_path).get(KEY, builder(KEY, b"now")) == b"now"
    assert read_manifest(tmp_path)[0].file == KEY.file


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


KILLED = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_cache import KEY, builder
from streamseg.engines import cache
def stuck(path, content):
    path.with_name(f".{path.name}.abc.part").write_bytes(content[:3])
    print("half", flush=True)
    time.sleep(600)
cache.write_whole = stuck
cache.EngineCache(Path(sys.argv[1])).get(KEY, builder(KEY))
"""


def test_who_is_killed_while_writing_leaves_the_next_one_free_to_build(tmp_path, request):
    command = [sys.executable, "-c", KILLED, tmp_path, request.path.parent]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as killed:
        assert killed.stdout is not None
        assert killed.stdout.readline() == "half\n"
        killed.kill()
    assert len(list(tmp_path.glob(".*.part"))) == 1
    cache = EngineCache(tmp_path)
    assert cache.get(KEY, builder(KEY, b"whole")) == b"whole"
    assert cache.problems == []
    assert list(tmp_path.glob(".*.part")) == []
