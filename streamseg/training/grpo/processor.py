"""A processor of pictures and text for Qwen-VL's families that needs no torchvision.

transformers' own cannot be made without a processor of videos, which can only be had with it.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from streamseg.errors import CheckpointError
from streamseg.masking import legible
from streamseg.reasoning.loading import one_line, quiet

_IMAGE = "<|image_pad|>"


def open_processor(folder: Path) -> Any:
    """A `ProcessorMixin` with `image_processor` and `tokenizer`, of a folder of such a model.

    Raises:
        CheckpointError: Its tokenizer, template or picture processor cannot be read.
    """
    from transformers import AutoTokenizer, Qwen2VLImageProcessorPil

    try:
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(
                folder, local_files_only=True, padding_side="left"
            )
            pictures = Qwen2VLImageProcessorPil.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # noqa: BLE001 - what is damaged surfaces wherever it is read
        raise CheckpointError(
            f"{legible(str(folder))}: its tokenizer or processor: {one_line(error)}"
        ) from None
    if tokenizer.convert_tokens_to_ids(_IMAGE) is None or not tokenizer.chat_template:
        raise CheckpointError(
            f"{legible(str(folder))}: expected {_IMAGE} and a chat template, got none"
        )
    made = _kind()(pictures, tokenizer)
    made.chat_template = tokenizer.chat_template
    return made


@cache
def _kind() -> Any:
    """The class: made when first needed, for transformers is optional."""
    from transformers import ProcessorMixin

    base: Any = ProcessorMixin

    class PictureProcessor(base):  # type: ignore[misc]
        """A picture becomes as many tokens as the network makes of it."""

        return_mm_token_type_ids = True

        def __init__(self, image_processor: Any = None, tokenizer: Any = None) -> None:
            self.image_token = _IMAGE
            self.image_token_id = tokenizer.convert_tokens_to_ids(_IMAGE)
            super().__init__(image_processor, tokenizer)

        def replace_image_token(self, image_inputs: Any, image_idx: int, **_: Any) -> str:
            """The text in place of one picture's mark."""
            cells = int(image_inputs["image_grid_thw"][image_idx].prod())
            return _IMAGE * (cells // int(self.image_processor.merge_size) ** 2)

        @property
        def model_input_names(self) -> list[str]:
            """Of what it makes."""
            return [*super().model_input_names, "mm_token_type_ids"]

        def save_pretrained(self, save_directory: Any, **_: Any) -> list[str]:
            """Write its two parts, as a folder of the hub has them."""
            self.tokenizer.save_pretrained(save_directory)
            self.image_processor.save_pretrained(save_directory)
            return []

    return PictureProcessor
