"""How working memory is condensed to long-term memory, and what long-term memory forgets.

Prototypes are the most used of the candidates; each takes its value from all candidates by
its likeness to them (XMem, section 3.3: prototype selection and memory potentiation). Where
objects know different elements, each group of candidates brings its own prototypes, and each
object's values come from the candidates it knows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from streamseg.config import MemoryConfig
from streamseg.propagation.xmem.elements import Elements, Flags, positions
from streamseg.propagation.xmem.groups import Group, owners_of


@dataclass(frozen=True, slots=True)
class Prototypes:
    """P condensed elements.

    Attributes:
        key: (P, C^k).
        shrinkage: (P, 1).
        selection: (P, C^k).
        valid: Per group (P,), which prototypes its objects have a value for.
        values: Per group and object, a row (C^v) for each valid prototype.
    """

    key: Tensor
    shrinkage: Tensor
    selection: Tensor
    valid: list[Flags]
    values: list[dict[int, Tensor]]


def candidates_of(elements: Elements, groups: Sequence[Group], config: MemoryConfig) -> Flags:
    """(N,) working elements that are neither of a first frame nor of the last T_min − 1."""
    working = elements.working
    kept = np.zeros(len(elements), np.bool_)
    for group in groups:
        stamps = [group.first, *_recent(elements, group, config)]
        kept |= group.valid & np.isin(elements.stamps, stamps)
    return working & ~kept


def _recent(elements: Elements, group: Group, config: MemoryConfig) -> NDArray[np.int64]:
    """Stamps of a group's last T_min − 1 frames."""
    times = np.unique(elements.stamps[group.valid & elements.working])
    return times[max(0, len(times) - config.min_mid_term_frames + 1) :]


def share_first_frame(elements: Elements, groups: Sequence[Group], config: MemoryConfig) -> None:
    """Move the first values of objects given later under the very first frame's keys.

    The original does so once their first frame is no longer recent. Keys and values then come
    from different pictures, but results only equal the original's with it. Values need not
    move: the first frame's elements come before all of theirs.
    """
    base = groups[0]
    origin = base.valid & (elements.stamps == base.first)
    for group in groups[1:]:
        own = group.valid & (elements.stamps == group.first)
        if (
            group.follows == base.first
            and group.first not in _recent(elements, group, config)
            and np.count_nonzero(own) == np.count_nonzero(origin)
        ):
            group.rebase(group.valid & ~own | origin, base.first)


def condense(
    elements: Elements, groups: Sequence[Group], candidates: Flags, config: MemoryConfig
) -> Prototypes:
    """Make prototypes of the (N,) flagged candidates."""
    pool = positions(candidates, elements.device)
    chosen = _choose(elements, groups, candidates, config)
    picked = chosen.cpu().numpy()
    key, selection, probes = elements.prototypes(chosen)
    similarity = probes @ elements.addresses[pool].T
    owners = owners_of(groups)[picked]
    shrinkage = torch.empty((len(picked), 1), device=elements.device)
    valid, values = [], []
    for index, group in enumerate(groups):
        mine, known = group.valid[picked], group.valid[candidates]
        weights = similarity[positions(mine, pool.device)]
        weights = weights[:, positions(known, pool.device)].softmax(1)
        sources = pool[positions(known, pool.device)]
        _, rows = group.places(pool.device)
        table = rows[sources]
        values.append({id_: weights @ held.view[table] for id_, held in group.values.items()})
        valid.append(mine)
        owned = positions(owners[mine] == index, pool.device)
        target = positions(mine & (owners == index), pool.device)
        shrinkage[target] = weights[owned] @ elements.shrinkage[sources]
    return Prototypes(key, shrinkage, selection, valid, values)


def _choose(
    elements: Elements, groups: Sequence[Group], candidates: Flags, config: MemoryConfig
) -> Tensor:
    """(P,) positions of the most used candidates, so many for each owning group."""
    owners = owners_of(groups)
    usage = elements.usage
    chosen = []
    for owner in np.unique(owners[candidates]):
        pool = positions(candidates & (owners == owner), elements.device)
        best = usage[pool].topk(min(config.num_prototypes, len(pool))).indices
        chosen.append(pool[best])
    return torch.cat(chosen)[: config.max_long_term_elements]


def least_used(elements: Elements, room: int) -> Flags:
    """(N,) long-term elements to forget so that at most `room` stay; equals go together."""
    long_term = ~elements.working
    excess = int(np.count_nonzero(long_term)) - room
    if excess <= 0:
        return np.zeros(len(elements), np.bool_)
    usage = elements.usage.cpu().numpy()
    bar = np.sort(usage[long_term])[excess - 1]
    forgotten: Flags = long_term & (usage <= bar)
    return forgotten
