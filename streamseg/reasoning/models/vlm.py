"""A vision-language network of transformers', run here: Qwen-VL's families and any other.

Greedy, one prompt at a time, streamed token by token through `Steering`, so that a budget, a
deadline or a loop ends in an answer. Knows no coordinates and no grounding.
"""

from __future__ import annotations

import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamseg.config import VlmConfig
from streamseg.errors import EngineError, MissingDependencyError, ReasoningError
from streamseg.reasoning.language import schema
from streamseg.reasoning.language.coordinates import Family, family_of
from streamseg.reasoning.language.prompt import Prompt
from streamseg.reasoning.language.steering import Limits, Steering
from streamseg.reasoning.loading import load_whole, one_line
from streamseg.reasoning.models import folder
from streamseg.reasoning.models.chat import Completion

if TYPE_CHECKING:
    import torch

    from streamseg.reasoning.models.composing import Composer
    from streamseg.reasoning.models.grammar import Grammar

_STEER_SHARE = 0.7
"""Of the time for an answer, after which thinking is ended: a list of one object takes some sixty
tokens, thinking up to twice as many."""


def prepare(config: VlmConfig) -> Path:
    """Make sure of a model's folder, fetching what is missing, and of its packages.

    Raises:
        CheckpointError: Files are missing, or describe another kind of model.
        ConfigError: In what numbers it writes boxes is not known.
        MissingDependencyError: Its packages are not installed.
        UsageError: Its name can be no model's.
    """
    needed = [("torch", "neural"), ("transformers", "neural")]
    if config.grammar:
        needed.append(("llguidance", "grammar"))
    for package, extra in needed:
        if not _is_installed(package):
            raise MissingDependencyError(package, extra)
    place = folder.find(config.model, config.revision)
    _family(config, place)
    return place


class VlmChat:
    """Implements `Chat` over torch."""

    as_json = False

    def __init__(
        self,
        network: Any,
        composer: Composer,
        family: Family,
        config: VlmConfig,
        grammar: Grammar | None = None,
    ) -> None:
        """Args:
        network: With transformers' `generate`, in eval mode, on its device.
        """
        import transformers

        self.family = family
        self.pictures = config
        self._network = network
        self._composer = composer
        self._grammar = grammar
        self._most_thinking = config.most_thinking
        own: Any = network.generation_config
        ends: Any = (
            own.eos_token_id if own.eos_token_id is not None else composer.tokenizer.eos_token_id
        )
        self._ends = [ends] if isinstance(ends, int) else list(ends or ())
        pad = own.pad_token_id if own.pad_token_id is not None else composer.tokenizer.pad_token_id
        settings: Any = transformers.GenerationConfig
        # In place of the folder's: a penalty on repetition, as Qwen's have, would make a second
        # box on the same row less likely than another row.
        network.generation_config = settings(
            do_sample=False,
            eos_token_id=self._ends or None,
            pad_token_id=pad if pad is not None else next(iter(self._ends), 0),
            use_cache=True,
        )

    @classmethod
    def open(cls, config: VlmConfig, most: int = 16) -> VlmChat:
        """Load the model that a config names.

        Args:
            most: Objects in an answer, where it is held to a grammar.

        Raises:
            CheckpointError, ConfigError, MissingDependencyError, UsageError: As `prepare`.
            EngineError: Not on this device, or not with this attention.
        """
        place = prepare(config)
        import torch

        from streamseg.engines.torch import pick_device
        from streamseg.reasoning.models.composing import composer_for

        device = pick_device(config.device)
        if device.type == "cpu" and config.threads:
            torch.set_num_threads(config.threads)
        options: dict[str, Any] = {"dtype": _dtype(config.dtype, device)}
        if config.attention != "auto":
            options["attn_implementation"] = config.attention
        if config.attention == "flash_attention_2" and not _is_installed("flash_attn"):
            raise EngineError("reasoning.vlm.attention: flash_attn is not installed; use sdpa")
        family = _family(config, place)
        kind = str(folder.described(place)["model_type"])
        composer = composer_for(place, kind, family, config)
        whole: Any = load_whole(
            "AutoModelForImageTextToText", place, "a vision-language model", "neural", **options
        )
        grammar = None
        if config.grammar:
            from streamseg.reasoning.models.grammar import Grammar

            length = int(whole.get_input_embeddings().weight.shape[0])
            grammar = Grammar(composer.tokenizer, length, schema.block(most))
        return cls(_moved(whole, device), composer, family, config, grammar)

    def complete(self, asked: Prompt, until: float) -> Completion:
        """See `Chat.complete`. Over its budget or its time of thinking the model is steered to its
        answer.

        Raises:
            ReasoningError: Its logits are not finite, or the device fails.
        """
        import torch

        from streamseg.reasoning.models.guiding import Guide

        inputs, begun = self._composer.compose(asked)
        steering = self._steering(asked, until)
        guide = Guide(steering, self._grammar if asked.objects else None)
        try:
            weight = next(self._network.parameters())
            moved = {
                key: value.to(weight.device, weight.dtype if value.is_floating_point() else None)
                for key, value in inputs.items()
            }
            with torch.inference_mode():
                wrote = self._network.generate(
                    **moved,
                    max_new_tokens=asked.budget + self.pictures.answer_tokens + 64,
                    logits_processor=[guide],
                    stopping_criteria=[guide.after],
                )
        except (RuntimeError, ValueError, IndexError) as error:
            raise ReasoningError(f"the model cannot run: {one_line(error)}") from error
        ids = wrote[0, inputs["input_ids"].shape[1] :].tolist()
        while ids and ids[-1] in self._ends:
            ids.pop()
        text = begun + self._decode(ids)
        return Completion(text, steering.thought or len(ids), tuple(steering.notes))

    def _steering(self, asked: Prompt, until: float) -> Steering:
        now = time.monotonic()
        limits = Limits(
            thinking=min(asked.budget, self._most_thinking),
            answer=self.pictures.answer_tokens,
            steer_at=now + _STEER_SHARE * (until - now),
            stop_at=until,
        )
        return Steering(
            self._encode,
            self._decode,
            self._ends,
            asked.thinks,
            limits,
            tagged=self._grammar is not None and asked.objects,
        )

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self._composer.tokenizer.encode(text, add_special_tokens=False)
        return ids

    def _decode(self, ids: Any) -> str:
        text: str = self._composer.tokenizer.decode(
            ids, skip_special_tokens=False, clean_up_tokenization_spaces=False
        )
        return text


def _family(config: VlmConfig, place: Path) -> Family:
    name = Path(config.model).name
    return family_of(str(folder.described(place)["model_type"]), name, config.convention)


def _dtype(name: str, device: torch.device) -> torch.dtype:
    import torch

    if name == "auto":
        name = "float32" if device.type == "cpu" else "bfloat16"
    dtype: torch.dtype = getattr(torch, name)
    return dtype


def _moved(network: torch.nn.Module, device: torch.device) -> torch.nn.Module:
    try:
        return network.to(device)
    except RuntimeError as error:
        raise EngineError(
            f"the model does not fit on {device}: {one_line(error)}; use a smaller one, or "
            "reasoning.vlm.dtype=bfloat16"
        ) from error


def _is_installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ValueError:  # shut out on purpose: its entry among the modules is None
        return False
