"""Config files and overrides into plain values, and what is wrong with them into plain words."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from streamseg.errors import ConfigError


def available() -> list[str]:
    """Names of the configs that ship with the package, sorted."""
    folder = resources.files("streamseg.configs")
    return sorted(
        item.name.removesuffix(".yaml") for item in folder.iterdir() if item.name.endswith(".yaml")
    )


def read_yaml(name_or_path: str) -> dict[str, Any]:
    """The values of a shipped config by name, or of any YAML file by path.

    Raises:
        ConfigError: No such config, or a file that is not YAML or holds no mapping.
    """
    path = Path(name_or_path)
    if path.suffix in {".yaml", ".yml"} or path.is_file():
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"cannot read config {path}: {error}") from None
    elif name_or_path in available():
        text = (resources.files("streamseg.configs") / f"{name_or_path}.yaml").read_text("utf-8")
    else:
        raise ConfigError(
            f"no config named {name_or_path!r}{_nearest(name_or_path, available())}; "
            f"there are: {', '.join(available())}, or give the path of a .yaml file"
        )
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(
            f"{name_or_path} is not valid YAML: {' '.join(str(error).split())}"
        ) from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(
            f"{name_or_path}: expected a mapping at the top, got {type(values).__name__}"
        )
    return values


def apply_override(values: dict[str, Any], override: str) -> None:
    """Put an `a.b=value` into nested values; the value is YAML.

    Raises:
        ConfigError: It is none, or the key leads through a value.
    """
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"--set {override!r}: expected KEY=VALUE, such as trigger.cooldown_s=1.0")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise ConfigError(f"--set {override!r}: {text!r} is not a YAML value") from None
    *parents, leaf = key.strip().split(".")
    place = values
    for parent in parents:
        place = place.setdefault(parent, {})
        if not isinstance(place, dict):
            raise ConfigError(f"--set {override!r}: {parent!r} is a value, not a section")
    place[leaf] = value


def explain(error: ValidationError, root: type[BaseModel]) -> Iterator[str]:
    """What is wrong, a line each: the key, what was expected, what came, the nearest key."""
    for item in error.errors():
        where = [str(part) for part in item["loc"]]
        if item["type"] == "extra_forbidden":
            known = list(_fields_at(root, where[:-1]))
            yield (
                f"unknown config key {'.'.join(where)!r}{_nearest(where[-1], known)}; "
                f"known here: {', '.join(known)}"
            )
        elif item["type"] == "value_error":  # settings that do not go together say it themselves
            yield f"config {'.'.join(where)}: {item['ctx']['error']}"
        else:
            got = json.dumps(item["input"], default=str)[:80]
            yield f"config {'.'.join(where)}: {item['msg'].lower()}, got {got}"


def _fields_at(root: type[BaseModel], where: Sequence[str]) -> Iterator[str]:
    model = root
    for part in where:
        inner = model.model_fields[part].annotation
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return
        model = inner
    yield from model.model_fields


def _nearest(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else ""
