"""Stage one: the vision network alone learns what each cell of a picture shows, and where that is.

Dense losses on every cell: whether a thing is there, its colour, shape, material and numbers. A
language model that is trained from nothing through untrained eyes learns next to nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from streamseg.synthetic.sentences.words import COLOURS, SHAPE_NOUNS, plural
from streamseg.training.groundings.reasons import NAME_OF, SHAPE_OF
from streamseg.training.nano import words
from streamseg.training.nano.course import Course, Figures, Schedule, Told
from streamseg.training.nano.network import ACROSS, CELL, EMBEDDED, HIDDEN, SIZE, Grid, look
from streamseg.training.nano.optimisers import Both
from streamseg.training.nano.pictures import NUMBERS, Pictures
from streamseg.training.nano.words import MATERIALS

BINS = max(SIZE) + 1
_SPREAD = 1.0
"""Deviation of a number's target, in pixels: to miss by one is nearly right."""
_WEIGHTS = {"there": 2.0, "colour": 0.5, "shape": 1.0, "material": 0.2, "near": 2.0, "number": 0.7}
"""Of the losses; shapes and numbers are what is hard. Chosen for a study of such a network at
128x80 pixels, levels easy and medium; not tuned anew."""
_PARTS = (2, len(COLOURS), len(SHAPE_NOUNS), len(MATERIALS), NUMBERS)
_GAIN = 0.08
"""How much brighter or darker a picture may be shown."""
_LOOKED_AT = 768
"""Pictures that words are started from."""
_HEARD, _PASSED = 0.06, 0.5
"""Deviation of the rows that words are told by, and what half the heads pass on of what they
read."""


