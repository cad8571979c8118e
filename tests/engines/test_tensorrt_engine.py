"""TensorRT as an engine, as far as a machine without a GPU can tell: what is missing is named."""

import pytest
import torch

from streamseg.engines.tensorrt import TensorRtEngine, gpu_target, load_library
from streamseg.errors import EngineError, MissingDependencyError

no_gpu = pytest.mark.skipif(
    torch.cuda.is_available(), reason="says what a machine without a GPU says"
)


def test_the_rtx_library_is_found_under_either_name():
    assert load_library("tensorrt-rtx").Builder


def test_a_library_that_is_not_there_names_its_extra(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(MissingDependencyError, match=r"streamseg\[tensorrt\]"):
        load_library("tensorrt")


@no_gpu
def test_without_a_gpu_a_plan_is_not_even_looked_at():
    assert gpu_target() is None
    with pytest.raises(EngineError, match="part: expected an NVIDIA GPU to run tensorrt-rtx on"):
        TensorRtEngine("part", b"no plan", "tensorrt-rtx", "streamseg export")
