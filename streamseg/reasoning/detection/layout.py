"""How a detector's ONNX file is to be fed and read: a small description, checked; runs nothing."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from streamseg.config.files import explain, parse_yaml
from streamseg.errors import ConfigError
from streamseg.reasoning.words.nouns import COCO80

Triple = tuple[float, float, float]
Side = Annotated[int, Field(ge=16, le=8192)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Feeding(_Section):
    """From a picture to the network's input.

    Attributes:
        size: Width and height of the input.
        resize: `stretch` to the size, or `letterbox`: keep the shape, fill with `fill` on the
            right and below.
        order: Of the channels.
        mean, deviation: Taken off and divided by, in 8-bit levels.
    """

    size: tuple[Side, Side]
    resize: Literal["stretch", "letterbox"] = "stretch"
    order: Literal["rgb", "bgr"] = "rgb"
    mean: Triple = (0.0, 0.0, 0.0)
    deviation: Triple = (255.0, 255.0, 255.0)
    fill: int = Field(114, ge=0, le=255)


class DistanceReading(_Section):
    """Class probabilities and distributions of four distances at each cell of a pyramid
    (generalised focal loss: NanoDet, PicoDet). A stride's outputs are known by their number of
    cells: (1, n, classes) and (1, n, 4 x bins)."""

    kind: Literal["distances"]
    strides: tuple[Annotated[int, Field(ge=1, le=512)], ...]
    bins: int = Field(ge=2, le=64)
    sigmoid: bool = Field(False, description="The probabilities are logits still.")
    half_pixel: bool = Field(
        True, description="A cell's centre is that of its middle pixel, half a pixel short."
    )


class SetReading(_Section):
    """A set of boxes with class logits, as DETR and its kin give (RT-DETR, D-FINE, RF-DETR).

    Attributes:
        boxes: Output of (1, n, 4): centre x, y, width, height in [0, 1].
        logits: Output of (1, n, classes).
        background: Whether the last class means nothing.
    """

    kind: Literal["set"]
    boxes: str
    logits: str
    background: bool = False


class GridReading(_Section):
    """One output (1, 4 + classes, n) or (1, n, 4 + classes) of boxes in input pixels (centre x, y,
    width, height) and class probabilities, as YOLO since its 8th version gives."""

    kind: Literal["grid"]
    output: str = ""
    sigmoid: bool = False


class Layout(_Section):
    """A detector's description.

    Attributes:
        classes: Names in the network's order, or "coco80".
        threshold: Score from which its word counts as seeing.
        nms_iou: Boxes of one class that overlap so far are one; 1: the network sees to it.
    """

    feeding: Feeding
    reading: Annotated[DistanceReading | SetReading | GridReading, Field(discriminator="kind")]
    classes: tuple[str, ...] | Literal["coco80"] = "coco80"
    threshold: float = Field(0.4, gt=0, lt=1)
    nms_iou: float = Field(0.55, gt=0, le=1)

    @model_validator(mode="after")
    def _has_classes(self) -> Layout:
        if not self.classes:
            raise ValueError("expected at least one class name, got none")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The classes' names, lower case."""
        if self.classes == "coco80":
            return COCO80
        return tuple(name.strip().lower() for name in self.classes)


def find_layout(model: Path, named: str) -> Layout:
    """The description of a model: the one named, else the file beside it, else a known one.

    Args:
        model: The ONNX file.
        named: A known layout's name, the path of a YAML file, or "auto".

    Raises:
        ConfigError: There is none, or it is none.
    """
    if named != "auto":
        path = Path(named).expanduser()
        return read_layout(path.read_text("utf-8") if path.is_file() else _known(named), named)
    beside = model.with_suffix(".yaml")
    if beside.is_file():
        return read_layout(beside.read_text("utf-8"), str(beside))
    if model.stem in known_layouts():
        return read_layout(_known(model.stem), model.stem)
    raise ConfigError(
        f"nothing says how {model.name} is to be read: expected {beside.name} beside it, or "
        f"reasoning.objects.layout to be a path or one of {', '.join(known_layouts())}"
    )


def read_layout(text: str, name: str) -> Layout:
    """A description from YAML.

    Raises:
        ConfigError: Naming the key, what was expected and what came.
    """
    values = parse_yaml(text, name)
    try:
        return Layout.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"{name}: {'; '.join(explain(error, Layout))}") from None


def known_layouts() -> list[str]:
    """Names of the descriptions that ship with the package."""
    folder = resources.files("streamseg.reasoning.detection") / "layouts"
    names = (item.name for item in folder.iterdir())
    return sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml"))


def _known(name: str) -> str:
    if name not in known_layouts():
        raise ConfigError(
            f"no detector layout {name!r}: give the path of a .yaml file or one of "
            f"{', '.join(known_layouts())}"
        )
    folder = resources.files("streamseg.reasoning.detection") / "layouts"
    return (folder / f"{name}.yaml").read_text("utf-8")
