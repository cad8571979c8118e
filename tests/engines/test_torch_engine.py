"""PyTorch as an engine: the module's own answer, whatever the options; wrong tensors are told."""

import pytest
import torch
from torch import nn
from torch._dynamo.utils import counters

from streamseg.engines import TensorSpec
from streamseg.engines.torch import TorchEngine, TorchOptions
from streamseg.errors import EngineError

CPU = torch.device("cpu")
INPUTS = (TensorSpec("image", (1, 3, 8, 12), "float32"), TensorSpec("count", (1,), "int64"))


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, image, count):
        y = self.conv(image)
        return y * count, y.amax((2, 3))


def engine(options=None, module=None):
    return TorchEngine("small", module or Small(), INPUTS, ("scaled", "peak"), CPU, options)


def inputs():
    return {"image": torch.linspace(-1, 1, 288).reshape(1, 3, 8, 12), "count": torch.tensor([3])}


def test_outputs_are_named_and_known_before_any_run():
    assert engine().outputs == (
        TensorSpec("scaled", (1, 4, 8, 12), "float32"),
        TensorSpec("peak", (1, 4), "float32"),
    )


@pytest.mark.parametrize(
    ("options", "tolerance"),
    [
        (TorchOptions(), 0.0),
        (TorchOptions(channels_last=True), 1e-5),
        (TorchOptions(autocast=True), 3e-2),
    ],
)
def test_an_option_changes_speed_and_rounding_alone(options, tolerance):
    module = Small()
    with torch.no_grad():
        expected = module(*inputs().values())
    got = engine(options, module).run(inputs())
    assert set(got) == {"scaled", "peak"}
    for want, name in zip(expected, got, strict=True):
        assert got[name].dtype == torch.float32
        torch.testing.assert_close(got[name], want, rtol=tolerance, atol=tolerance)


# torch's own compiler imports what torch warns of.
@pytest.mark.filterwarnings("ignore:.torch.jit.script_method. is deprecated:DeprecationWarning")
def test_a_compiled_module_answers_alike():
    module = Small()
    with torch.no_grad():
        expected = module(*inputs().values())
    got = engine(TorchOptions(compile=True), module).run(inputs())
    for want, name in zip(expected, ("scaled", "peak"), strict=True):
        torch.testing.assert_close(got[name], want, rtol=1e-5, atol=1e-5)


@pytest.mark.filterwarnings("ignore:.torch.jit.script_method. is deprecated:DeprecationWarning")
def test_however_many_engines_of_one_kind_are_compiled_none_runs_as_it_was():
    """torch stops compiling a function after some shapes: here after the first."""
    module = Small()
    with torch._dynamo.config.patch(recompile_limit=1):
        for width in (8, 9, 10):
            image = torch.linspace(-1, 1, 24 * width).reshape(1, 3, 8, width)
            specs = (TensorSpec.of("image", image), INPUTS[1])
            options = TorchOptions(compile=True)
            compiled = TorchEngine("small", module, specs, ("scaled", "peak"), CPU, options)
            graphs = counters["stats"]["unique_graphs"]
            got = compiled.run({"image": image, "count": inputs()["count"]})
            assert counters["stats"]["unique_graphs"] == graphs + 1
            torch.testing.assert_close(got["peak"], module(image, 1)[1], rtol=1e-5, atol=1e-5)


def test_a_later_run_leaves_an_earlier_answer_alone():
    small = engine()
    first = small.run(inputs())["scaled"]
    kept = first.clone()
    small.run({**inputs(), "image": torch.zeros(1, 3, 8, 12)})
    assert torch.equal(first, kept)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"image": None}, r"small: expected an input 'image' float32\[1, 3, 8, 12\], got none"),
        ({"image": torch.zeros(1, 3, 8, 13)}, r"'image': expected .*12\], got float32.*13\]"),
        ({"count": torch.zeros(1)}, r"'count': expected int64\[1\], got float32\[1\]"),
        ({"masks": torch.zeros(1)}, r"expected the inputs \['image', 'count'\], got also .*masks"),
    ],
)
def test_wrong_tensors_are_an_error_that_names_them(change, words):
    given = {name: t for name, t in {**inputs(), **change}.items() if t is not None}
    with pytest.raises(EngineError, match=words):
        engine().run(given)


def test_a_cuda_graph_wants_cuda():
    with pytest.raises(EngineError, match="small: expected a CUDA device for a CUDA graph"):
        engine(TorchOptions(cuda_graph=True))
