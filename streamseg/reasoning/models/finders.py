"""Open-vocabulary detectors of transformers': Grounding DINO, OWLv2 and SAM 3 as `Finder`s.

Each takes words in its own way and answers with boxes and a score for every concept. Pictures are
prepared without torchvision: by transformers' processors on Pillow, for SAM 3 on the device.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray

from streamseg.config import ConceptConfig
from streamseg.engines.torch import pick_device
from streamseg.errors import CheckpointError, EngineError
from streamseg.reasoning.detection import Detections
from streamseg.reasoning.detection.boxes import select
from streamseg.reasoning.loading import load_whole, one_line, quiet
from streamseg.reasoning.models import folder as folders
from streamseg.types import Image

_NMS_IOU = 0.7
"""Boxes of one concept that overlap more are one thing."""
_OWL_TOKENS = 16
_SAM3_TOKENS = 32


def open_finder(place: Path, config: ConceptConfig) -> NetworkFinder:
    """Load a folder's network; sets how many threads torch uses in this process.

    Raises:
        CheckpointError: It is damaged, or lacks weights.
        ConfigError, EngineError: No such device, or none of it here.
    """
    device = pick_device(config.device)
    if device.type == "cpu" and config.threads:
        torch.set_num_threads(config.threads)
    dtype = _dtype(config.dtype, device)
    kind = str(folders.read(place / "config.json").get("model_type"))
    family = _BY_KIND[kind]
    network = load_whole(
        family.auto_class, place, "a detector of phrases", "neural", dtype=dtype
    ).to(device)
    try:
        with quiet():
            return family(network, place, config.threshold)
    except Exception as error:  # noqa: BLE001 - what is damaged surfaces wherever it is read
        raise CheckpointError(f"{place}: its tokenizer or processor: {one_line(error)}") from None


class NetworkFinder(ABC):
    """What the families share: the network, the threshold, and what becomes of its answer."""

    auto_class = "AutoModelForZeroShotObjectDetection"
    own_threshold = 0.3

    def __init__(self, network: Any, place: Path, threshold: float | None) -> None:
        """Args:
        place: Folder of its tokenizer and its processor.
        threshold: None for the family's own, which is what the models' pages use.
        """
        self.threshold = self.own_threshold if threshold is None else threshold
        self.network = network
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(place, local_files_only=True)
        weight = next(network.parameters())
        self._device, self._dtype = weight.device, weight.dtype

    def find(self, image: Image, concepts: Sequence[str]) -> Detections:
        """See `Finder.find`."""
        height, width = image.shape[:2]
        try:
            with torch.inference_mode():
                boxes, scores = self.look(image, concepts)
        except (RuntimeError, ValueError) as error:
            raise EngineError(f"the detector cannot run: {one_line(error)}") from error
        limits = np.asarray([width, height, width, height], np.float32)
        clipped = np.clip(boxes, 0.0, limits)
        sound = np.isfinite(scores).all(axis=1)  # no number is as large as a side, either
        sound &= (clipped[:, 2:] - clipped[:, :2] >= 1.0).all(axis=1)
        return select(clipped[sound], scores[sound], 0.5 * self.threshold, _NMS_IOU)

    @abstractmethod
    def look(
        self, image: Image, concepts: Sequence[str]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Boxes (n, 4) in pixels and (n, concepts) scores in [0, 1]."""

    def _moved(self, values: Any) -> dict[str, Any]:
        return {
            key: value.to(self._device, self._dtype if value.is_floating_point() else None)
            for key, value in dict(values).items()
        }


