"""The gate of an exported reasoner: what it sees, its logits and its greedy tokens against torch's.

Tokens are compared each after torch's own tokens before it: one that differs does not make all that
follow count, and where none differs the two write the same answers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from streamseg import synthetic
from streamseg.config import PicturesSection
from streamseg.reasoning.language import prompt
from streamseg.reasoning.language.coordinates import Family, scale_of
from streamseg.reasoning.models.composing import Composer, Inputs
from streamseg.reasoning.models.exported.graphs import Graphs
from streamseg.reasoning.models.exported.record import Agreement
from streamseg.types import Frame

LIMIT = 1e-4
"""Largest difference in float32, relative to the output's range; it was at most 2e-6 on random
networks of the three families."""
_TIE = 2e-5
"""Of the logits' range: two tokens nearer to one another are told apart by no two ways to sum in
float32. On random networks, which know no word from another, one token in some hundreds is."""
PROMPTS, TOKENS = 12, 24
PICTURES = PicturesSection(pixels=160 * 28 * 28, context_pixels=24 * 28 * 28)
"""Small: the gate runs the whole network in float32, maybe on a CPU."""
_SIZES = ((320, 240), (333, 211), (128, 320), (640, 96))
_LEVELS = ("easy", "medium", "hard")


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """A prompt and what torch makes of it.

    Attributes:
        inputs: As a composer makes them.
        features: Of each picture, (levels, cells, H).
        tokens: Written greedily; no end ends them.
        logits: (tokens, V) that each was chosen by.
    """

    inputs: Inputs
    features: tuple[NDArray[np.float32], ...]
    tokens: tuple[int, ...]
    logits: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Judgement:
    """How an export stands to torch: largest relative differences, and tokens."""

    vision: float
    decoder: float
    agreement: Agreement

    @property
    def exact(self) -> bool:
        """Whether it may pass for the network in float32."""
        same = self.agreement.equal + self.agreement.ties == self.agreement.tokens
        return same and self.vision <= LIMIT and self.decoder <= LIMIT


def prompts(composer: Composer, family: Family, count: int = PROMPTS) -> Iterator[Inputs]:
    """Questions on synthetic scenes of several sizes, with and without thinking and context."""
    for seed in range(count):
        size = _SIZES[seed % len(_SIZES)]
        scene = synthetic.scene(_LEVELS[seed % len(_LEVELS)], seed=seed, size=size)
        text = scene.expressions[seed % len(scene.expressions)].text
        frames = [Frame(at, at * 40_000_000, 0, scene.frame(at)[0]) for at in (0, 5, 10)]
        asked = prompt.grounding(
            text,
            frames[-1],
            frames[seed % 3 :],
            [],
            scale_of(family, *size, PICTURES.pixels),
            family.convention,
            thinks=seed % 2 == 0,
            budget=TOKENS,
        )
        yield composer.compose(asked)[0]


def reference(network: Any, inputs: Inputs, tokens: int = TOKENS) -> Reference:
    """What torch sees and writes; `network` in float32, with transformers' `generate`."""
    from transformers import GenerationConfig

    given = {key: torch.from_numpy(array) for key, array in inputs.items()}
    greedy: Any = GenerationConfig
    settings = greedy(
        do_sample=False,
        max_new_tokens=tokens,
        eos_token_id=None,
        pad_token_id=0,
        use_cache=True,
        output_logits=True,
        return_dict_in_generate=True,
    )
    own, network.generation_config = network.generation_config, settings
    features = []
    with torch.inference_mode():
        start = 0
        for grid in given["image_grid_thw"]:
            end = start + int(grid.prod())
            seen = network.model.visual(given["pixel_values"][start:end], grid_thw=grid[None])
            deep = list(getattr(seen, "deepstack_features", None) or ())
            features.append(torch.stack([seen.pooler_output, *deep]).numpy())
            start = end
        try:
            wrote = network.generate(**given)
        finally:
            network.generation_config = own
    ids = wrote.sequences[0, inputs["input_ids"].shape[1] :].tolist()
    logits = torch.cat(list(wrote.logits)).float().numpy()
    return Reference(inputs, tuple(features), tuple(ids), logits)


def judge(graphs: Graphs, references: Sequence[Reference]) -> Judgement:
    """Run an export over the same prompts.

    Raises:
        EngineError: It cannot run.
    """
    vision = decoder = 0.0
    equal = ties = whole = 0
    for known in references:
        start = 0
        for (_, *sides), features in zip(
            known.inputs["image_grid_thw"].tolist(), known.features, strict=True
        ):
            end = start + sides[0] * sides[1]
            seen = graphs.see(known.inputs["pixel_values"][start:end], (sides[0], sides[1]))
            vision = max(vision, *map(_apart, seen, features))
            start = end
        same = 0
        logits = graphs.begin(known.inputs)
        for at, token in enumerate(known.tokens):
            expected = known.logits[at]
            decoder = max(decoder, _apart(logits, expected))
            chosen = int(logits.argmax())
            same += chosen == token
            near = expected[token] - expected[chosen] <= _TIE * float(np.ptp(expected))
            ties += bool(near and chosen != token)
            if at + 1 < len(known.tokens):
                logits = graphs.go_on(token)
        equal += same
        whole += same == len(known.tokens)
    count = sum(len(known.tokens) for known in references)
    return Judgement(vision, decoder, Agreement(len(references), count, equal, ties, whole))


def _apart(got: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    """The largest difference, relative to the range of what is expected; inf for no number."""
    most = float(np.abs(got - expected).max())
    span = max(float(expected.max() - expected.min()), 1e-12)
    return most / span if np.isfinite(most) else float("inf")