class Heads(nn.Module):
    """Reads a cell's token; thrown away after the stage."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(HIDDEN)
        self.what_head = nn.Linear(HIDDEN, sum(_PARTS))
        self.number_head = nn.Linear(HIDDEN, NUMBERS * BINS)

    def forward(self, cells: Tensor) -> tuple[tuple[Tensor, ...], Tensor]:
        """(…, hidden) to what (presence, colour, shape, material, offsets) and (…, 7, bins)."""
        cells = self.norm(cells)
        what = self.what_head(cells).split(_PARTS, -1)
        return what, self.number_head(cells).unflatten(-1, (NUMBERS, BINS))


@dataclass(frozen=True, slots=True, eq=False)
class Wanted:
    """What the cells of a batch show: M of its B · 40 cells show a thing.

    Attributes:
        there: (B, 40) bool.
        looks: (M, 3) colour, shape and material.
        places: (M, 7) in pixels of the shown picture.
        offsets: (M, 7) from the cell's middle, in cells.
    """

    there: Tensor
    looks: Tensor
    places: Tensor
    offsets: Tensor

    @classmethod
    def of(cls, pictures: Pictures, chosen: list[int]) -> Wanted:
        owners = pictures.owners[chosen]
        rows, cells = np.nonzero(owners >= 0)
        things = owners[rows, cells]
        indices = np.asarray(chosen)[rows]
        places = torch.from_numpy(pictures.places[indices, things])
        middles = np.stack([cells % ACROSS, cells // ACROSS], 1) * CELL + CELL / 2
        repeated = np.concatenate([np.tile(middles, 3), middles[:, :1]], 1)
        offsets = (places - torch.from_numpy(repeated).float()) / CELL
        looks = torch.from_numpy(pictures.looks[indices, things]).long()
        return cls(torch.from_numpy(owners >= 0), looks, places, offsets)


def losses(heads: Heads, cells: Tensor, wanted: Wanted) -> dict[str, Tensor]:
    """By name; each a mean."""
    there = heads(cells)[0][0]
    (_, colour, shape, material, near), number = heads(cells[wanted.there])
    colours, shapes, materials = wanted.looks.unbind(1)
    return {
        "there": F.cross_entropy(there.flatten(0, 1), wanted.there.long().flatten()),
        "colour": F.cross_entropy(colour, colours),
        "shape": F.cross_entropy(shape, shapes),
        "material": F.cross_entropy(material, materials),
        "near": F.smooth_l1_loss(near, wanted.offsets, beta=0.1),
        "number": F.cross_entropy(number.flatten(0, 1), _soft(wanted.places).flatten(0, 1)),
    }


def _soft(places: Tensor) -> Tensor:
    """(M, 7) numbers to (M, 7, bins) chances around them."""
    away = torch.arange(BINS) - places[..., None]
    return torch.softmax(-0.5 * (away / _SPREAD) ** 2, -1)


def judge(network: Any, grid: Grid, heads: Heads, pictures: Pictures, most: int = 512) -> Figures:
    """Shares right of cells (presence) and of cells with a thing, and the numbers' mean error in
    pixels of the shown picture."""
    right: dict[str, list[Tensor]] = {}
    with torch.no_grad():
        for begin in range(0, min(most, len(pictures)), 64):
            chosen = list(range(begin, min(begin + 64, most, len(pictures))))
            wanted = Wanted.of(pictures, chosen)
            cells = look(network, grid, np.stack([pictures.picture(at) for at in chosen]))
            there = heads(cells)[0][0].argmax(-1).bool() == wanted.there
            what, number = heads(cells[wanted.there])
            found = {"there_right": there.float().flatten()}
            for at, name in enumerate(("colour", "shape", "material")):
                same = what[1 + at].argmax(-1) == wanted.looks[:, at]
                found[f"{name}_right"] = same.float()
            away = (number.argmax(-1) - wanted.places).abs()
            found |= {"error_px": away.flatten(), "box_error_px": away[:, :4].flatten()}
            for name, values in found.items():
                right.setdefault(name, []).append(values)
    return {name: float(torch.cat(values).mean()) for name, values in right.items()}


def train(
    network: Any,
    pictures: Pictures,
    held_out: Pictures,
    schedule: Schedule,
    folder: Path,
    seed: int,
    told: Told,
) -> Heads:
    """Train the network's vision, from the folder's checkpoint where there is one.

    Raises:
        CheckpointError, OutputError: As `Course`.
    """
    torch.manual_seed(seed)
    heads, grid = Heads(), Grid.of(network)
    visual = network.model.visual
    named = [*visual.named_parameters(), *heads.named_parameters()]
    both = Both(named, schedule.rate)
    kept = {"visual": visual, "heads": heads, "optimisers": both}
    course = Course("vision", schedule, folder, seed, kept)
    course.resume()

    def one(factor: float) -> Figures:
        chosen, random = course.chosen(len(pictures)), course.random()
        images = np.stack([pictures.picture(at) for at in chosen]).astype(np.float32)
        gains = random.uniform(1 - _GAIN, 1 + _GAIN, (len(images), 1, 1, 1)).astype(np.float32)
        images = np.clip(images * gains, 0, 255).astype(np.uint8)
        parts = losses(heads, look(network, grid, images), Wanted.of(pictures, chosen))
        loss = torch.stack([_WEIGHTS[name] * part for name, part in parts.items()]).sum()
        both.step(loss, factor)
        return {"loss": float(loss.detach())} | {k: float(v.detach()) for k, v in parts.items()}

    course.run(one, lambda: judge(network, grid, heads, held_out), told)
    return heads


def hand_over(network: Any, heads: Heads, pictures: Pictures) -> None:
    """Ready the language network for what vision sees now, before it learns anything.

    Picture tokens get the deviation that embeddings of words have. A word of a colour, a shape or a
    material, and a number, start as the mean token of cells that show it, and are told by what
    told it to the heads. What a head of attention reads, half of them pass on as it is.
    """
    cells, wanted = _looked_at(network, pictures)
    factor = EMBEDDED / float(cells.std())
    last = network.model.visual.merger.linear_fc2
    inner, outer = network.model.language_model.embed_tokens.weight, network.lm_head.weight
    with torch.no_grad():
        last.weight.mul_(factor)
        last.bias.mul_(factor)
        told = heads.norm.weight
        means = cells - cells.mean(0)
        rows = heads.what_head.weight[2 : 2 + sum(_PARTS[1:4])] * told
        _start(inner, outer, _classes(wanted), means, rows)
        numbers = heads.number_head.weight.view(NUMBERS, BINS, HIDDEN) * told
        for first, way in zip(words.FIRST_NUMBERS, (4, 5), strict=True):
            near = torch.exp(-0.5 * ((torch.arange(BINS) - wanted.places[:, way, None]) / 3) ** 2)
            mean = near.T @ means / near.sum(0)[:, None].clamp(min=1e-3)
            inner[first : first + BINS] = _of_size(mean, EMBEDDED)
            outer[first : first + BINS] = _of_size(numbers[way], _HEARD)
        for layer in network.model.language_model.layers:
            half = layer.self_attn.o_proj.weight.shape[1] // 2
            ways = torch.nn.init.orthogonal_(torch.empty(half, HIDDEN))
            layer.self_attn.v_proj.weight[:half] = ways
            layer.self_attn.o_proj.weight[:, :half] = _PASSED * ways.T


def _looked_at(network: Any, pictures: Pictures) -> tuple[Tensor, Wanted]:
    """Tokens (M, hidden) of cells that show a thing, and what they show, of some pictures."""
    grid, step = Grid.of(network), max(1, len(pictures) // _LOOKED_AT)
    chosen = list(range(0, len(pictures), step))[:_LOOKED_AT]
    wanted = Wanted.of(pictures, chosen)
    with torch.no_grad():
        cells = [
            look(network, grid, np.stack([pictures.picture(at) for at in chosen[begin:][:64]]))
            for begin in range(0, len(chosen), 64)
        ]
    return torch.cat(cells)[wanted.there], wanted


def _classes(wanted: Wanted) -> list[tuple[list[int], Tensor]]:
    """For each colour, shape and material, in the heads' order: its words, and its cells."""
    nouns = [
        [noun for noun, of in SHAPE_OF.items() if of == shape] or [NAME_OF[shape]]
        for shape in SHAPE_NOUNS
    ]
    nouns = [[*those, *map(plural, those)] for those in nouns]
    called = ([[name] for name in COLOURS], nouns, [[name] for name in MATERIALS])
    return [
        ([words.IDS[f" {word}"] for word in those], wanted.looks[:, part] == at)
        for part, names in enumerate(called)
        for at, those in enumerate(names)
    ]


def _start(
    inner: Tensor,
    outer: Tensor,
    classes: list[tuple[list[int], Tensor]],
    means: Tensor,
    rows: Tensor,
) -> None:
    """Start words as what they look like; a trace of chance tells words of one look apart."""
    for (ids, here), row in zip(classes, rows, strict=True):
        if bool(here.any()):
            inner[ids] = 0.3 * inner[ids] + _of_size(means[here].mean(0), 0.95 * EMBEDDED)
            outer[ids] = 0.3 * outer[ids] + _of_size(row, _HEARD)


def _of_size(rows: Tensor, size: float) -> Tensor:
    """Rows (…, hidden) with a root mean square of `size` each."""
    return rows * (size / rows.square().mean(-1, keepdim=True).sqrt().clamp(min=1e-6))
