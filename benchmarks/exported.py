"""An exported reasoner beside the network that it was made of: the same answers, and how soon?

    streamseg export --parts reasoner --model reasoner-nano --output exported
    python -m streamseg.benchmarks.exported --folder exported --prompts 500

Both are asked the same questions on synthetic scenes, as the two backends ask them (`vlm` in
float32, `exported`), with and without thinking, and write until they end by themselves. A table for
people, then one JSON line for machines. Seconds of the processor are told beside seconds: a busy
machine lengthens these alone.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from streamseg import config as configs
from streamseg import synthetic
from streamseg.benchmarks import machine
from streamseg.config import Config, ExportedConfig, VlmConfig
from streamseg.reasoning.language import prompt
from streamseg.reasoning.language.prompt import Prompt
from streamseg.reasoning.models.chat import Chat, Completion, scale_for
from streamseg.reasoning.models.exported.chat import ExportedChat
from streamseg.reasoning.models.vlm import VlmChat
from streamseg.types import Frame

LEVELS = ("easy", "medium")
BUDGETS = (0, 16, 64, 128)
"""Tokens of thinking, in turns; 0: none is asked for."""
SIZE = (640, 360)
AIM_S = 1.0
"""Longest an answer of reasoner-nano is to take on two cores."""
_PATIENCE_S = 600.0
"""No answer is steered by the clock here: how busy the machine is must not change what is said."""


@dataclass(frozen=True)
class Pair:
    """One question's two answers."""

    budget: int
    torch: Completion
    exported: Completion
    exported_s: float
    exported_cpu_s: float

    @property
    def same(self) -> bool:
        """Word for word, special tokens among them, of as many tokens."""
        return (self.torch.text, self.torch.tokens) == (self.exported.text, self.exported.tokens)


def questions(chat: Chat, count: int, split: str) -> Iterator[Prompt]:
    """As a backend asks them, each of another scene."""
    for number in range(count):
        level = LEVELS[number % len(LEVELS)]
        scene = synthetic.scene(level, 1 + number // len(LEVELS), split, SIZE)
        told = [each for each in scene.expressions if each.kind != "temporal"]
        sentence = told[number % len(told)].text
        frame = Frame(15, 600_000_000, 0, scene.frame(15)[0])
        budget = BUDGETS[number % len(BUDGETS)]
        yield prompt.grounding(
            sentence,
            frame,
            [],
            [],
            scale_for(chat, frame),
            chat.family.convention,
            thinks=budget > 0,
            budget=max(budget, 1),
        )


def ask(torch: Chat, exported: Chat, asked: Prompt) -> Pair:
    """One question to both, one after the other."""
    first = torch.complete(asked, time.monotonic() + _PATIENCE_S)
    begun_s, cpu_s = time.perf_counter(), time.process_time()
    second = exported.complete(asked, time.monotonic() + _PATIENCE_S)
    ended_s, ended_cpu_s = time.perf_counter(), time.process_time()
    budget = asked.budget if asked.thinks else 0
    return Pair(budget, first, second, ended_s - begun_s, ended_cpu_s - cpu_s)


def figures(pairs: Sequence[Pair]) -> dict[str, Any]:
    """In plain values; `differing` holds the first few answers that are not the same."""
    differing = [pair for pair in pairs if not pair.same]
    return {
        "prompts": len(pairs),
        "same": len(pairs) - len(differing),
        "tokens": sum(pair.torch.tokens for pair in pairs),
        "exported_s": _spread([pair.exported_s for pair in pairs]),
        "exported_cpu_s": _spread([pair.exported_cpu_s for pair in pairs]),
        "within_aim": sum(pair.exported_s <= AIM_S for pair in pairs),
        "differing": [
            {"budget": pair.budget, "torch": pair.torch.text, "exported": pair.exported.text}
            for pair in differing[:5]
        ],
    }


def _spread(seconds: Sequence[float]) -> dict[str, float]:
    values = np.asarray(seconds)
    return {
        "median": round(float(np.median(values)), 4),
        "p95": round(float(np.quantile(values, 0.95)), 4),
        "max": round(float(values.max()), 4),
    }


def chats(config: Config, folder: str, precision: str, threads: int) -> tuple[Chat, Chat]:
    """The config's network in torch, in float32 on the CPU, and what was exported of it."""
    vlm: VlmConfig = config.reasoning.vlm.model_copy(
        update={"device": "cpu", "dtype": "float32", "threads": 1}  # it is not what is timed
    )
    same = {key: getattr(vlm, key) for key in type(vlm).model_fields if key in _SHARED}
    exported = ExportedConfig(**same, folder=folder, precision=precision, threads=threads)
    return VlmChat.open(vlm), ExportedChat.open(exported)


_SHARED = frozenset(VlmConfig.model_fields) & frozenset(ExportedConfig.model_fields) - {"threads"}


def main() -> None:
    """Ask, compare, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", default="reasoner-nano", help="whose reasoning.vlm is asked")
    parser.add_argument("--folder", required=True, help="of streamseg export --parts reasoner")
    parser.add_argument("--precision", default="fp32", choices=["fp32", "int8", "int4"])
    parser.add_argument("--prompts", type=int, default=500)
    parser.add_argument("--split", default="test", choices=synthetic.SPLITS)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    config = configs.load(options.config)
    torch, exported = chats(config, options.folder, options.precision, options.threads)
    load = os.getloadavg()[0]
    asked = track(
        questions(torch, options.prompts, options.split),
        "prompts",
        total=options.prompts,
        console=Console(stderr=True),
    )
    found = figures([ask(torch, exported, each) for each in asked])
    found["load"] = [round(load, 1), round(os.getloadavg()[0], 1)]
    for name, value in found.items():
        Console().print(f"{name}: {value}", highlight=False)
    said = {key: getattr(options, key) for key in ("config", "precision", "split", "threads")}
    machine.report("exported", {**said, "figures": found}, options.json)


if __name__ == "__main__":
    main()
