"""A vision-language network of transformers', run here: Qwen-VL's families and any other.

Greedy, one prompt at a time, streamed token by token through `Steering`, so that a budget, a
deadline or a loop ends in an answer. Knows no coordinates and no grounding.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamseg.config import VlmConfig
from streamseg.errors import EngineError, ReasoningError
from streamseg.reasoning.language.coordinates import Family, family_in
from streamseg.reasoning.language.prompt import Prompt
from streamseg.reasoning.loading import is_installed, load_whole, one_line, require_packages
from streamseg.reasoning.models import folder
from streamseg.reasoning.models.chat import Completion
from streamseg.reasoning.models.writing import Writing

if TYPE_CHECKING:
    import torch

    from streamseg.reasoning.models.composing import Composer, Inputs

_DAMAGED = "reasoning.vlm.dtype does not hold them (try bfloat16 or float32)"


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
    require_packages(needed)
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
        most: int = 16,
    ) -> None:
        """Args:
        network: With transformers' `generate`, in eval mode, on its device.
        most: Objects in an answer, where it is held to a grammar.
        """
        import transformers

        self.family = family
        self.pictures = config
        self._network = network
        self._composer = composer
        own: Any = network.generation_config
        tokenizer = composer.tokenizer
        ends: Any = own.eos_token_id if own.eos_token_id is not None else tokenizer.eos_token_id
        self._ends = [ends] if isinstance(ends, int) else list(ends or ())
        pad = own.pad_token_id if own.pad_token_id is not None else tokenizer.pad_token_id
        settings: Any = transformers.GenerationConfig
        # In place of the folder's: a penalty on repetition, as Qwen's have, would make a second
        # box on the same row less likely than another row.
        network.generation_config = settings(
            do_sample=False,
            eos_token_id=self._ends or None,
            pad_token_id=pad if pad is not None else next(iter(self._ends), 0),
            use_cache=True,
        )
        vocabulary = int(network.get_input_embeddings().weight.shape[0])
        self._writing = Writing(tokenizer, self._ends, vocabulary, config, most, _DAMAGED)

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
        if config.attention == "flash_attention_2" and not is_installed("flash_attn"):
            raise EngineError("reasoning.vlm.attention: flash_attn is not installed; use sdpa")
        family = _family(config, place)
        kind = str(folder.described(place)["model_type"])
        composer = composer_for(place, kind, family, config)
        whole: Any = load_whole(
            "AutoModelForImageTextToText", place, "a vision-language model", "neural", **options
        )
        return cls(_moved(whole, device), composer, family, config, most)

    def complete(self, asked: Prompt, until: float) -> Completion:
        """See `Chat.complete`. Over its budget or its time of thinking the model is steered to its
        answer.

        Raises:
            ReasoningError: Its logits are not finite, or the device fails.
        """
        import torch

        from streamseg.reasoning.models.generating import InGenerate

        inputs, begun = self._composer.compose(asked)
        guide = self._writing.guide(asked, until)
        within = InGenerate(guide)
        try:
            with torch.inference_mode():
                wrote = self._network.generate(
                    **self._placed(inputs),
                    max_new_tokens=self._writing.longest(asked),
                    logits_processor=[within],
                    stopping_criteria=[within.after],
                )
        except (RuntimeError, ValueError, IndexError) as error:
            raise ReasoningError(f"the model cannot run: {one_line(error)}") from error
        ids = wrote[0, inputs["input_ids"].shape[1] :].tolist()
        return self._writing.completion(begun, ids, guide)

    def _placed(self, inputs: Inputs) -> dict[str, torch.Tensor]:
        """Inputs as tensors where the network lies, fractions in its dtype."""
        import torch

        weight = next(self._network.parameters())
        placed = {}
        for key, array in inputs.items():
            value = torch.from_numpy(array)
            dtype = weight.dtype if value.is_floating_point() else None
            placed[key] = value.to(weight.device, dtype)
        return placed


def _family(config: VlmConfig, place: Path) -> Family:
    return family_in(folder.described(place), Path(config.model).name, config.convention)


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
