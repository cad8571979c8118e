"""An exported reasoner that chats: greedy, one prompt at a time, steered as `vlm` is.

Knows no coordinates and no grounding, and needs no torch.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from streamseg.config import ExportedConfig
from streamseg.engines.onnx_session import OnnxRuntimeOptions, require
from streamseg.errors import EngineError, ReasoningError
from streamseg.reasoning.language.coordinates import Family, family_in
from streamseg.reasoning.language.prompt import Prompt
from streamseg.reasoning.loading import require_packages
from streamseg.reasoning.models import folder
from streamseg.reasoning.models.chat import Completion
from streamseg.reasoning.models.exported import record as records
from streamseg.reasoning.models.exported.record import Record
from streamseg.reasoning.models.writing import Writing

if TYPE_CHECKING:
    from streamseg.reasoning.models.composing import Composer
    from streamseg.reasoning.models.exported.graphs import Graphs, Logits

_DAMAGED = "reasoning.exported.precision is too coarse for them (try fp32)"


def prepare(config: ExportedConfig) -> tuple[Path, Record, str]:
    """Make sure of a reasoner's files and packages: its folder, what it says of itself, the
    precision that is meant. Loads nothing.

    Raises:
        CheckpointError: Files are missing, or describe another kind of model.
        ConfigError: No folder is named, or it has not the precision.
        EngineError: ONNX Runtime has not the provider.
        MissingDependencyError: A package is not installed.
    """
    needed = [("onnxruntime", "everyday"), ("transformers", "neural")]
    if config.grammar:
        needed.append(("llguidance", "grammar"))
    require_packages(needed)
    named = config.folder
    if config.model and not named:
        named = str(folder.exported(config.model))
    place = records.find(named)
    described = records.read(place)
    precision = described.chosen(config.precision)
    records.check_sizes(place, described, precision)
    _family(config, place, described)
    require((config.provider,), "the exported reasoner")
    return place, described, precision


class ExportedChat:
    """Implements `Chat` over ONNX Runtime."""

    as_json = False

    def __init__(
        self,
        graphs: Graphs,
        composer: Composer,
        family: Family,
        config: ExportedConfig,
        ends: tuple[int, ...],
        vocabulary: int,
        most: int = 16,
    ) -> None:
        """Args:
        ends: Tokens with which it ends an answer.
        vocabulary: Length of its logits.
        most: Objects in an answer, where it is held to a grammar.
        """
        self.family = family
        self.pictures = config
        self._graphs = graphs
        self._composer = composer
        self._writing = Writing(composer.tokenizer, ends, vocabulary, config, most, _DAMAGED)

    @classmethod
    def open(cls, config: ExportedConfig, most: int = 16) -> ExportedChat:
        """Load the reasoner that a config names.

        Args:
            most: Objects in an answer, where it is held to a grammar.

        Raises:
            CheckpointError, ConfigError, EngineError, MissingDependencyError: As `prepare`, and
                where a file is another than it was when it was exported.
        """
        from streamseg.reasoning.models.composing import composer_for
        from streamseg.reasoning.models.exported.graphs import Graphs

        place, described, precision = prepare(config)
        records.check_hashes(place, described, precision)
        family = _family(config, place, described)
        composer = composer_for(place, described.model_type, family, config)
        options = OnnxRuntimeOptions((config.provider,), config.threads)
        graphs = Graphs.open(place, described, precision, options)
        vocabulary = _vocabulary(described, precision)
        return cls(graphs, composer, family, config, described.ends, vocabulary, most)

    def complete(self, asked: Prompt, until: float) -> Completion:
        """See `Chat.complete`. Over its budget or its time of thinking the model is steered to its
        answer.

        Raises:
            ReasoningError: Its logits are not finite, or the device fails.
        """
        inputs, begun = self._composer.compose(asked)
        guide = self._writing.guide(asked, until)
        longest = self._writing.longest(asked)
        ids: list[int] = []
        try:
            logits = self._graphs.begin(inputs)
            while True:
                choice, sound = _best(logits, guide.allowed())
                forced = guide.force(choice, sound)
                token = choice if forced is None else forced
                ids.append(token)
                if guide.wrote(token) or token in self._writing.ends or len(ids) >= longest:
                    break
                logits = self._graphs.go_on(token)
        except (EngineError, ValueError) as error:
            raise ReasoningError(f"the model cannot run: {error}") from error
        return self._writing.completion(begun, ids, guide)


def _family(config: ExportedConfig, place: Path, described: Record) -> Family:
    return family_in(folder.described(place), described.source, config.convention)


def _best(logits: Logits, allowed: np.ndarray | None) -> tuple[int, bool]:
    """The likeliest token of those allowed, and whether its logit is a number. The first that is
    no number counts as likeliest."""
    scores = logits if allowed is None else np.where(allowed, logits, np.float32(-np.inf))
    choice = int(scores.argmax())
    return choice, bool(np.isfinite(scores[choice]))


def _vocabulary(described: Record, precision: str) -> int:
    (logits,) = (
        tensor
        for tensor in described.precisions[precision].decoder.outputs
        if tensor.name == "logits"
    )
    return int(logits.shape[-1])
