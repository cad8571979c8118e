"""SAM2's image predictor in parts of static shapes, over the weights of transformers' models.

`ImageEncoder` serves video as well; `PromptDecoder` answers prompts (SAM 2, section 4). Each
forward takes and gives plain tensors, n prompts at a time.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from streamseg.nets.sam2_decoder import NO_POINT, MaskDecoder, PromptEncoder
from streamseg.nets.sam2_vision import Trunk


class Sam2Image(nn.Module):
    """Both parts of the image predictor.

    Attributes:
        size: Pictures are size × size.

    Args:
        network: transformers' `Sam2Model` or `Sam2VideoModel`; its layers are shared, not copied.
    """

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.size = int(network.prompt_encoder.input_image_size)
        self.image_encoder = ImageEncoder(network)
        self.prompt_decoder = PromptDecoder(network)
        self.train(False).requires_grad_(False)

    def look(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What the decoder reads of a picture (1, 3, S, S): see `ImageEncoder`."""
        return cast(tuple[Tensor, Tensor, Tensor], self.image_encoder(image))

    def answer(
        self, features: tuple[Tensor, Tensor, Tensor], points: Tensor, labels: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Logits (n, 3, S/4, S/4) and predicted IoU (n, 3): see `PromptDecoder`."""
        logits, iou, _ = self.prompt_decoder(*features, points, labels)
        return logits, iou

    @property
    def device(self) -> torch.device:
        return self.prompt_decoder.nothing.device

    @property
    def dtype(self) -> torch.dtype:
        return self.prompt_decoder.nothing.dtype


class ImageEncoder(nn.Module):
    """A picture to the features that every other part reads."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.trunk = Trunk(network)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Picture (1, 3, S, S), normalised by ImageNet's mean and deviation.

        Returns:
            The embedding (1, C, S/16, S/16) and the high-resolution features that the mask
            decoder adds: middle (1, C/4, S/8, S/8) and fine (1, C/8, S/4, S/4).
        """
        return cast(tuple[Tensor, Tensor, Tensor], self.trunk(image.to(self.trunk.places.dtype)))


class PromptDecoder(nn.Module):
    """The image predictor: prompts to three candidates each, with their predicted IoU."""

    nothing: Tensor

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.prompts = PromptEncoder(network.prompt_encoder)
        self.decoder = MaskDecoder(network.mask_decoder, image_positions(network))
        nothing = network.no_memory_embedding[0, 0] + network.prompt_encoder.no_mask_embed.weight[0]
        self.register_buffer("nothing", nothing.detach()[None, :, None, None])

    def forward(
        self, embedding: Tensor, middle: Tensor, fine: Tensor, points: Tensor, labels: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Decode n prompts; features as `ImageEncoder` gives them.

        Args:
            points: (n, P, 2) float32, x and y in the network's pixels.
            labels: (n, P) int64: see `sam2_decoder`. A box is a BOX_START and a BOX_END; the
                last point that is there is a NO_POINT; what is ABSENT has no influence.

        Returns:
            Logits (n, 3, S/4, S/4), predicted IoU (n, 3) and the logit that anything is
            there (n, 1), in float32.
        """
        tokens = self.prompts(points, labels)
        present = labels >= NO_POINT
        decided = self.decoder(embedding + self.nothing, tokens, present)
        logits = self.decoder.paint(decided, middle, fine)
        return logits[:, 1:].float(), decided.iou[:, 1:].float(), decided.presence.float()


def image_positions(network: Any) -> Tensor:
    """(1, C, h, w): where each pixel of the embedding lies, as transformers' models encode it."""
    with torch.no_grad():
        return cast(Tensor, network.get_image_wide_positional_embeddings())
