"""A small XMem made as wide and deep as asked for, its function unchanged: cost without training.

Every channel is repeated, and whatever reads repeated channels takes its share of each; blocks
that are added pass their input on (Net2Net, Chen et al., ICLR 2016). So the full-size network can
be timed, rounded to half precision and compiled with masks that mean something, although no
full-size checkpoint is at hand.

    python -m streamseg.training.widen nano-xmem.safetensors full-size.safetensors
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from streamseg.nets.xmem import XMem
from streamseg.training.xmem import save
from streamseg.weights.checkpoints import read_state

_SEGMENTS = {
    "decoder.fuser.block1.downsample.weight": ("f16", "value", "hidden"),
    "decoder.fuser.block1.conv1.weight": ("f16", "value", "hidden"),
    "value_encoder.fuser.block1.downsample.weight": ("f16", "v16"),
    "value_encoder.fuser.block1.conv1.weight": ("f16", "v16"),
    "value_encoder.hidden_reinforce.transform.weight": ("value", "hidden"),
    "decoder.hidden_update.transform.weight": ("up", "hidden"),
    "decoder.hidden_update.g4_conv.weight": ("up", "logits"),
}
"""What the input channels consist of where they are several features side by side."""


def widened(network: XMem, full: XMem | None = None) -> XMem:
    """The same function at another size.

    Args:
        network: Small, in float32.
        full: As wide and deep as it is to become, overwritten; None for XMem's own size.

    Returns:
        `full`, ready for inference; equal to `network` but for rounding.

    Raises:
        ValueError: `full` is narrower or shallower somewhere.
    """
    full = full or XMem()
    small, state = network.state_dict(), full.state_dict()
    missing = sorted(small.keys() - state.keys())
    if missing:
        raise ValueError(f"expected a deeper network, got one without {missing[0]}")
    for name, tensor in state.items():
        if name in small:
            tensor.copy_(_repeated(name, small[name], tensor.shape, _counts(network, full, name)))
        elif name.endswith(_LAST_NORMS):
            tensor.zero_()  # the added block's branch says nothing
    ratio = full.key_dim / network.key_dim
    for leaf in ("weight", "bias"):
        # Similarity sums over ratio times as many channels and divides by the root of them.
        state[f"key_proj.key_proj.{leaf}"].mul_(ratio**-0.25)
    full.load_state_dict(state)
    return full.eval().requires_grad_(False)


_LAST_NORMS = ("bn3.weight", "bn3.bias", "bn2.weight", "bn2.bias")
"""Of a block: a bottleneck's last is bn3; its bn2, silenced too, changes nothing more."""


def _counts(network: XMem, full: XMem, name: str) -> list[tuple[int, int]]:
    """(small, full) channels of each feature that the entry reads; none: it reads one."""
    return [
        (_widths(network)[feature], _widths(full)[feature]) for feature in _SEGMENTS.get(name, ())
    ]


def _widths(network: XMem) -> dict[str, int]:
    f16 = network.key_proj.key_proj.in_channels
    return {
        "f16": f16,
        "v16": network.value_encoder.fuser.block1.conv1.in_channels - f16,
        "value": network.value_dim,
        "hidden": network.hidden_dim,
        "up": network.decoder.pred.in_channels,
        "logits": 1,
    }


def _repeated(
    name: str, small: Tensor, shape: Sequence[int], segments: list[tuple[int, int]]
) -> Tensor:
    """One entry: output channels repeated, input channels repeated and shared out."""
    if small.dim() != len(shape) or any(s > f for s, f in zip(small.shape, shape, strict=True)):
        raise ValueError(f"expected a wider network, got {name} of shape {list(shape)}")
    if small.dim() == 0:
        return small
    wide = small[_places(small.shape[0], shape[0])]
    if small.dim() == 1:
        return wide
    start, parts = 0, []
    for few, many in segments or [(small.shape[1], shape[1])]:
        places = _places(few, many)
        share = 1.0 / torch.bincount(places, minlength=few)[places]
        part = wide[:, start + places]
        parts.append(part * share.view(-1, *(1 for _ in shape[2:])))
        start += few
    return torch.cat(parts, 1)


def _places(few: int, many: int) -> Tensor:
    """For each of many channels the one of few that it repeats; neighbours stay neighbours."""
    return torch.arange(many) * few // many


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path, help="of a small XMem")
    parser.add_argument("output", type=Path, help="a .safetensors file, 250 MB")
    options = parser.parse_args()
    save(widened(XMem.from_state_dict(read_state(options.checkpoint))), options.output)


if __name__ == "__main__":
    main()
