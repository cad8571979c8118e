"""An ONNX graph written node by node, its weights straight to a file beside it.

Written rather than traced: a decoder of forty layers takes as long as its weights take to copy, no
weight is held twice, every length stays open, and a matrix is rounded where it is written.
Values are names; knows no network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from streamseg.engines.files import cannot_write
from streamseg.errors import MissingDependencyError
from streamseg.export.reasoner.rounding import BLOCK, blocks
from streamseg.reasoning.models.exported.record import Open

Bits = Literal[4, 8, 32]
"""Of a weight; 32: float32."""
OPSET = 20
_IR_VERSION = 10
_ALIGNED = 4096
"""Bytes: where a weight begins, so that it can be mapped into memory."""
_INSIDE = 1024
"""Bytes up to which a constant stands in the graph itself."""
_ACTIVATIONS = 4
"""MatMulNBits' accuracy_level: on a CPU activations are rounded to eight bits too, block by block.
As they are (1), a token of 224 million int8 weights took 1.6 s on two cores; so, 0.05 s."""


@dataclass(frozen=True, slots=True)
class Written:
    """A graph on the disk.

    Attributes:
        files: The graph, and its weights beside it.
        inputs, outputs: As a record names them.
    """

    files: tuple[Path, Path]
    inputs: tuple[Open, ...]
    outputs: tuple[Open, ...]


class Sheet:
    """A graph being written; used as a context, after which its files are closed.

    Args:
        path: Of the graph; its weights go to `path` + ".data".

    Raises:
        MissingDependencyError: onnx is not installed.
        OutputError: A file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        try:
            import onnx
        except ImportError:
            raise MissingDependencyError("onnx", "export") from None
        self.path = path
        self.data = path.with_name(f"{path.name}.data")
        self._onnx = onnx
        self._nodes: list[Any] = []
        self._weights: list[Any] = []
        self._inputs: list[Open] = []
        self._outputs: list[Open] = []
        self._known: dict[tuple[str, bytes, tuple[int, ...]], str] = {}
        self._count = 0
        self._contributed = False
        self._file: IO[bytes]
        try:
            self._file = self.data.open("wb")
        except OSError as error:
            raise cannot_write(self.data, error) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    # ── values ───────────────────────────────────────────────────────────────────────────────

    def input(self, name: str, shape: Sequence[int | str], dtype: type = np.float32) -> str:
        """What a run is given; a side that is a name is chosen then."""
        self._inputs.append(Open(name, tuple(shape), np.dtype(dtype).name))
        return name

    def output(self, name: str, value: str, shape: Sequence[int | str]) -> None:
        """What a run gives, float32."""
        self._nodes.append(self._onnx.helper.make_node("Identity", [value], [name]))
        self._outputs.append(Open(name, tuple(shape), "float32"))

    def constant(self, array: NDArray[Any] | float | Sequence[int]) -> str:
        """A small one: whole numbers are int64, others float32; the same one is kept once."""
        held = np.asarray(array)
        held = held.astype(np.float32 if held.dtype.kind == "f" else np.int64)
        key = (held.dtype.str, held.tobytes(), held.shape)
        if key not in self._known:
            self._known[key] = self.weight(held, f"constant_{len(self._known)}")
        return self._known[key]

    def weight(self, array: NDArray[Any], name: str) -> str:
        """An array that is kept.

        Raises:
            OutputError: The file cannot be written.
        """
        held = np.ascontiguousarray(array)
        if held.nbytes <= _INSIDE:
            self._weights.append(
                self._onnx.numpy_helper.from_array(held.reshape(array.shape), name)
            )
            return name
        tensor = self._onnx.TensorProto(name=name, dims=array.shape)
        tensor.data_type = self._onnx.helper.np_dtype_to_tensor_dtype(held.dtype)
        tensor.data_location = self._onnx.TensorProto.EXTERNAL
        try:
            start = -(-self._file.tell() // _ALIGNED) * _ALIGNED
            self._file.seek(start)
            self._file.write(held.data)
        except OSError as error:
            raise cannot_write(self.data, error) from None
        place = {"location": self.data.name, "offset": start, "length": held.nbytes}
        for key, value in place.items():
            tensor.external_data.add(key=key, value=str(value))
        self._weights.append(tensor)
        return name

    # ── operators ────────────────────────────────────────────────────────────────────────────

    def op(self, kind: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """One operator with one output."""
        return self.ops(kind, *inputs, count=1, domain=domain, **attributes)[0]

    def ops(
        self, kind: str, *inputs: str, count: int, domain: str = "", **attributes: Any
    ) -> list[str]:
        """One operator with `count` outputs."""
        self._count += 1
        made = [f"{kind}_{self._count}" + (f"_{at}" if at else "") for at in range(count)]
        self._nodes.append(
            self._onnx.helper.make_node(kind, inputs, made, made[0], domain=domain, **attributes)
        )
        self._contributed |= bool(domain)
        return made

    def reshape(self, value: str, *shape: int) -> str:
        """0 keeps a side, -1 takes what is left."""
        return self.op("Reshape", value, self.constant(np.asarray(shape, np.int64)))

    def transpose(self, value: str, *order: int) -> str:
        return self.op("Transpose", value, perm=list(order))

    def product(self, value: str, matrix: NDArray[np.float32], name: str, bits: Bits) -> str:
        """Rows (..., K) times a matrix (N, K), its weights in so many bits."""
        if bits == 32:
            return self.op("MatMul", value, self.weight(matrix.T, name))
        packed, scales = blocks(matrix, bits)
        return self.op(
            "MatMulNBits",
            value,
            self.weight(packed, f"{name}.packed"),
            self.weight(scales, f"{name}.scales"),
            domain="com.microsoft",
            K=matrix.shape[1],
            N=matrix.shape[0],
            bits=bits,
            block_size=BLOCK,
            accuracy_level=_ACTIVATIONS,
        )

    # ── the file ─────────────────────────────────────────────────────────────────────────────

    def save(self) -> Written:
        """Write the graph, once all is there.

        Raises:
            OutputError: It cannot be written.
        """
        helper = self._onnx.helper
        sides = [list(map(self._value, side)) for side in (self._inputs, self._outputs)]
        graph = helper.make_graph(self._nodes, self.path.stem, *sides, self._weights)
        domains = [("", OPSET), *([("com.microsoft", 1)] if self._contributed else [])]
        imports = [helper.make_opsetid(*domain) for domain in domains]
        model = helper.make_model(
            graph, opset_imports=imports, ir_version=_IR_VERSION, producer_name="streamseg"
        )
        try:
            self._file.flush()
            self.path.write_bytes(model.SerializeToString())
        except OSError as error:
            raise cannot_write(self.path, error) from None
        if not self._contributed:
            self._onnx.checker.check_model(str(self.path), full_check=True)
        return Written((self.path, self.data), tuple(self._inputs), tuple(self._outputs))

    def _value(self, tensor: Open) -> Any:
        number = self._onnx.helper.np_dtype_to_tensor_dtype(np.dtype(tensor.dtype))
        return self._onnx.helper.make_tensor_value_info(tensor.name, number, list(tensor.shape))
