"""A prompt as a network's inputs: the chat template, picture tokens, pixels; runs no network.

In numpy's arrays: for Qwen-VL's families nothing here needs torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from streamseg.config import PicturesSection
from streamseg.errors import CheckpointError, EngineError, ReasoningError
from streamseg.reasoning.language.coordinates import FAMILIES, Family
from streamseg.reasoning.language.prompt import Prompt, Shown
from streamseg.reasoning.language.steering import OPEN_ANSWER, OPEN_THINKING
from streamseg.reasoning.loading import one_line, quiet
from streamseg.reasoning.models.chat import shown_size

Inputs = dict[str, NDArray[Any]]
"""By the names of transformers' own processors; integers are int64."""
_QWEN_IMAGE = "<|image_pad|>"


class Composer(Protocol):
    """Makes inputs of prompts.

    Attributes:
        tokenizer: transformers' own.
    """

    tokenizer: Any

    def compose(self, asked: Prompt) -> tuple[Inputs, str]:
        """What `generate` takes, and the beginning of the answer that stands in it already.

        Raises:
            ReasoningError: The template or the processor does not take the prompt.
        """


def composer_for(
    folder: Path, model_type: str, family: Family, pictures: PicturesSection
) -> Composer:
    """A composer for a folder's model: our own for the families that we know, else by
    transformers' own processor.

    Raises:
        CheckpointError: The folder's tokenizer, template or processor cannot be read.
        EngineError: Its processor needs torchvision.
    """
    try:
        with quiet():
            if model_type in FAMILIES:
                return QwenComposer(folder, family, pictures)
            return ProcessorComposer(folder, family, pictures)
    except ImportError as error:
        raise EngineError(
            f"{folder}: the processor of {model_type!r} cannot be had here: {one_line(error)}"
        ) from None
    except CheckpointError:
        raise
    except Exception as error:  # noqa: BLE001 - what is damaged surfaces wherever it is read
        raise CheckpointError(f"{folder}: its tokenizer or processor: {one_line(error)}") from None


class QwenComposer:
    """Qwen-VL's families, without torchvision: its picture processor on Pillow, and a token for
    every `merge_size`² patches of a picture in its place in the text.

    Attributes:
        image_id: That token.
    """

    def __init__(self, folder: Path, family: Family, pictures: PicturesSection) -> None:
        from transformers import AutoTokenizer, Qwen2VLImageProcessorPil

        self.tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self._processor = Qwen2VLImageProcessorPil.from_pretrained(folder, local_files_only=True)
        self._family = family
        self._pictures = pictures
        cell = self._processor.patch_size * self._processor.merge_size
        if cell != family.cell:
            raise CheckpointError(
                f"{folder}: expected patches that make cells of {family.cell} pixels, got {cell}"
            )
        image_id = self.tokenizer.convert_tokens_to_ids(_QWEN_IMAGE)
        if not isinstance(image_id, int) or not self.tokenizer.chat_template:
            raise CheckpointError(f"{folder}: expected {_QWEN_IMAGE} and a chat template, got none")
        self.image_id = image_id

    def compose(self, asked: Prompt) -> tuple[Inputs, str]:
        """See `Composer.compose`."""
        shown = asked.pictures
        prepared = self._processor(
            images=sized(shown, self._family, self._pictures), do_resize=False, return_tensors="np"
        )
        text, begun = _begin(self.tokenizer, asked)
        pieces = text.split(_QWEN_IMAGE)
        if len(pieces) != len(shown) + 1:
            raise ReasoningError(
                f"the model's chat template: expected {len(shown)} pictures in it, "
                f"got {len(pieces) - 1}"
            )
        grids = np.asarray(prepared["image_grid_thw"], np.int64)
        counts = grids.prod(axis=1) // self._processor.merge_size**2
        whole = pieces[0]
        for count, piece in zip(counts.tolist(), pieces[1:], strict=True):
            whole += _QWEN_IMAGE * count + piece
        ids = np.asarray([self.tokenizer(whole, add_special_tokens=False)["input_ids"]], np.int64)
        inputs: Inputs = {
            "input_ids": ids,
            "attention_mask": np.ones_like(ids),
            "mm_token_type_ids": (ids == self.image_id).astype(np.int64),
            "pixel_values": np.asarray(prepared["pixel_values"], np.float32),
            "image_grid_thw": grids,
        }
        return inputs, begun


class ProcessorComposer:
    """Any other model, through the processor in its folder."""

    def __init__(self, folder: Path, family: Family, pictures: PicturesSection) -> None:
        import transformers

        processors: Any = transformers.AutoProcessor
        self._processor = processors.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
        self.tokenizer = self._processor.tokenizer
        self._family = family
        self._pictures = pictures

    def compose(self, asked: Prompt) -> tuple[Inputs, str]:
        """See `Composer.compose`."""
        images = sized(asked.pictures, self._family, self._pictures)
        text, begun = _begin(self._processor, asked)
        try:
            made = self._processor(text=[text], images=[images], return_tensors="pt")
        except (ValueError, TypeError, KeyError, IndexError) as error:
            raise ReasoningError(f"the model's processor: {one_line(error)}") from None
        return {key: value.numpy() for key, value in made.items()}, begun


def sized(shown: Sequence[Shown], family: Family, pictures: PicturesSection) -> list[Pillow.Image]:
    """The pictures of a prompt at the size at which the network is to see them."""
    made = []
    for each in shown:
        picture = Pillow.fromarray(each.frame.image)
        size = shown_size(family, pictures, each)
        made.append(picture.resize(size, Pillow.Resampling.BICUBIC))
    return made


def _begin(templated: Any, asked: Prompt) -> tuple[str, str]:
    """The chat as text up to where the model goes on, and what of its answer is in it."""
    content = [
        {"type": "text", "text": part} if isinstance(part, str) else {"type": "image"}
        for part in asked.parts
    ]
    turns = [{"role": "system", "content": asked.system}, {"role": "user", "content": content}]
    try:
        text = templated.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    except Exception as error:  # noqa: BLE001 - a template is a program of the checkpoint's
        raise ReasoningError(f"the model's chat template: {one_line(error)}") from None
    opened = text.rstrip().endswith(OPEN_THINKING)  # as the thinking models' templates do
    if asked.thinks:
        return (text, OPEN_THINKING) if opened else (text + OPEN_THINKING, OPEN_THINKING)
    begun = f"\n</think>\n\n{OPEN_ANSWER}" if opened else OPEN_ANSWER
    return text + begun, f"{OPEN_THINKING}{begun}" if opened else begun
