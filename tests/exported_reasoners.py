"""Tiny reasoners of true layouts, taught one answer and exported; questions to put to them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import vlm_layouts

from streamseg.config import ExportedConfig, VlmConfig
from streamseg.export.build import Made
from streamseg.export.reasoner.export import Precision, Reasoner
from streamseg.reasoning.language import prompt
from streamseg.reasoning.language.prompt import Prompt
from streamseg.reasoning.models.chat import Chat, scale_for
from streamseg.reasoning.models.vlm import VlmChat
from streamseg.types import Frame

LISTED = '[{"bbox_2d": [20, 10, 60, 40], "point_2d": [30, 20]}]'
THOUGHT = f"It is blue.</think>\n<answer>{LISTED}</answer><|im_end|>"
SMALL: dict[str, Any] = {
    "pixels": 3136,
    "context_pixels": 3136,
    "answer_tokens": 100,
    "threads": 1,
}


@dataclass(frozen=True)
class Pair:
    """A network in torch and what was exported of it; it answers `question` by THOUGHT."""

    kind: str
    folder: Path
    exported: Path
    rows: list[Made]
    vlm: VlmChat

    def settings(self, **more: Any) -> ExportedConfig:
        return ExportedConfig(folder=str(self.exported), **{**SMALL, **more})


def frames(size: tuple[int, int] = (120, 90), count: int = 2) -> list[Frame]:
    """Noise, (width, height)."""
    random = np.random.default_rng(0)
    shape = (size[1], size[0], 3)
    return [
        Frame(k, k * 100_000_000, 0, random.integers(0, 255, shape, np.uint8)) for k in range(count)
    ]


def question(
    chat: Chat, shown: list[Frame] | None = None, thinks: bool = True, budget: int = 40
) -> Prompt:
    shown = shown or frames()
    target = shown[min(1, len(shown) - 1)]
    scale = scale_for(chat, target)
    return prompt.grounding(
        "the mug", target, shown, [], scale, chat.family.convention, thinks, budget
    )


def vlm(folder: Path) -> VlmChat:
    return VlmChat.open(VlmConfig(model=str(folder), device="cpu", **SMALL))


def export(folder: Path, output: Path, precision: Precision = "fp32", count: int = 2) -> list[Made]:
    staging = output / f".staging-{precision}"
    staging.mkdir(parents=True)
    return Reasoner(str(folder)).export(precision, staging, output, lambda *_: None, count)


def pair(root: Path, kind: str) -> Pair:
    folder = vlm_layouts.write(root / kind, kind)
    chat = vlm(folder)
    inputs, _ = chat._composer.compose(question(chat))
    given = {key: torch.from_numpy(array) for key, array in inputs.items()}
    vlm_layouts.teach(chat._network, given, chat._writing.encode(THOUGHT))
    chat._network.save_pretrained(folder)
    output = root / f"{kind}-exported"
    rows = export(folder, output)
    return Pair(kind, folder, output, rows, chat)
