"""What is kept here: built engines, the hub's cache, and what `auto` makes of it."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamseg.errors import StreamSegError
from streamseg.masking import mask

if TYPE_CHECKING:
    from streamseg.engines.manifest import Entry

Report = dict[str, Any]


def cache() -> Report:
    from streamseg.engines.manifest import read_manifest
    from streamseg.weights import cache_dir

    folder = cache_dir() / "engines"
    try:
        entries, problem = read_manifest(folder), ""
    except StreamSegError as error:
        entries, problem = [], str(error)
    files = [
        {
            "part": entry.part,
            "file": entry.file,
            "format": entry.format,
            "precision": entry.precision,
            "target": entry.target,
            "nbytes": entry.nbytes,
            "state": _state(folder, entry),
        }
        for entry in entries
    ]
    mib = round(sum(entry.nbytes for entry in entries) / 2**20, 1)
    return {"folder": str(folder), "files": files, "mib": mib, "problem": problem}


def auto_choice() -> Report:
    """What the default config stands for here."""
    from streamseg.weights import auto

    choice = auto.choose()
    return {"config": choice.config, "said": str(choice)}


def hub() -> Report:
    from streamseg.weights import places

    token = bool(os.environ.get("HF_TOKEN"))
    if not token and find_spec("huggingface_hub") is not None:
        from huggingface_hub.constants import HF_TOKEN_PATH

        token = Path(HF_TOKEN_PATH).is_file()
    return {
        "cache": str(places.hub_cache()),
        "endpoint": mask(places.hub_endpoint()),
        "offline": places.hub_is_off(),
        "token": token,
    }


def _state(folder: Path, entry: Entry) -> str:
    """Whether the file is what the manifest says, by its hash."""
    from streamseg.engines.manifest import trusted_bytes

    try:
        trusted_bytes(folder, entry)
    except StreamSegError:
        return "damaged" if (folder / entry.file).exists() else "missing"
    return "whole"
