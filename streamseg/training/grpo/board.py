"""The log in TensorBoard too, where that package is installed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from streamseg.errors import OutputError
from streamseg.masking import legible
from streamseg.training.nano.course import Heard

_NOT_FIGURES = {"stage", "what", "step"}


@contextmanager
def beside(folder: Path) -> Iterator[Heard | None]:
    """Takes the log's rows and writes them to `folder/tensorboard`; None where TensorBoard is not
    installed.

    Raises:
        OutputError: The folder cannot be written.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        yield None
        return
    made: Any = SummaryWriter
    try:
        writer = made(folder / "tensorboard")
    except OSError as error:
        raise OutputError(f"{legible(str(folder))}: {error.strerror}") from None

    def heard(row: Mapping[str, Any]) -> None:
        for name, value in row.items():
            if name not in _NOT_FIGURES:
                writer.add_scalar(f"{row['what']}/{name}".replace(" ", "_"), value, row["step"])

    try:
        yield heard
    finally:
        writer.close()
