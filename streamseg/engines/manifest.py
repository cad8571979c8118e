"""The manifest beside exported files: what each is, what it was made from, and its hash.

A file that the manifest does not name, or names with another hash, is not loaded: a
TensorRT plan is executable code.
"""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, TypeAdapter, ValidationError

from streamseg.borders.json_file import JsonFileError, read_json
from streamseg.engines import TensorSpec
from streamseg.engines.files import locked, sweep, write_whole
from streamseg.errors import EngineError

if TYPE_CHECKING:
    from torch import nn

MANIFEST = "manifest.json"
_FORMAT = 2
_LONGEST_NAME = 255  # bytes, of any file system
_PACKAGES = (
    *("streamseg", "torch", "transformers", "onnx", "onnxscript", "onnxruntime"),
    *("onnxruntime-gpu", "tensorrt", "tensorrt_rtx_cu13_bindings"),
)


def name_of_a_file(name: str) -> str:
    plain = Path(name).name == name and name.isprintable() and len(name.encode()) <= _LONGEST_NAME
    if not plain or name in {"", ".."}:
        raise ValueError(f"expected the name of a file, got {name[:80]!r}")
    return name


@dataclass(frozen=True, slots=True)
class Entry:
    """One exported file.

    Attributes:
        part: Name of the part.
        file: Name of the file, in the manifest's folder.
        format: "onnx", "tensorrt" or "tensorrt-rtx".
        precision: "fp32", "fp16" or "bf16".
        target: "" for ONNX; else the compute capability that a plan is for, such as "sm86".
        inputs: In the part's order.
        outputs: Likewise.
        opset: Of the ONNX that it is, or came from.
        options: Numbers that are baked into its graph.
        weights_sha256: `weights_sha256` of the network.
        code_sha256: Of the code that made its graph.
        file_sha256: Of the file.
        nbytes: Of the file.
        build_s: Seconds that it took.
        difference: Largest, relative to the output's range; None where it could not be run.
        versions: Of the libraries that had a hand in it; under its format, for a plan, of the
            one that built it, in its own words.
    """

    part: str
    file: Annotated[str, AfterValidator(name_of_a_file)]
    format: str
    precision: str
    target: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    opset: int
    options: dict[str, int]
    weights_sha256: str
    code_sha256: str
    file_sha256: str
    nbytes: int
    build_s: float
    difference: float | None
    versions: dict[str, str]


def read_manifest(folder: Path) -> list[Entry]:
    """What the folder's manifest names; nothing where there is none.

    Raises:
        EngineError: It cannot be read, or is none of ours.
    """
    path = folder / MANIFEST
    try:
        content = read_json(path)
        if not isinstance(content, dict) or "format" not in content:
            raise JsonFileError("expected format and parts")
        if content["format"] != _FORMAT:
            raise EngineError(
                f"expected a manifest of format {_FORMAT}, got {str(content['format'])[:40]} in "
                f"{path}; export again"
            )
        return _ENTRIES.validate_python(content.get("parts"))
    except FileNotFoundError:
        return []
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(("parts", *(str(part)[:40] for part in first["loc"])))
        problem = f"{where}: {first['msg']}"
    except JsonFileError as error:
        problem = str(error)
    raise EngineError(f"cannot read {path}: {problem}; delete it and export again")


def add_to_manifest(folder: Path, entries: Iterable[Entry], *, mend: bool = False) -> None:
    """Name files in the manifest, in place of what it said of the same files before.

    Args:
        folder: That holds the files.
        entries: A file each.
        mend: Begin anew a manifest that cannot be read.

    Raises:
        EngineError: The manifest that is there cannot be read.
        OutputError: It cannot be written.
    """
    with locked(folder / f"{MANIFEST}.lock"):
        sweep(folder / MANIFEST)
        try:
            known = {entry.file: entry for entry in read_manifest(folder)}
        except EngineError:
            if not mend:
                raise
            known = {}
        known |= {entry.file: entry for entry in entries}
        rows = [asdict(entry) for _, entry in sorted(known.items())]
        text = json.dumps({"format": _FORMAT, "parts": rows}, indent=1) + "\n"
        write_whole(folder / MANIFEST, text.encode())


def trusted_bytes(folder: Path, entry: Entry) -> bytes:
    """The file's content, read once and held against the manifest's hash.

    Raises:
        EngineError: It is missing, or is not what the manifest says.
    """
    path = folder / entry.file
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise EngineError(f"cannot read {path}: it is no file; export again")
        with path.open("rb") as file:
            content = file.read(max(0, entry.nbytes) + 1)  # a longer one has another hash anyway
    except OSError as error:
        raise EngineError(f"cannot read {path}: {error.strerror}; export again") from None
    found = hashlib.sha256(content).hexdigest()
    if found != entry.file_sha256:
        raise EngineError(
            f"{path}: expected sha256 {entry.file_sha256[:12]}… as in {MANIFEST}, got "
            f"{found[:12]}…: it is not loaded; export again"
        )
    return content


def with_file(entry: Entry, content: bytes, target: str = "", build_s: float = 0.0) -> Entry:
    """The entry, standing for this content."""
    sha256 = hashlib.sha256(content).hexdigest()
    size = len(content)
    return replace(entry, file_sha256=sha256, nbytes=size, target=target, build_s=build_s)


def weights_sha256(network: nn.Module) -> str:
    """A hash of every entry of the state dict: name, dtype, shape and content."""
    import torch

    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        held = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(held.view(torch.uint8).numpy().data)
    return digest.hexdigest()


def versions() -> dict[str, str]:
    """Of the libraries that export, those that are installed."""
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


_ENTRIES = TypeAdapter(list[Entry])
