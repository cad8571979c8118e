"""A folder of transformers' to a network, quietly and whole: every weight of it from the file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamseg.errors import CheckpointError, MissingDependencyError

if TYPE_CHECKING:
    import torch


def load_whole(
    auto_class: str, folder: Path, what: str, extra: str, **options: Any
) -> torch.nn.Module:
    """The network in eval mode, without gradients.

    Args:
        auto_class: Of transformers, such as "AutoModelForObjectDetection".
        what: Kind of network, for people: "a detector".
        extra: That brings transformers.
        options: For its `from_pretrained`, such as dtype.

    Raises:
        CheckpointError: It is damaged, of another kind, or lacks weights.
        MissingDependencyError: torch or transformers is not installed.
    """
    try:
        import torch  # noqa: F401 - transformers' classes are stand-ins without it
        import transformers
    except ImportError as error:
        raise MissingDependencyError(error.name or "transformers", extra) from None
    try:
        with quiet():
            network, told = getattr(transformers, auto_class).from_pretrained(
                folder,
                local_files_only=True,
                use_safetensors=True,
                trust_remote_code=False,
                ignore_mismatched_sizes=True,  # they are named below
                output_loading_info=True,
                **options,
            )
    except Exception as error:  # noqa: BLE001 - what is damaged surfaces wherever it is read
        raise CheckpointError(f"{folder} does not load as {what}: {one_line(error)}") from None
    if wrong := sorted(map(str, (*told["missing_keys"], *told["mismatched_keys"]))):
        raise CheckpointError(
            f"{folder / 'model.safetensors'} is not a checkpoint of this network; missing or of "
            f"another shape: {', '.join(wrong[:4])}{' …' if len(wrong) > 4 else ''}"
        )
    module: torch.nn.Module = network
    return module.train(False).requires_grad_(False)


@contextmanager
def quiet() -> Iterator[None]:
    """Without transformers' bar and report: what is wrong with a file we say ourselves."""
    from transformers.utils import logging as module

    logging: Any = module
    shown, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if shown:
            logging.enable_progress_bar()


def require_packages(needed: Iterable[tuple[str, str]]) -> None:
    """Make sure of packages, each with the extra that brings it; imports none.

    Raises:
        MissingDependencyError: One is not installed.
    """
    for package, extra in needed:
        if not is_installed(package):
            raise MissingDependencyError(package, extra)


def is_installed(package: str) -> bool:
    """Whether a package can be imported."""
    try:
        return find_spec(package) is not None
    except ValueError:  # shut out on purpose: its entry among the modules is None
        return False


def one_line(error: Exception) -> str:
    """An error's message on one line, not endless."""
    return " ".join(str(error).split())[:300]
