"""The parity gate: a part on an engine against the same part in torch, on the same inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from streamseg.engines import Engine
from streamseg.export.part import Part

LIMITS = {"fp32": 1e-4, "fp16": 2e-2, "bf16": 1e-1}
"""Largest absolute difference from float32, relative to the output's range.

In half precision this only tells a broken part from a rounded one: whether masks stay the
same is asked of the whole pipeline (`verify_xmem`).
"""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How far an engine's outputs are from torch's.

    Attributes:
        difference: The largest, relative to its output's range; inf where a number is no number.
        output: The output it was found in.
        limit: What is allowed.
    """

    difference: float
    output: str
    limit: float

    @property
    def passed(self) -> bool:
        return self.difference <= self.limit

    def __str__(self) -> str:
        sign = "≤" if self.passed else ">"
        return f"{self.output}: {self.difference:.1e} {sign} {self.limit:.0e} of its range"


def reference(part: Part) -> dict[str, Tensor]:
    """What torch makes of the example inputs, in the part's own precision."""
    with torch.inference_mode():
        results = part.module(*part.inputs.values())
    results = (results,) if isinstance(results, Tensor) else results
    return dict(zip(part.outputs, results, strict=True))


def verify(
    engine: Engine, inputs: Mapping[str, Tensor], expected: Mapping[str, Tensor], limit: float
) -> Verdict:
    """Run an engine and hold its outputs against what is expected.

    Args:
        engine: To be judged.
        inputs: As it takes them; brought to where the engine wants them.
        expected: By output, in float32 or rounded.
        limit: See `LIMITS`.

    Raises:
        EngineError: It does not run.
    """
    device = getattr(engine, "device", torch.device("cpu"))
    got = engine.run({name: tensor.to(device) for name, tensor in inputs.items()})
    found = {name: distance(expected[name], got[name]) for name in expected}
    worst = max(found, key=lambda name: found[name])
    return Verdict(found[worst], worst, limit)


def distance(expected: Tensor, got: Tensor) -> float:
    """Largest absolute difference, relative to the range of what is expected.

    A constant output has no range, and one number an object none worth the name: then relative
    to its size, or to 1 if that is 0.
    """
    if expected.shape != got.shape or not bool(torch.isfinite(got).all()):
        return float("inf")
    expected, got = expected.detach().cpu().double(), got.detach().cpu().double()
    span = 0.0 if expected.shape[-1:] == (1,) else float(expected.max() - expected.min())
    span = span or float(expected.abs().max()) or 1.0
    return float((expected - got).abs().max()) / span
