"""Fixtures of the tests that export: what torch's exporter does anew each time is done once.

Imported by the `conftest.py` of each folder whose tests export parts of networks.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def translations_read_once() -> Iterator[None]:
    """torch parses a thousand translations to ONNX at the start of every export: a second of each.

    The table is not written to unless `custom_translation_table` is given, which nothing here does.
    """
    from torch.onnx._internal.exporter._registration import ONNXRegistry

    with pytest.MonkeyPatch.context() as patch:
        once = functools.cache(ONNXRegistry.from_torchlib)
        patch.setattr(ONNXRegistry, "from_torchlib", staticmethod(once))
        yield
