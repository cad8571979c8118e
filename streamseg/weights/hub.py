"""Whole repositories of the hub, in the hub's own cache, by huggingface_hub's own download.

Its variables hold: HF_HOME, HF_HUB_CACHE, HF_ENDPOINT, HF_HUB_OFFLINE, HF_TOKEN. What is cached
already is used as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from streamseg.errors import CheckpointError, MissingDependencyError, UsageError
from streamseg.masking import mask
from streamseg.weights.places import hub_endpoint, hub_page, is_hub_id


def snapshot(
    name: str, revision: str, patterns: Sequence[str], is_whole: Callable[[Path], bool]
) -> Path:
    """The folder of a repository's files that fit `patterns`, fetched where it is not whole.

    Args:
        name: Such as Qwen/Qwen2.5-VL-7B-Instruct.
        revision: A branch, tag or commit; empty for the newest.
        is_whole: Whether a cached folder has all that is needed.

    Raises:
        CheckpointError: It is not here and cannot be fetched: says why, and where it would go.
        MissingDependencyError: huggingface_hub is not installed.
        UsageError: It is no hub id.
    """
    if not is_hub_id(name):
        raise UsageError(
            f"no such model: expected a folder that exists, or a hub id such as "
            f"Qwen/Qwen2.5-VL-7B-Instruct, got {mask(name)[:100]!r}"
        )
    try:
        import huggingface_hub
        import huggingface_hub.errors
        from huggingface_hub.constants import HF_HUB_CACHE, is_offline_mode
        from huggingface_hub.errors import LocalEntryNotFoundError
    except ImportError:
        raise MissingDependencyError("huggingface_hub", "neural") from None
    found = revision or None
    try:
        cached = Path(
            huggingface_hub.snapshot_download(name, revision=found, local_files_only=True)
        )
        if is_whole(cached):
            return cached
    except LocalEntryNotFoundError:
        pass
    remedy = f"fetch it where there is a network: hf download {name}; it goes into {HF_HUB_CACHE}"
    if is_offline_mode():
        raise CheckpointError(f"{name} is not here and HF_HUB_OFFLINE is set: {remedy}")
    try:
        return Path(
            huggingface_hub.snapshot_download(
                name,
                revision=found,
                allow_patterns=list(patterns),
                endpoint=hub_endpoint(),
            )
        )
    except huggingface_hub.errors.GatedRepoError:
        raise CheckpointError(
            f"{name} is gated: accept its licence at {hub_page(name)}, then log in with hf auth "
            "login, or set HF_TOKEN; without a network: " + remedy
        ) from None
    except Exception as error:  # noqa: BLE001 - refused, unknown, unreachable: each its own class
        told = mask(" ".join(str(error).split())[:300])
        raise CheckpointError(f"{name} cannot be fetched: {told}; {remedy}") from None