class DinoFinder(NetworkFinder):
    """Grounding DINO and MM-Grounding-DINO: concepts in lower case, a full stop after each; a
    concept's score is that of its best token."""

    def __init__(self, network: Any, place: Path, threshold: float | None) -> None:
        super().__init__(network, place, threshold)
        self.processor = transformers.GroundingDinoImageProcessorPil.from_pretrained(
            place, local_files_only=True
        )

    def look(
        self, image: Image, concepts: Sequence[str]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """See `NetworkFinder.look`."""
        text, spans = "", []
        for concept in concepts:
            spans.append((len(text), len(text) + len(concept)))
            text += f"{concept.lower()}. "
        words = self.tokenizer(
            text.strip(),
            truncation=True,
            max_length=self.network.config.max_text_len,
            return_tensors="pt",
            return_offsets_mapping=True,
        )
        places = words.pop("offset_mapping")[0].tolist()
        pictures = self.processor(images=[image], return_tensors="pt")
        answer = self.network(**self._moved(words), **self._moved(pictures))
        tokens = answer.logits[0].float().sigmoid()[:, : len(places)]
        columns = []
        for start, end in spans:
            own = [k for k, (first, last) in enumerate(places) if start <= first < last <= end]
            best = tokens[:, own].amax(dim=1) if own else torch.zeros(len(tokens))
            columns.append(best.to(tokens.device))
        height, width = image.shape[:2]
        return _pixels(answer.pred_boxes[0], width, height), _array(torch.stack(columns, dim=1))


class OwlFinder(NetworkFinder):
    """OWLv2: a query for each concept; boxes are relative to the picture padded to a square."""

    own_threshold = 0.2

    def __init__(self, network: Any, place: Path, threshold: float | None) -> None:
        super().__init__(network, place, threshold)
        self.processor = transformers.Owlv2ImageProcessorPil.from_pretrained(
            place, local_files_only=True
        )

    def look(
        self, image: Image, concepts: Sequence[str]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """See `NetworkFinder.look`."""
        words = self.tokenizer(
            [f"a photo of a {concept}" for concept in concepts],
            padding="max_length",
            max_length=_OWL_TOKENS,
            truncation=True,
            return_tensors="pt",
        )
        pictures = self.processor(images=[image], return_tensors="pt")
        answer = self.network(**self._moved(words), **self._moved(pictures))
        side = max(image.shape[:2])
        return _pixels(answer.pred_boxes[0], side, side), _array(answer.logits[0].float().sigmoid())


class Sam3Finder(NetworkFinder):
    """SAM 3: one concept after another over one encoding of the picture; a score is the query's
    times that of the concept's presence. Its masks are left: a cut is asked for by boxes."""

    auto_class = "Sam3Model"
    own_threshold = 0.5
    mean = deviation = 0.5

    def look(
        self, image: Image, concepts: Sequence[str]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """See `NetworkFinder.look`."""
        seen = self.network.get_vision_features(pixel_values=self.pixels(image))
        found, scored = [], []
        for at, concept in enumerate(concepts):
            words = self.tokenizer(
                [concept],
                padding="max_length",
                max_length=_SAM3_TOKENS,
                truncation=True,
                return_tensors="pt",
            )
            kept = {key: words[key].to(self._device) for key in ("input_ids", "attention_mask")}
            answer = self.network(vision_embeds=seen, **kept)
            scores = answer.pred_logits[0].float().sigmoid()
            if answer.presence_logits is not None:
                scores = scores * answer.presence_logits[0].float().sigmoid()
            column = torch.zeros(len(scores), len(concepts), device=scores.device)
            column[:, at] = scores
            found.append(answer.pred_boxes[0].float())
            scored.append(column)
        height, width = image.shape[:2]
        limits = torch.tensor([width, height, width, height], device=self._device)
        return _array(torch.cat(found) * limits), _array(torch.cat(scored))

    def pixels(self, image: Image) -> torch.Tensor:
        """(1, 3, s, s) of an (H, W, 3) uint8 picture, resized and normalised on the device."""
        size = self.network.config.vision_config.image_size
        side = (size, size) if isinstance(size, int) else tuple(size)
        levels = torch.from_numpy(np.ascontiguousarray(image)).to(self._device)
        planes = levels.permute(2, 0, 1)[None].float()
        sized = torch.nn.functional.interpolate(
            planes, side, mode="bilinear", antialias=True, align_corners=False
        )
        # Levels are whole numbers again before they are scaled, as where pictures are resized.
        shares = sized.round().clamp(0.0, 255.0) / 255.0
        return ((shares - self.mean) / self.deviation).to(self._dtype)


_BY_KIND: dict[str, type[NetworkFinder]] = {
    "grounding-dino": DinoFinder,
    "mm-grounding-dino": DinoFinder,
    "owlv2": OwlFinder,
    "sam3": Sam3Finder,
    "sam3_video": Sam3Finder,
}


def _pixels(boxes: torch.Tensor, width: int, height: int) -> NDArray[np.float32]:
    """Corners in pixels of centres and sizes (n, 4) in [0, 1]."""
    centres, halves = boxes[:, :2].float(), 0.5 * boxes[:, 2:].float()
    both = torch.cat([centres - halves, centres + halves], dim=1)
    return _array(both) * np.asarray([width, height, width, height], np.float32)


def _array(values: torch.Tensor) -> NDArray[np.float32]:
    return np.asarray(values.float().cpu().numpy(), np.float32)


def _dtype(name: str, device: torch.device) -> torch.dtype:
    if name == "auto":
        name = "float16" if device.type == "cuda" else "float32"
    dtype: torch.dtype = getattr(torch, name)
    return dtype
