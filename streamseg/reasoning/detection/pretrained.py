"""A detector of transformers' from a folder: its network, its pictures prepared by us.

In torch, or as it was exported; how it is fed and read comes from the folder all the same.

D-FINE, RT-DETR and its second version, DEIM's and RF-DETR, and whatever else answers with a set of
boxes and a sigmoid for each class. Knows no words and no ONNX.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from streamseg.borders.json_file import JsonFileError, read_json
from streamseg.config import ObjectsConfig
from streamseg.engines.whole import open_whole
from streamseg.errors import CheckpointError, EngineError, MissingDependencyError
from streamseg.reasoning.detection import Detections
from streamseg.reasoning.detection.boxes import corners, select
from streamseg.reasoning.loading import load_whole, one_line
from streamseg.types import Image

if TYPE_CHECKING:
    import torch

THRESHOLD = 0.45
"""Score from which a network of this family counts as seeing."""
_NMS_IOU = 0.8
"""They are trained to name a thing once; what overlaps more is one thing named twice."""
_FILES = ("config.json", "preprocessor_config.json", "model.safetensors")
_FAMILIES = ("d_fine", "deimv2", "rf_detr", "rt_detr", "rt_detr_v2")
_MOST_SIDE = 2048
PICTURE, LOGITS, BOXES = "picture", "logits", "boxes"
"""Names of an exported network's input and outputs."""

Numbers = NDArray[np.float32]
Network = Callable[[Numbers], tuple[Numbers, Numbers]]
"""A picture (1, 3, h, w) to logits (n, classes) and boxes (n, 4): centre x, y, width, height in
[0, 1]."""


@dataclass(frozen=True, slots=True)
class Preparation:
    """How a folder wants its pictures: stretched to a size, in 8-bit levels times a factor, less a
    mean, by a deviation.

    Attributes:
        size: Width and height, in pixels.
    """

    size: tuple[int, int]
    factor: float = 1.0 / 255.0
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    deviation: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def __call__(self, image: Image) -> NDArray[np.float32]:
        """(1, 3, h, w) float32 of an (H, W, 3) uint8 RGB picture."""
        sized = cv2.resize(image, self.size, interpolation=cv2.INTER_LINEAR).astype(np.float32)
        sized *= np.float32(self.factor)
        sized -= np.asarray(self.mean, np.float32)
        sized /= np.asarray(self.deviation, np.float32)
        return np.ascontiguousarray(sized.transpose(2, 0, 1)[None])


class PretrainedDetector:
    """Implements `Detector` over torch or an exported file, where the config says."""

    def __init__(
        self,
        network: Network,
        classes: tuple[str, ...],
        preparation: Preparation,
        threshold: float = THRESHOLD,
    ) -> None:
        """Args:
        classes: Names in the order of the logits.
        """
        self.classes = classes
        self.threshold = threshold
        self._network = network
        self._prepare = preparation

    @classmethod
    def open(cls, folder: Path, config: ObjectsConfig) -> PretrainedDetector:
        """Load a folder; sets how many threads torch uses in this process.

        Raises:
            CheckpointError: A file is missing or damaged, or describes another kind of network.
            EngineError: There is no GPU, and the config asks for one.
            MissingDependencyError: torch or transformers is not installed.
        """
        classes = classes_of(_json(folder, "config.json"), folder)
        preparation = prepare_for(folder)
        network = _exported(folder, config) if config.engine.folder else _in_torch(folder, config)
        threshold = THRESHOLD if config.threshold is None else config.threshold
        return cls(network, classes, preparation, threshold)

    def detect(self, image: Image) -> Detections:
        """See `Detector.detect`."""
        height, width = image.shape[:2]
        logits, found = self._network(self._prepare(image))
        probabilities = np.asarray(0.5 * (1.0 + np.tanh(0.5 * logits)), np.float32)
        limits = np.asarray([width, height, width, height], np.float32)
        boxes = np.clip(corners(found) * limits, 0.0, limits)
        named = probabilities[:, : len(self.classes)]
        return select(boxes, named, 0.5 * self.threshold, _NMS_IOU)


def _in_torch(folder: Path, config: ObjectsConfig) -> Network:
    torch = _torch()
    device = "cpu" if "cpu" in config.providers[:1] else "cuda"
    if device == "cuda" and not torch.cuda.is_available():
        raise EngineError(
            f"reasoning.objects.providers: expected a GPU for {config.providers[0]!r}, torch "
            "finds none here; use [cpu]"
        )
    if device == "cpu" and config.threads:
        torch.set_num_threads(config.threads)
    network = load(folder).to(device)

    def run(picture: Numbers) -> tuple[Numbers, Numbers]:
        try:
            with torch.inference_mode():
                answer = network(pixel_values=torch.from_numpy(picture).to(device))
            tensors = (answer.logits[0], answer.pred_boxes[0])
            logits, boxes = (each.float().cpu().numpy() for each in tensors)
        except RuntimeError as error:
            raise EngineError(f"the detector cannot run: {one_line(error)}") from error
        return logits, boxes

    return run


