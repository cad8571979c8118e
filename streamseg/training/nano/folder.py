"""The small reasoner as a folder: what `vlm`, transformers and trl load like any checkpoint."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch

from streamseg.errors import CheckpointError, OutputError
from streamseg.masking import legible
from streamseg.reasoning.loading import load_whole, quiet
from streamseg.reasoning.models import folder as folders
from streamseg.training.nano import words
from streamseg.training.nano.network import MERGE, PATCH, SIZE
from streamseg.weights import RECORD


def save(
    network: Any,
    folder: Path,
    dtype: torch.dtype = torch.float16,
    source: str = "streamseg train sft",
) -> None:
    """Write weights, config, tokenizer, processor and checksums; each file whole or not at all.

    Args:
        source: By what the checksums say it was made.

    Raises:
        OutputError: The folder cannot be written; what was in it stays.
    """
    from transformers import Qwen2VLImageProcessorPil

    part = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    pixels = SIZE[0] * SIZE[1]
    pictures = Qwen2VLImageProcessorPil(
        patch_size=PATCH,
        merge_size=MERGE,
        temporal_patch_size=1,
        size={"shortest_edge": pixels, "longest_edge": pixels},
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
    )
    try:
        with quiet():
            part.mkdir(parents=True, exist_ok=True)
            copy.deepcopy(network).to(dtype).save_pretrained(part)
            words.tokenizer().save_pretrained(part)
            pictures.save_pretrained(part)
        _record(part, source)
        folder.mkdir(parents=True, exist_ok=True)
        for file in sorted(part.iterdir()):
            file.chmod(0o644)
            file.replace(folder / file.name)
    except Exception as error:  # noqa: BLE001 - safetensors has an error of its own for a full disk
        raise OutputError(
            f"{legible(str(folder))} cannot be written: {' '.join(str(error).split())[:200]}"
        ) from None
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _record(folder: Path, source: str) -> None:
    """What to verify the files by."""
    sums = {
        file.name: {
            "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
            "source": source,
        }
        for file in sorted(folder.iterdir())
    }
    (folder / RECORD).write_text(json.dumps(sums, indent=2) + "\n", encoding="utf-8")


def load(folder: Path) -> Any:
    """The network of a folder that `save` wrote, float32.

    Raises:
        CheckpointError: It is damaged, or no small reasoner of ours.
    """
    if absent := folders.missing(folder):
        raise CheckpointError(f"{legible(str(folder))} has no {absent}")
    if not is_small(folder):
        raise CheckpointError(
            f"{legible(str(folder))}: expected a small reasoner as streamseg train sft writes it "
            f"({len(words.TOKENS)} tokens, pictures of {SIZE[0]}x{SIZE[1]}), got another model"
        )
    what = "a small reasoner"
    network: Any = load_whole(
        "AutoModelForImageTextToText", folder, what, "neural", dtype=torch.float32
    )
    return network


def is_small(folder: Path) -> bool:
    """Whether a folder's config is a small reasoner's, with our tokens and our size of picture.

    Raises:
        CheckpointError: Its config cannot be read.
    """
    described = folders.described(folder)
    text, told = described.get("text_config"), described.get("coordinates")
    size = text.get("vocab_size") if isinstance(text, dict) else None
    return size == len(words.TOKENS) and isinstance(told, dict) and told.get("size") == list(SIZE)
