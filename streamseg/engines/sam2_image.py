"""SAM2's image predictor over engines: what the segmenter calls, each call answered by one engine.

Prompts are padded to the next bucket that there are engines for, and each prompt with absent points
to the room that engines have; neither has any influence on what is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from streamseg.config import Sam2Config
from streamseg.engines import Engine
from streamseg.engines.buckets import in_turns
from streamseg.engines.torch import ABSENT, BOX_POINTS

Find = Callable[[str, int, int], Engine]
"""Kind of part, count of prompts, points beside each one's box: to its engine."""


class Sam2ImageOnEngines:
    """Stands in for `streamseg.nets.sam2_image.Sam2Image` in the segmenter.

    Args:
        find: Gives the engines; asked on every call.
        summary: Says which engines these are.
        size: Pictures are size × size.
        device: Where the segmenter keeps its tensors.
        dtype: Of features.
        buckets: Counts of prompts to have engines for; none: any count has its own.
        points: Points beside its box that a prompt has room for; where one has more, an engine
            with as much room is asked for.
    """

    def __init__(
        self,
        find: Find,
        summary: Callable[[], dict[str, object]],
        size: int,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
        buckets: Sequence[int] = (),
        points: int = 0,
    ) -> None:
        self.size = size
        self.summary = summary
        self._find, self._device, self._dtype = find, device, dtype
        self._buckets, self._points = sorted(buckets), points

    @property
    def device(self) -> torch.device:
        return self._device

    @property
    def dtype(self) -> torch.dtype:
        return self._dtype

    def look(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As `Sam2Image.look`."""
        out = self._find("encoder", 1, 0).run({"image": image.contiguous()})
        return out["embedding"], out["middle"], out["fine"]

    def answer(
        self, features: tuple[Tensor, Tensor, Tensor], points: Tensor, labels: Tensor
    ) -> tuple[Tensor, Tensor]:
        """As `Sam2Image.answer`."""
        room = max(labels.shape[1] - BOX_POINTS, self._points)
        missing = room + BOX_POINTS - labels.shape[1]
        own = {
            "points": F.pad(points, (0, 0, 0, missing)),
            "labels": F.pad(labels, (0, missing), value=ABSENT),
        }
        shared = dict(zip(("embedding", "middle", "fine"), features, strict=True))
        logits, iou = in_turns(
            lambda count: self._find("decoder", count, room),
            shared,
            own,
            ("logits", "iou"),
            self._buckets,
        )
        return logits, iou


def on_engines(network: Any, config: Sam2Config, cache: Path) -> Sam2ImageOnEngines:
    """The network on the engines that the config asks for; they are made on first use.

    Args:
        network: A `nets.sam2_image.Sam2Image` in float32, on its device.
        config: What runs it.
        cache: Folder for engines built on first use.
    """
    from streamseg.export.sam2_image_engines import Sam2ImageEngines

    made: Sam2ImageOnEngines = Sam2ImageEngines(network, config, cache).network()
    return made
