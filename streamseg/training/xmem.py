"""The recipe of XMem nano: a small XMem trained on synthetic scenes alone, without other weights.

    python -m streamseg.training.xmem --output made.safetensors --threads 1 --ship xmem-nano

As the original (XMem, section 3.5): a few frames a clip, the memory is the first frame and some
before the present one, losses are bootstrapped cross-entropy and dice. Unlike it, batch
normalisation is learned too, for nothing is trained before, and frozen for each phase's end.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import json
import math
import time
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

import torch
from rich.progress import Progress
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from streamseg.nets.attention import address, probe
from streamseg.nets.xmem import KeyFeatures, XMem
from streamseg.training.clips import ClipSizes, TrainingClips
from streamseg.weights import RECORD
from streamseg.weights.checkpoints import read_state

NANO = {
    "key_dim": 32,
    "value_dim": 128,
    "hidden_dim": 32,
    "width": 16,
    "key_blocks": (2, 2, 2),
    "value_width": 16,
    "value_blocks": (1, 1, 1),
    "decoder_dim": 64,
    "up_dim": 32,
}
"""A quarter of XMem's width, and half its depth: 2.6 M parameters, a sixteenth of the work."""


@dataclass(frozen=True, slots=True)
class Phase:
    """One part of the recipe; the next goes on from its averaged weights.

    Attributes:
        steps: Of the optimiser.
        clips: Clips a step.
        sizes: Of the clips.
        rate: Highest learning rate, reached after `warm_up` steps; falls as a cosine to 0.
        warm_up: Steps.
        frozen_from: Share of the steps after which batch normalisation stays as it is.
        average: Of the weights that are kept, over about 1 / (1 - average) steps.
        deep_rate: How often a stored frame updates the sensory memory deeply.
        seed: Of weights and clips.
    """

    steps: int
    clips: int
    sizes: ClipSizes
    rate: float
    warm_up: int = 200
    frozen_from: float = 0.7
    average: float = 0.998
    deep_rate: float = 0.3
    seed: int = 0


RECIPE = (
    Phase(3000, 4, ClipSizes(frames=3, side=128), 1e-3),
    Phase(1600, 2, ClipSizes(frames=6, side=176), 5e-4, seed=1),
)
"""Short clips first, to learn what a mask is; then longer ones, to learn to carry it."""
LOG_EVERY, SAVE_EVERY = 20, 200


def nano() -> XMem:
    """The network before training."""
    network = XMem(**NANO)  # type: ignore[arg-type]
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    nn.init.normal_(network.key_proj.key_proj.weight, std=0.01)
    nn.init.normal_(network.key_proj.d_proj.weight, std=0.01)
    nn.init.normal_(network.key_proj.e_proj.weight, std=0.01)
    for name, block in network.named_modules():
        if name.endswith("conv2") and isinstance(block, nn.Conv2d) and "fuser" in name:
            nn.init.zeros_(block.weight)  # residual branches without normalisation start silent
    nn.init.normal_(network.decoder.pred.weight, std=0.01)
    return network


def unrolled(network: XMem, images: Tensor, masks: Tensor, deep_rate: float) -> Tensor:
    """Run clips side by side, from the first frame's masks on.

    Args:
        network: In training or evaluation mode.
        images: (B, T, 3, S, S), normalised.
        masks: (B, T, N, S, S), of which the first frame's are given to the network.
        deep_rate: Chance that storing a frame updates the sensory memory deeply.

    Returns:
        (B, T - 1, N + 1, S, S) log-odds after aggregation, background first.
    """
    clips, frames, objects = masks.shape[:3]
    encoded = network.encode_key(images.flatten(0, 1))
    features = [tensor.view(clips, frames, *tensor.shape[1:]) for tensor in encoded]
    at = [KeyFeatures(*(tensor[:, index] for tensor in features)) for index in range(frames)]
    grid = at[0].key.shape[-2:]
    sensory = masks.new_zeros((clips * objects, network.hidden_dim, *grid))
    value, sensory = _stored(network, images[:, 0], at[0], masks[:, 0], sensory, True)
    values, out = [value], []
    for index in range(1, frames):
        chosen = _remembered(index)
        readout = _read(at[index], [at[i] for i in chosen], [values[i] for i in chosen], objects)
        now = _per_object(at[index], objects)
        logits, sensory = network.decoder(now, readout, sensory, update=True)
        weighed = _weighed(logits.unflatten(0, (clips, objects)))
        out.append(weighed)
        if index + 1 < frames:
            deep = float(torch.rand(())) < deep_rate
            probabilities = weighed.softmax(1)[:, 1:]
            value, sensory = _stored(
                network, images[:, index], at[index], probabilities, sensory, deep
            )
            values.append(value)
    return torch.stack(out, 1)


