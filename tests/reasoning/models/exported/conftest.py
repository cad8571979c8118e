"""Tiny reasoners, exported once for all tests here."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
import vlm_layouts
from exported_reasoners import Pair, pair
from exporting import translations_read_once

__all__ = ["translations_read_once"]


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Opening a network sets torch's threads for the process; tiny ones are quickest on one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Pair]:
    root = tmp_path_factory.mktemp("reasoners")
    return {kind: pair(root, kind) for kind in vlm_layouts.KINDS}
