"""The gate: what is equal passes, what is not does not, whatever its size."""

import math

import pytest
import torch
from torch import nn

from streamseg.engines.torch import TorchEngine
from streamseg.export.part import Part
from streamseg.export.verify import distance, reference, verify


class Scale(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor), requires_grad=False)

    def forward(self, x):
        return x * self.factor, x


def part(factor=1.0):
    inputs = {"x": torch.linspace(-5, 5, 11)}
    return Part("scale", Scale(factor), inputs, ("y", "same"))


def engine(factor):
    made = part(factor)
    return TorchEngine("scale", made.module, made.specs, made.outputs, torch.device("cpu"))


@pytest.mark.parametrize(("factor", "passed"), [(1.0, True), (1.00009, True), (1.001, False)])
def test_the_worst_output_decides(factor, passed):
    verdict = verify(engine(factor), part().inputs, reference(part()), 1e-4)
    assert verdict.passed is passed
    assert verdict.difference == pytest.approx(abs(factor - 1) / 2, rel=1e-2, abs=1e-9)
    if not passed:
        assert str(verdict) == "y: 5.0e-04 > 1e-04 of its range"


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_no_number_never_passes(bad):
    assert distance(torch.ones(3), torch.tensor([1.0, bad, 1.0])) == math.inf
    assert distance(torch.ones(3), torch.ones(4)) == math.inf


def test_an_output_without_range_is_measured_by_its_size():
    assert distance(torch.full((3,), 4.0), torch.full((3,), 4.4)) == pytest.approx(0.1)
    assert distance(torch.zeros(3), torch.full((3,), 0.25)) == pytest.approx(0.25)
