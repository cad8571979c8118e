"""A part to an ONNX file: torch's dynamo exporter, checked, whole or not at all."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from streamseg.engines.files import write_whole
from streamseg.errors import EngineError, MissingDependencyError
from streamseg.export.part import Part

if TYPE_CHECKING:
    from onnx import ModelProto

OPSET = 20
_FOLD_BYTES = 1 << 30
"""Constants up to this size are folded: XMem slices its convolutions' weights."""
_PROTOBUF_LIMIT = 2**31 - 1


def export_onnx(part: Part, path: Path) -> Path:
    """Write the part as ONNX, opset 20, with its names on the inputs and outputs.

    Args:
        part: In the precision to export, on the CPU.
        path: Ends in .onnx. Appears whole, under its name, or not at all.

    Raises:
        EngineError: torch cannot export it.
        MissingDependencyError: onnx or onnxscript is not installed.
        OutputError: The file cannot be written.
    """
    data = to_model(part).SerializeToString()
    if len(data) > _PROTOBUF_LIMIT:
        raise EngineError(f"{part.name}: expected at most 2 GiB of ONNX, got {len(data)} bytes")
    write_whole(path, data)
    return path


def to_model(part: Part) -> ModelProto:
    """The part as an ONNX model in memory, constants folded; see `export_onnx`."""
    try:
        import onnx
        from onnxscript import optimizer
    except ImportError as error:
        raise MissingDependencyError(error.name or "onnx", "export") from None
    with _quietly():
        try:
            program = torch.onnx.export(
                part.module,
                tuple(part.inputs.values()),
                input_names=list(part.inputs),
                output_names=list(part.outputs),
                opset_version=OPSET,
                dynamo=True,
                optimize=False,  # what follows does it, and folds more
                verbose=False,
            )
        except (torch.onnx.OnnxExporterError, RuntimeError) as error:
            raise EngineError(f"{part.name}: torch cannot export it: {_first(error)}") from error
        assert program is not None
        optimizer.optimize_ir(
            program.model,
            input_size_limit=_FOLD_BYTES,
            output_size_limit=_FOLD_BYTES,
            should_fold=_worth_folding,
        )
    model = program.model_proto
    onnx.checker.check_model(model)
    return model


def _worth_folding(node: Any) -> bool | None:
    """None leaves it to the optimiser; a table of equal numbers is cheaper made than stored."""
    return False if node.op_type in {"ConstantOfShape", "Expand"} else None


@contextmanager
def _quietly() -> Iterator[None]:
    """The exporter's own warnings and log lines concern its insides."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _first(error: Any) -> str:
    """The first line of what another library has to say."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