def _remembered(index: int) -> list[int]:
    """The first frame and up to two others before this one."""
    others = torch.randperm(index - 1)[:2] + 1 if index > 1 else torch.empty(0, dtype=torch.int64)
    return [0, *sorted(others.tolist())]


def _stored(
    network: XMem, images: Tensor, features: KeyFeatures, masks: Tensor, sensory: Tensor, deep: bool
) -> tuple[Tensor, Tensor]:
    """Value (B, N, C^v, hw) of a frame with its masks (B, N, S, S); sensory (B · N, …)."""
    clips, objects = masks.shape[:2]
    others = masks.sum(1, keepdim=True) - masks
    encoder = network.value_encoder
    picture = images.repeat_interleave(objects, 0)
    f16 = features.f16.repeat_interleave(objects, 0)
    value = encoder(picture, f16, masks.flatten(0, 1), others.flatten(0, 1))
    if deep:
        sensory = encoder.hidden_reinforce(value, sensory)
    return value.unflatten(0, (clips, objects)).flatten(3), sensory


def _read(
    query: KeyFeatures, memory: list[KeyFeatures], values: list[Tensor], objects: int
) -> Tensor:
    """(B · N, C^v, h, w): every element attended to, as in training of the original."""
    clips, _, height, width = query.key.shape
    weights = []
    for clip in range(clips):
        keys = torch.cat([each.key[clip].flatten(1).T for each in memory])
        shrinkage = torch.cat([each.shrinkage[clip].flatten(1).T for each in memory])
        probes = probe(query.key[clip].flatten(1).T, query.selection[clip].flatten(1).T)
        weights.append((probes @ address(keys, shrinkage).T).softmax(1))
    table = torch.cat(values, 3)  # (B, N, C^v, M · hw)
    read = torch.einsum("bqm,bncm->bncq", torch.stack(weights), table)
    return read.reshape(clips * objects, -1, height, width)


def _per_object(features: KeyFeatures, objects: int) -> KeyFeatures:
    return KeyFeatures(*(tensor.repeat_interleave(objects, 0) for tensor in features))


def _weighed(logits: Tensor) -> Tensor:
    """(B, N, S, S) log-odds to (B, N + 1, S, S), as `XMem.aggregate` before its softmax."""
    background = F.logsigmoid(-logits).sum(1, keepdim=True)
    odds = background - torch.log1p(-background.exp().clamp(max=1 - 1e-6))
    return torch.cat((odds, logits), 1)


def loss_of(weighed: Tensor, masks: Tensor, share: float) -> Tensor:
    """Bootstrapped cross-entropy and dice.

    Args:
        weighed: (B, T - 1, N + 1, S, S).
        masks: (B, T - 1, N, S, S).
        share: Of the pixels, the hardest, that cross-entropy is taken over.
    """
    numbers = torch.arange(1, masks.shape[2] + 1).view(-1, 1, 1)
    truth = (masks * numbers).amax(2).long()
    each = F.cross_entropy(weighed.flatten(0, 1), truth.flatten(0, 1), reduction="none")
    each = each.flatten(1)
    hardest = each.topk(max(1, int(share * each.shape[1])), 1).values.mean()
    probabilities = weighed.softmax(2)[:, :, 1:].flatten(3)
    wanted = masks.flatten(3)
    dice = 1 - (2 * (probabilities * wanted).sum(3) + 1) / (
        probabilities.sum(3) + wanted.sum(3) + 1
    )
    return hardest + dice.mean()


def overlap(weighed: Tensor, masks: Tensor) -> float:
    """Mean IoU of the objects that are there to be seen."""
    found = weighed.argmax(2)
    ious = []
    for index in range(masks.shape[2]):
        mask, truth = found == index + 1, masks[:, :, index] > 0.5
        union = (mask | truth).flatten(2).sum(2)
        shown = truth.flatten(2).any(2)
        ious.append(((mask & truth).flatten(2).sum(2) / union.clamp(min=1))[shown])
    return float(torch.cat(ious).mean())


