"""A wheel holds all of streamseg, and so does an editable install: rooms, configs, top folders."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOP_FOLDERS = ("export", "benchmarks", "configs")
BUILT_FROM = ("streamseg", *TOP_FOLDERS, "pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that nothing is left in the working tree."""
    source = tmp_path_factory.mktemp("source")
    for name in BUILT_FROM:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
            shutil.copytree(ROOT / name, source / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, source)
    target = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    done = subprocess.run(
        [*build, "--no-index", "--wheel-dir", os.fspath(target), os.fspath(source)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = target.glob("streamseg-*.whl")
    return path


def expected_files() -> set[str]:
    """Every Python file and description of the tree, under the name it has once installed."""
    own = [*(ROOT / "streamseg").rglob("*.py"), *(ROOT / "streamseg").rglob("*.yaml")]
    found = {path.relative_to(ROOT).as_posix() for path in own}
    for folder in TOP_FOLDERS:
        files = [*(ROOT / folder).rglob("*.py"), *(ROOT / folder).rglob("*.yaml")]
        found |= {f"streamseg/{path.relative_to(ROOT).as_posix()}" for path in files}
    return found | {"streamseg/py.typed"}


def test_a_wheel_holds_every_file(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert expected_files() - names == set()
    assert not any(name.startswith(("tests/", "export/", "benchmarks/")) for name in names)
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_a_wheel_runs_away_from_its_source(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    script = """
import pathlib, sys
import streamseg, streamseg.export, streamseg.benchmarks, streamseg.configs
from streamseg.config import available, load
home = pathlib.Path(sys.argv[1])
for module in (streamseg, streamseg.export, streamseg.benchmarks, streamseg.configs):
    assert pathlib.Path(module.__file__).is_relative_to(home), module.__file__
print(*[load(name).name for name in available()])
"""
    done = subprocess.run(
        [sys.executable, "-c", script, os.fspath(tmp_path)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.fspath(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert {"classical", "selftest"} <= set(done.stdout.split())


def test_an_editable_install_finds_the_top_folders() -> None:
    for name in TOP_FOLDERS:
        module = importlib.import_module(f"streamseg.{name}")
        assert Path(module.__file__ or "").parent == ROOT / name


def test_the_command_is_installed() -> None:
    (script,) = (
        entry
        for entry in metadata.distribution("streamseg").entry_points
        if entry.group == "console_scripts"
    )
    assert script.name == "streamseg"
    assert callable(script.load())
