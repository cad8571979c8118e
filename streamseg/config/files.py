"""Config files and overrides into plain values, and what is wrong with them into plain words."""

from __future__ import annotations

import contextlib
import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from streamseg.borders.paths import trouble_with_path
from streamseg.borders.yaml_text import MAX_CHARS, YamlTextError, read_plain
from streamseg.config.bounds import Section, spelled_out
from streamseg.errors import ConfigError
from streamseg.masking import legible, mask

_LONGEST_SHOWN = 80
_MOST_MISTAKES = 8
_MAX_KEY_PARTS = 8
_LONG_INT_BITS = 256


def available() -> list[str]:
    """Names of the configs that ship with the package, sorted."""
    folder = resources.files("streamseg.configs")
    return sorted(
        item.name.removesuffix(".yaml") for item in folder.iterdir() if item.name.endswith(".yaml")
    )


def read_yaml(name_or_path: str) -> dict[str, Any]:
    """The values of a shipped config by name, or of any YAML file by path.

    Raises:
        ConfigError: No such config, or a file that is not YAML, holds no mapping, or is too much.
    """
    if name_or_path in available():
        text = (resources.files("streamseg.configs") / f"{name_or_path}.yaml").read_text("utf-8")
    else:
        text = _read_file(name_or_path)
    return parse_yaml(text, name_or_path)


def described(name_or_path: str) -> str:
    """What a config says of itself.

    Raises:
        ConfigError: As `read_yaml`.
    """
    return str(read_yaml(name_or_path).get("description", "")).strip()


def parse_yaml(text: str, name: str) -> dict[str, Any]:
    """The mapping that a YAML text holds.

    Raises:
        ConfigError: It is not YAML, holds no mapping, or is too much.
    """
    try:
        values = read_plain(text)
    except YamlTextError as error:
        raise ConfigError(f"{legible(name)} is not valid YAML: {error}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(
            f"{legible(name)}: expected a mapping at the top, got {type(values).__name__}"
        )
    return values


def spell_out(values: dict[str, Any], root: type[BaseModel]) -> None:
    """Write short keys out in full, so that what is read later overrides them by either name.

    Where one stands there in short and in full, both stay, for validation to complain of.
    """
    for key, inner in values.items():
        section = _section_at(root, [key])
        if section is not None and isinstance(inner, dict):
            with contextlib.suppress(ValueError):
                values[key] = spelled_out(inner, _shorthand(section))
            spell_out(values[key], section)


def apply_override(values: dict[str, Any], override: str, root: type[BaseModel]) -> None:
    """Put an `a.b=value` into nested values of `root`, short keys in full; the value is YAML.

    Raises:
        ConfigError: It is none, or the key leads through a value.
    """
    key, equals, text = override.partition("=")
    told = f"--set {_brief(override)}"
    if not equals or not key.strip():
        raise ConfigError(f"{told}: expected KEY=VALUE, such as trigger.cooldown_s=1.0")
    *parents, leaf = key.strip().split(".")
    if len(parents) >= _MAX_KEY_PARTS:
        raise ConfigError(
            f"{told}: expected a key of at most {_MAX_KEY_PARTS} parts, got {len(parents) + 1}"
        )
    try:
        value = read_plain(text)
    except YamlTextError as error:
        raise ConfigError(f"{told}: {_brief(text)} is not a YAML value: {error}") from None
    place = values
    parents += _left_out(root, parents, leaf)
    for parent in parents:
        place = place.setdefault(parent, {})
        if not isinstance(place, dict):
            raise ConfigError(f"{told}: {_brief(parent)} is a value, not a section")
    place[leaf] = value


def explain(error: ValidationError, root: type[BaseModel]) -> Iterator[str]:
    """What is wrong, a line each: the key, what was expected, what came, the nearest key."""
    items = error.errors()
    for item in items[:_MOST_MISTAKES]:
        where = [str(part) for part in item["loc"]]
        key = ".".join(_shortened(part) for part in where)
        if item["type"] == "extra_forbidden":
            known = list(_fields_at(root, where[:-1]))
            yield (
                f"unknown config key {_brief(key)}{_nearest(where[-1], known)}; "
                f"known here: {', '.join(known)}"
            )
        elif item["type"] == "value_error":  # settings that do not go together say it themselves
            yield f"config {key}: {item['ctx']['error']}"
        else:
            said = item["msg"].replace("Input should", "should", 1).lower()
            yield f"config {key}: {said}, got {_written(item['input'])}{_for_short(root, where)}"
    if len(items) > _MOST_MISTAKES:
        yield f"and {len(items) - _MOST_MISTAKES} more mistakes"


def _read_file(name_or_path: str) -> str:
    if trouble := trouble_with_path(name_or_path):
        raise ConfigError(f"cannot read config: {trouble}")
    path = Path(name_or_path)
    if path.suffix not in {".yaml", ".yml"} and not path.is_file():
        names = available()
        raise ConfigError(
            f"no config named {_brief(legible(name_or_path))}{_nearest(name_or_path, names)}; "
            f"there are: {', '.join(names)}, or give the path of a .yaml file"
        )
    shown = legible(name_or_path)
    try:
        if path.exists() and not path.is_file():
            raise ConfigError(f"cannot read config {shown}: expected a file, got something else")
        with path.open(encoding="utf-8") as file:
            return file.read(MAX_CHARS + 1)
    except OSError as error:
        raise ConfigError(f"cannot read config {shown}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"cannot read config {shown}: it is not UTF-8: {error.reason}") from None


def _written(value: object) -> str:
    """A value as it came, its beginning; one that cannot be written out says so itself."""
    if isinstance(value, int) and value.bit_length() > _LONG_INT_BITS:
        return f"a whole number of {value.bit_length()} bits"
    try:
        return _shortened(json.dumps(value, default=str))
    except ValueError:
        return f"a {type(value).__name__} that cannot be shown"


def _brief(text: str) -> str:
    return repr(mask(_shortened(text)))


def _shortened(text: str) -> str:
    text = "".join(letter if letter.isprintable() else " " for letter in text[: _LONGEST_SHOWN + 1])
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def _fields_at(root: type[BaseModel], where: Sequence[str]) -> Iterator[str]:
    model = _section_at(root, where)
    if model is not None:
        yield from model.model_fields
        yield from _shorthand(model)


def _section_at(root: type[BaseModel], where: Sequence[str]) -> type[BaseModel] | None:
    model = root
    for part in where:
        if part not in model.model_fields:
            return None
        inner = model.model_fields[part].annotation
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return None
        model = inner
    return model


def _left_out(root: type[BaseModel], parents: Sequence[str], leaf: str) -> list[str]:
    """The section that a short key leaves out, as a list; empty where the key is in full."""
    short = _shorthand(_section_at(root, parents))
    return [short[leaf]] if leaf in short else []


def _shorthand(model: type[BaseModel] | None) -> Mapping[str, str]:
    return model.shorthand if model is not None and issubclass(model, Section) else {}


def _for_short(root: type[BaseModel], where: Sequence[str]) -> str:
    """The short form of a key, for people who wrote that; empty where there is none."""
    if len(where) < 3 or _left_out(root, where[:-2], where[-1]) != [where[-2]]:
        return ""
    return f" ({'.'.join([*where[:-2], where[-1]])} for short)"


def _nearest(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name[:_LONGEST_SHOWN], known, n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else ""