def train(network: XMem, phase: Phase, output: Path) -> XMem:
    """Train through one phase.

    Args:
        network: Trained in place.
        phase: See there.
        output: The averaged weights go here every 200 steps, and a line of figures every 20
            steps into the `.jsonl` beside it; both after the last one too.

    Returns:
        The network with averaged weights.
    """
    torch.manual_seed(phase.seed)
    kept = copy.deepcopy(network)
    optimiser = torch.optim.AdamW(network.parameters(), phase.rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _rate(phase, step))
    clips = iter(DataLoader(TrainingClips(phase.sizes, phase.seed), phase.clips, num_workers=1))
    recent: list[tuple[float, float]] = []
    begun_s = time.monotonic()
    network.train()
    with Progress() as progress, output.with_suffix(".jsonl").open("a", encoding="utf-8") as log:
        for step in progress.track(range(1, phase.steps + 1), description="XMem nano"):
            if step == int(phase.frozen_from * phase.steps) + 1:
                _freeze(network)
            images, masks = next(clips)
            weighed = unrolled(network, images, masks, phase.deep_rate)
            share = 1.0 - 0.8 * min(1.0, step / (0.4 * phase.steps))
            loss = loss_of(weighed, masks[:, 1:], share)
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            _average(kept, network, min(phase.average, step / (step + 10)))
            recent.append((float(loss.detach()), overlap(weighed.detach(), masks[:, 1:])))
            if step % LOG_EVERY == 0 or step == phase.steps:
                row = {"step": step, "loss": fmean(r[0] for r in recent)}
                row |= {"iou": fmean(r[1] for r in recent)}
                row |= {"minutes": (time.monotonic() - begun_s) / 60}
                log.write(json.dumps({key: round(value, 4) for key, value in row.items()}) + "\n")
                log.flush()
                recent.clear()
            if step % SAVE_EVERY == 0 or step == phase.steps:
                save(kept, output)
    return kept


def save(network: XMem, path: Path, dtype: torch.dtype = torch.float32) -> None:
    """Write the state dict, whole or not at all."""
    from safetensors.torch import save_file

    part = path.with_suffix(".part")
    state = network.state_dict().items()
    save_file({n: t.to(dtype).contiguous() if t.is_floating_point() else t for n, t in state}, part)
    part.chmod(0o644)
    part.replace(path)


def ship(network: XMem, folder: Path) -> None:
    """Write the weights as they ship: in half precision, with what to verify them by."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{folder.name}.safetensors"
    save(network, path, torch.float16)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    record = {path.name: {"sha256": sha256, "source": "python -m streamseg.training.xmem"}}
    (folder / RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def _average(kept: XMem, network: XMem, share: float) -> None:
    """Keep `share` of what is kept; batch normalisation's statistics are averages already."""
    with torch.no_grad():
        theirs = network.state_dict()
        for name, tensor in kept.state_dict().items():
            if name in dict(network.named_parameters()):
                tensor.lerp_(theirs[name], 1 - share)
            else:
                tensor.copy_(theirs[name])


def _rate(phase: Phase, step: int) -> float:
    if step < phase.warm_up:
        return (step + 1) / phase.warm_up
    done = (step - phase.warm_up) / max(1, phase.steps - phase.warm_up)
    return 0.5 * (1 + math.cos(math.pi * done))


def _freeze(network: XMem) -> None:
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True, help="a .safetensors file")
    parser.add_argument("--share", type=float, default=1.0, help="of every phase's steps")
    parser.add_argument("--phases", type=int, nargs="*", default=list(range(len(RECIPE))))
    parser.add_argument("--resume", type=Path, help="a checkpoint to go on from")
    parser.add_argument("--threads", type=int, default=0, help="0: one per core")
    parser.add_argument("--ship", type=Path, help="also write it as it ships into this folder")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    network = nano()
    if options.resume:
        network.load_state_dict(read_state(options.resume))
    for index in options.phases:
        steps = max(1, round(options.share * RECIPE[index].steps))
        network = train(network, replace(RECIPE[index], steps=steps), options.output)
    if options.ship:
        ship(network, options.ship)


if __name__ == "__main__":
    main()
