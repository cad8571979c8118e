"""Where each engine of a network would come from: a folder, the cache, or still to be built."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from streamseg.config import EngineConfig, EngineFamily
from streamseg.errors import EngineError
from streamseg.export.networks import Source
from streamseg.export.precision import lowered_inputs
from streamseg.export.provider import Provider


def inventory(
    source: Source, config: EngineConfig, family: EngineFamily, device: torch.device, cache: Path
) -> dict[str, str]:
    """Look for the file of every part; builds nothing.

    Args:
        source: The network.
        config: What runs it.
        family: Of the config's, usable here.
        device: Where torch would run it.
        cache: Folder for engines built on first use.

    Returns:
        By part: "folder", "cache", "to be built", "needs no file", or what is wrong.
    """
    provider = Provider(source.network, config, device, cache)
    found: dict[str, str] = {}
    for name in source.part_names:
        part = source.make(name)
        part = replace(part, inputs=lowered_inputs(part, config.precision))
        try:
            found[name] = provider.origin(part, family)
        except EngineError as error:
            found[name] = str(error)
    return found