def _exported(folder: Path, config: ObjectsConfig) -> Network:
    engine = open_whole("detector", weights_file(folder), config)

    def run(picture: Numbers) -> tuple[Numbers, Numbers]:
        found = engine.run({PICTURE: picture})
        return found[LOGITS][0], found[BOXES][0]

    return run


def prepare_for(folder: Path) -> Preparation:
    """How a folder wants its pictures.

    Raises:
        CheckpointError: It does not say, or asks for what we do not do.
    """
    return preparation_of(_json(folder, "preprocessor_config.json"), folder)


def weights_file(folder: Path) -> Path:
    """The file that holds a folder's weights."""
    return folder / _FILES[-1]


def check(folder: Path) -> None:
    """Hold a folder's descriptions against what we can run; loads nothing.

    Raises:
        CheckpointError: A file is missing, or describes another kind of network.
    """
    classes_of(_json(folder, "config.json"), folder)
    preparation_of(_json(folder, "preprocessor_config.json"), folder)


def classes_of(described: Mapping[str, Any], folder: Path) -> tuple[str, ...]:
    """Names in the order of the logits, lower case; a number without a name is "".

    Raises:
        CheckpointError: It is no detector's config, or names no classes.
    """
    kind = described.get("model_type")
    if kind not in _FAMILIES:
        raise CheckpointError(
            f"{folder / 'config.json'}: expected model_type {', '.join(_FAMILIES[:-1])} or "
            f"{_FAMILIES[-1]}, got {str(kind)[:60]!r}; give a detector's folder"
        )
    names = described.get("id2label")
    numbered = {
        int(key): str(name).strip().lower()
        for key, name in (names.items() if isinstance(names, dict) else ())
        if str(key).isdecimal() and len(str(key)) < 6
    }
    if not numbered:
        raise CheckpointError(
            f"{folder / 'config.json'}: expected class names in id2label, got none"
        )
    return tuple(numbered.get(k, "") for k in range(max(numbered) + 1))


def preparation_of(described: Mapping[str, Any], folder: Path) -> Preparation:
    """How pictures are prepared, from a folder's `preprocessor_config.json`.

    Raises:
        CheckpointError: It asks for what we do not do, such as a size by the longest side.
    """
    path = folder / "preprocessor_config.json"
    size = described.get("size")
    sides = [size.get(key) for key in ("width", "height")] if isinstance(size, dict) else []
    if len(sides) != 2 or not all(_is_side(side) for side in sides):
        raise CheckpointError(
            f"{path}: expected size with a height and a width of 16 to {_MOST_SIDE} pixels, "
            f"got {str(size)[:80]}"
        )
    width, height = (int(side) for side in sides if side is not None)
    factor = described.get("rescale_factor", 1.0 / 255.0)
    if not described.get("do_rescale", True):
        factor = 1.0
    mean, deviation = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    if described.get("do_normalize", False):
        mean = _triple(described.get("image_mean"), "image_mean", path)
        deviation = _triple(described.get("image_std"), "image_std", path)
    if not isinstance(factor, int | float) or not 0 < factor <= 1 or min(deviation) <= 0:
        raise CheckpointError(
            f"{path}: expected a rescale_factor in (0, 1] and an image_std above 0, "
            f"got {str(factor)[:40]} and {list(deviation)}"
        )
    return Preparation((width, height), float(factor), mean, deviation)


def _is_side(value: object) -> bool:
    return type(value) is int and 16 <= value <= _MOST_SIDE


def _triple(values: object, key: str, path: Path) -> tuple[float, float, float]:
    if isinstance(values, list) and len(values) == 3:
        numbers = [float(value) for value in values if isinstance(value, int | float)]
        if len(numbers) == 3 and np.isfinite(numbers).all():
            return numbers[0], numbers[1], numbers[2]
    raise CheckpointError(f"{path}: expected three numbers in {key}, got {str(values)[:80]}")


def _json(folder: Path, name: str) -> Mapping[str, Any]:
    path = folder / name
    if absent := [file for file in _FILES if not (folder / file).is_file()]:
        raise CheckpointError(
            f"{folder} has no {absent[0]}: give a folder with {', '.join(_FILES[:-1])} and "
            f"{_FILES[-1]}, as the hub has them, or the path of an .onnx file"
        )
    try:
        values = read_json(path)
    except (FileNotFoundError, JsonFileError) as error:
        raise CheckpointError(f"{path} is not readable JSON: {error}") from None
    if not isinstance(values, dict):
        raise CheckpointError(f"{path}: expected a mapping, got {type(values).__name__}")
    return values


def load(folder: Path) -> torch.nn.Module:
    """The network in float32 and eval mode; every weight of it comes from the file.

    Raises:
        CheckpointError: A file is missing or damaged.
        MissingDependencyError: torch or transformers is not installed.
    """
    network: torch.nn.Module = load_whole(
        "AutoModelForObjectDetection", folder, "a detector", "everyday", dtype=_torch().float32
    )
    return network


def _torch() -> Any:
    try:
        import torch
    except ImportError:
        raise MissingDependencyError("torch", "everyday") from None
    return torch
