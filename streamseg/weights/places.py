"""Where a model's files belong and whether they are there; imports nothing heavy, fetches nothing.

A model of the registry lives in a folder of its name under the cache (`$STREAMSEG_CACHE`, else
`$XDG_CACHE_HOME/streamseg`, else `~/.cache/streamseg`), where files may be put by hand, or in the
hub's own cache, whose variables hold: HF_HUB_CACHE, HF_HOME, XDG_CACHE_HOME.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from streamseg.borders.paths import trouble_with_path
from streamseg.errors import OutputError
from streamseg.masking import mask
from streamseg.weights.registry import SHIPPED, Model

_HUB_ID = re.compile(
    r"(?!.*(?:--|\.\.))[A-Za-z0-9][\w.-]{0,95}(?<![.-])/[A-Za-z0-9][\w.-]{0,95}(?<![.-])", re.ASCII
)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_LONGEST_REF = 200
_YES = frozenset(("1", "ON", "YES", "TRUE"))


def is_hub_id(name: str) -> bool:
    """Whether a name is an owner's and a repository's."""
    return _HUB_ID.fullmatch(name) is not None


def hub_endpoint() -> str:
    """`$HF_ENDPOINT`, else the public hub."""
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def hub_is_off() -> bool:
    """Whether `$HF_HUB_OFFLINE` (or `$TRANSFORMERS_OFFLINE`) forbids to ask the hub."""
    names = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    return any(os.environ.get(name, "").upper() in _YES for name in names)


def cache_dir() -> Path:
    """The folder that holds a folder per model; not created by asking.

    Raises:
        OutputError: The environment names what can be no folder.
    """
    if chosen := _folder_in("STREAMSEG_CACHE"):
        return chosen
    return _base() / "streamseg"


def exports_dir(model: str) -> Path:
    """Where a config looks for the export of a reasoner that it names without a folder."""
    return cache_dir() / "exported" / model.replace("/", "--")


def hub_cache() -> Path:
    """The hub's own cache.

    Raises:
        OutputError: The environment names what can be no folder.
    """
    if chosen := _folder_in("HF_HUB_CACHE") or _folder_in("HUGGINGFACE_HUB_CACHE"):
        return chosen
    return (_folder_in("HF_HOME") or _base() / "huggingface") / "hub"


def hub_snapshot(repo: str, revision: str = "") -> Path | None:
    """The folder of a repository in the hub's cache, whole or not; None where there is none.

    Args:
        revision: A branch, tag or commit; empty for the newest.
    """
    held = hub_cache() / f"models--{repo.replace('/', '--')}"
    name = revision or "main"
    try:
        commit = name if _COMMIT.fullmatch(name) else _read_ref(held / "refs" / name)
        folder = held / "snapshots" / commit
        return folder if commit and folder.is_dir() else None
    except (OSError, ValueError):
        return None


def own_folder(model: Model) -> Path:
    """Where a model's files go by hand, or lie where it ships."""
    if model.home == SHIPPED:
        return Path(__file__).parents[1] / "shipped" / model.name
    return cache_dir() / model.name


def folder_of(model: Model) -> Path | None:
    """Where all the model's files are: our own cache, else the hub's; None where they are not."""
    own = own_folder(model)
    if has_all(own, model.files):
        return own
    found = hub_snapshot(model.home) if is_hub_id(model.home) else None
    return found if found is not None and has_all(found, model.files) else None


def has_all(folder: Path, files: Sequence[str]) -> bool:
    """Whether a folder holds every one of these files."""
    return all((folder / file).is_file() for file in files)


def page(model: Model) -> str:
    """For people: where a model is published."""
    if is_hub_id(model.home):
        return hub_page(model.home)
    return f"{model.home}/{model.files[0]}"


def hub_page(repo: str) -> str:
    """For people: a repository's page."""
    return mask(f"{hub_endpoint()}/{repo}")


def _read_ref(path: Path) -> str:
    with path.open(encoding="ascii") as stream:
        commit = stream.read(_LONGEST_REF).strip()
    return commit if re.fullmatch(r"[\w-]+", commit, re.ASCII) else ""


def _base() -> Path:
    return _folder_in("XDG_CACHE_HOME") or Path.home() / ".cache"


def _folder_in(variable: str) -> Path | None:
    value = os.environ.get(variable)
    if not value:
        return None
    if trouble := trouble_with_path(value):
        raise OutputError(f"{variable}: {trouble}")
    return Path(os.path.expandvars(value)).expanduser()
