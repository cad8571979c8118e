"""One part made: what its row and its manifest entry say of the making."""

import time

import torch
from torch import nn

from streamseg.export import build
from streamseg.export.part import Part


def test_the_gates_time_is_not_counted_as_building(tmp_path, monkeypatch):
    now = [0.0]
    judge, to_model = build._judge, build.to_model

    def taking(seconds, function):
        def slow(*given):
            now[0] += seconds
            return function(*given)

        return slow

    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(build, "_judge", taking(100.0, judge))
    monkeypatch.setattr(build, "to_model", taking(7.0, to_model))
    part = Part("scale", nn.Sequential(nn.Linear(3, 2)), {"x": torch.ones(1, 3)}, ("y",))
    made = build.make(part, build.Order("onnx", "fp32", "", tmp_path), "weights")
    assert made.passed
    assert made.build_s == made.entry.build_s == 7.0
