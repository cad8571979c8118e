"""The rules of the house, read from every file's imports: who may know whom."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HOMES = {
    "streamseg": ROOT / "streamseg",
    "export": ROOT / "export",
    "benchmarks": ROOT / "benchmarks",
}

STAGES = {"sources", "keyframes", "reasoning", "segmentation", "propagation", "sinks"}
COMMON = {
    *("types", "errors", "config", "clock", "vocabulary", "referents", "engines"),
    *("masking", "borders", "allocator"),
}
STAGE_EXTRAS = {
    "reasoning.detection": {"weights"},
    "reasoning.models.folder": {"weights"},
    "segmentation.salient": {"weights"},
    "sources.synthetic": {"synthetic"},
    "segmentation.sam2": {"weights", "eye"},
    "propagation.xmem.propagator": {"weights"},
    "propagation.sam2.propagator": {"weights", "eye"},
}
"""What a single file may know besides; each line is a decision."""

KNOWS_SEVERAL_STAGES = {"pipeline", "segmenter", "offline", "benchmarks"}
"""The two loops; the public door, which makes the stages; and benchmarks, which also measure them
one by one."""
KNOWS_NETS = {"weights", "nets", "engines.torch", "export", "training", "benchmarks"}
OPTIONAL = {
    "torch",
    "transformers",
    "gi",
    "pynvml",
    "huggingface_hub",
    "safetensors",
    "onnxruntime",
    "tensorrt",
    "tensorrt_rtx",
    "trl",
    "aiohttp",
    "httpx2",
    "llguidance",
    "supervision",
}
LONGEST_FUNCTION = 60
LONGEST_FILE = 500


@dataclass(frozen=True)
class Module:
    """One source file and what it imports; names are relative to `streamseg`."""

    name: str
    path: Path
    tree: ast.Module

    @property
    def room(self) -> str:
        return self.name.partition(".")[0]

    def imports(self) -> set[str]:
        """Modules of ours, as "room.file", that it imports anywhere, also for types alone."""
        return set(self._ours())

    def _ours(self) -> Iterator[str]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield from _within(alias.name)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{self.path}: relative import"
                base = node.module or ""
                for alias in node.names:
                    yield from _within(f"{base}.{alias.name}")

    def rooms(self) -> set[str]:
        """The rooms it knows, its own left out."""
        return {name.partition(".")[0] for name in self.imports()} - {self.room}


def _within(dotted: str) -> Iterator[str]:
    """`dotted` as a module of ours, relative to the package: its longest prefix that is a file."""
    parts = dotted.split(".")
    if parts[0] != "streamseg":
        return
    for end in range(len(parts), 1, -1):
        name = ".".join(parts[1:end])
        if name in _names():
            yield name
            return


@cache
def _files() -> tuple[tuple[str, Path], ...]:
    found = []
    for home, folder in HOMES.items():
        for path in sorted(folder.rglob("*.py")):
            parts = list(path.relative_to(folder).with_suffix("").parts)
            if home != "streamseg":
                parts.insert(0, home)
            if parts[-1] == "__init__":
                parts.pop()
            found.append((".".join(parts), path))
    return tuple(found)


@cache
def _names() -> frozenset[str]:
    return frozenset(name for name, _ in _files())


@cache
def modules() -> tuple[Module, ...]:
    return tuple(Module(name, path, ast.parse(path.read_text("utf-8"))) for name, path in _files())


def _id(module: Module) -> str:
    return module.name or "streamseg"


every_module = pytest.mark.parametrize("module", modules(), ids=_id)
every_stage_module = pytest.mark.parametrize(
    "module", [module for module in modules() if module.room in STAGES], ids=_id
)


def test_the_package_is_read_at_all() -> None:
    assert {"types", "sinks.masks", "cli"} <= _names()
    (masks,) = (module for module in modules() if module.name == "sinks.masks")
    assert masks.imports() == {
        "errors",
        "types",
        "sinks",
        "sinks.output.files",
        "sinks.output.folder",
        "sinks.output.results",
        "sinks.rle",
    }


@every_stage_module
def test_a_stage_knows_the_common_rooms_and_no_other_stage(module: Module) -> None:
    allowed = COMMON | STAGE_EXTRAS.get(module.name, set())
    assert module.rooms() <= allowed


@every_module
def test_only_the_loop_knows_several_stages(module: Module) -> None:
    if module.room not in KNOWS_SEVERAL_STAGES | STAGES:
        assert len(module.rooms() & STAGES) <= 1


@every_module
def test_only_those_who_build_networks_know_nets(module: Module) -> None:
    if "nets" in module.rooms():
        assert module.room in KNOWS_NETS or module.name in KNOWS_NETS


@every_module
def test_engines_see_tensors_and_never_frames(module: Module) -> None:
    if module.room == "engines":
        assert not module.rooms() & (STAGES | {"types", "pipeline"})


def test_types_and_errors_know_nothing_of_ours() -> None:
    for module in modules():
        if module.name in {"types", "referents", "errors", "version", "signals"}:
            # A result's way out, `to_supervision`, is made elsewhere; rules of who is meant too.
            allowed = {"interop", "referents"} if module.name == "types" else set()
            assert module.imports() <= allowed, module.name


@every_module
def test_a_file_opens_with_a_sentence_on_what_it_owns(module: Module) -> None:
    docstring = ast.get_docstring(module.tree)
    assert docstring, f"{module.path}: no module docstring"
    first = docstring.partition("\n\n")[0]
    assert first[0].isalnum() or first[0] in "`0123456789"
    assert first.rstrip().endswith((".", "?", ":")), f"{module.path}: {first!r} is no sentence"


@every_module
def test_files_and_functions_stay_short(module: Module) -> None:
    assert len(module.path.read_text("utf-8").splitlines()) <= LONGEST_FILE
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= LONGEST_FUNCTION, f"{module.path}:{node.lineno} {node.name}: {length}"


WITHOUT_EXTRAS = """
import sys
for name in sys.argv[1:]:
    sys.modules[name] = None  # its import raises ImportError
import streamseg.cli
import streamseg.weights
from streamseg import StreamSegmenter
segmenter = StreamSegmenter.from_config("classical")
results = segmenter.run("synthetic:easy?seed=1", "the red circle", max_frames=2)
assert len(list(results)) == 2
"""


def test_the_default_runs_without_any_optional_package() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_EXTRAS, *sorted(OPTIONAL)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


LOADED_BY_DEFAULT = ("cli", "pipeline", "weights", "reasoning.worker.main", *sorted(STAGES))


def test_nothing_loaded_by_default_leads_to_an_optional_package() -> None:
    """Followed along the imports at the tops of files; those in functions are made when chosen."""
    by_name = {module.name: module for module in modules()}
    waiting, seen = list(LOADED_BY_DEFAULT), set(LOADED_BY_DEFAULT)
    while waiting:
        module = by_name[waiting.pop()]
        for dotted in _imported_on_loading(module.tree):
            assert dotted.partition(".")[0] not in OPTIONAL, f"{module.path} imports {dotted}"
            new = set(_within(dotted)) - seen
            seen |= new
            waiting += new
    assert "sinks.runner" in seen


def _imported_on_loading(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
