"""A language model's folder: where it is, and whether it holds what is needed; loads nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

from streamseg.borders.json_file import JsonFileError, read_json
from streamseg.borders.paths import trouble_with_path
from streamseg.errors import CheckpointError, UsageError
from streamseg.masking import legible

SHIPPED = ("reasoner-nano",)
"""Names of `streamseg models` that are such folders."""
PATTERNS = ("*.json", "*.safetensors", "*.jinja", "*.txt", "*.model")
"""What is fetched of a repository."""
_INDEX = "model.safetensors.index.json"
_ANY_OF = (
    ("config.json",),
    ("tokenizer.json", "vocab.json", "tokenizer.model"),
    ("preprocessor_config.json", "processor_config.json"),
    ("model.safetensors", _INDEX),
)


def find(name: str, revision: str = "") -> Path:
    """The folder that a config means: of a model that ships, a path's, or a hub repository's,
    fetched if need be.

    Raises:
        CheckpointError: Files are missing and cannot be fetched.
        MissingDependencyError: huggingface_hub is not installed.
        UsageError: The name can be neither.
    """
    if trouble := trouble_with_path(name):
        raise UsageError(f"no such model: {trouble}")
    if name in SHIPPED:
        from streamseg import weights

        return weights.locate(name, "reasoner")
    folder = Path(name).expanduser()
    if folder.exists() or folder.is_absolute() or name.startswith((".", "~")):
        if absent := missing(folder):
            raise CheckpointError(
                f"{legible(str(folder))} has no {absent}: give a folder as the hub has it, or a "
                "hub id"
            )
        return folder
    from streamseg.weights import hub

    found = hub.snapshot(name, revision, PATTERNS, lambda folder: not missing(folder))
    if absent := missing(found):
        raise CheckpointError(f"{name} has no {absent} on the hub: it cannot be used here")
    return found


def exported(model: str) -> Path:
    """Where the cache of weights holds a model's export.

    Raises:
        CheckpointError: It is not there: says which command puts it there.
    """
    from streamseg.weights import places

    place = places.exports_dir(model)
    if not place.is_dir():
        raise CheckpointError(
            f"{legible(model)} is not exported yet: run streamseg export --parts reasoner --model "
            f"{legible(model)} --output {place}"
        )
    return place


def missing(folder: Path) -> str:
    """The first file that a folder lacks; empty where it lacks none."""
    for names in _ANY_OF:
        if not any((folder / name).is_file() for name in names):
            return " or ".join(names)
    if (folder / "model.safetensors").is_file():
        return ""
    shards = read(folder / _INDEX).get("weight_map")
    if not isinstance(shards, dict) or not shards:
        return f"weight_map in {_INDEX}"
    for shard in sorted({str(file) for file in shards.values()}):
        if PurePath(shard).name != shard or not (folder / shard).is_file():
            return shard[:100]
    return ""


def described(folder: Path) -> Mapping[str, Any]:
    """A folder's config.json, of a model that sees pictures.

    Raises:
        CheckpointError: It is no mapping, or describes another kind of model.
    """
    path = folder / "config.json"
    values = read(path)
    kind = values.get("model_type")
    if not isinstance(kind, str) or not isinstance(values.get("vision_config"), dict):
        raise CheckpointError(
            f"{path}: expected a model that reads text and sees pictures (model_type and "
            f"vision_config), got model_type {str(kind)[:60]!r}"
        )
    return values


def read(path: Path) -> Mapping[str, Any]:
    """A mapping in a JSON file.

    Raises:
        CheckpointError: It is none.
    """
    try:
        values = read_json(path)
    except (FileNotFoundError, JsonFileError) as error:
        raise CheckpointError(f"{path} is not readable JSON: {error}") from None
    if not isinstance(values, dict):
        raise CheckpointError(f"{path}: expected a mapping, got {type(values).__name__}")
    return values
