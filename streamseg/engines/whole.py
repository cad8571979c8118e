"""Runs a network whole, by whatever its config says: its own file, or what was exported of it.

What was exported is known by the hash of the file it was made from, so that neither torch nor the
network itself is needed to find it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from streamseg.config.engines import WholeNetworkSection
from streamseg.engines import TensorSpec
from streamseg.engines.arrays import ArrayEngine, Arrays
from streamseg.engines.manifest import Entry, read_manifest, trusted_bytes
from streamseg.engines.onnx_session import OnnxRuntimeOptions
from streamseg.errors import EngineError

_CHUNK = 1 << 20


class WholeEngine(Protocol):
    """A whole network on numpy arrays.

    Attributes:
        name: For messages.
        inputs, outputs: What `run` takes and gives.
    """

    name: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> Arrays:
        """Run once; may be called from several threads.

        Raises:
            EngineError: An input is missing or of another shape or dtype, or the run failed.
        """


class PlanEngine:
    """Implements `WholeEngine` over a TensorRT plan, which torch brings pictures to and from."""

    def __init__(self, name: str, plan: bytes, family: Any, rebuild: str) -> None:
        """
        Raises:
            EngineError: The plan does not load, or there is no GPU.
            MissingDependencyError: torch or the library is not installed.
        """
        from streamseg.engines.tensorrt import TensorRtEngine

        self.name = name
        self._engine = TensorRtEngine(name, plan, family, rebuild)
        self.inputs, self.outputs = self._engine.inputs, self._engine.outputs

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> Arrays:
        """See `WholeEngine.run`."""
        import torch

        given = {key: torch.from_numpy(array) for key, array in inputs.items()}
        found = self._engine.run(given)
        return {key: tensor.cpu().numpy() for key, tensor in found.items()}


def open_whole(
    part: str,
    file: Path,
    config: WholeNetworkSection,
    picture: tuple[int, ...] | None = None,
) -> WholeEngine:
    """What runs a network.

    Args:
        part: Its name among exported ones: "detector" or "cutter".
        file: That it comes in: an ONNX file, or a folder's weights.
        config: What runs it.
        picture: Shape of the input, where the file leaves sides open.

    Raises:
        EngineError: The file, or what was exported of it, is missing, damaged or cannot run here.
        MissingDependencyError: A package that runs it is not installed.
    """
    engine = config.engine
    options = OnnxRuntimeOptions(config.providers, config.threads)
    if not engine.folder:
        check_runs(part, file, config)
        return ArrayEngine(file.name, file, options, picture)
    entry = exported(part, file, config)
    content = trusted_bytes(_folder(config), entry)
    if engine.family == "onnxruntime":
        return ArrayEngine(entry.file, content, options, picture)
    return PlanEngine(part, content, engine.family, _rebuild(part, config))


def check_runs(part: str, file: Path, config: WholeNetworkSection) -> None:
    """Find out that there is something for the config's family to run; loads nothing.

    Raises:
        EngineError: There is not.
    """
    if config.engine.folder:
        exported(part, file, config)
    elif config.engine.family == "torch" and file.suffix == ".onnx":
        raise EngineError(
            f"{part}: torch does not run {file.name}; expected engine.family auto, onnxruntime, "
            "tensorrt or tensorrt-rtx"
        )
    elif config.engine.family == "onnxruntime" and file.suffix != ".onnx":
        raise EngineError(
            f"{part}: ONNX Runtime runs what was exported: expected engine.folder, made by "
            "streamseg export"
        )


def exported(part: str, file: Path, config: WholeNetworkSection) -> Entry:
    """What the folder named has of this very network, for the config's family.

    Raises:
        EngineError: Nothing, or only of another file, or a plan for another card.
    """
    engine, folder = config.engine, _folder(config)
    wanted = "onnx" if engine.family == "onnxruntime" else engine.family
    entries = [entry for entry in read_manifest(folder) if entry.part == part]
    alike = [entry for entry in entries if entry.format == wanted]
    made_from = file_sha256(file)
    for entry in alike:
        if entry.weights_sha256 == made_from and _for_this_card(entry):
            return entry
    found = "nothing of it"
    if alike:
        target = f" for {alike[0].target}" if alike[0].target else ""
        found = f"{alike[0].file} of {alike[0].weights_sha256[:12]}…{target}"
    raise EngineError(
        f"{part}: expected {wanted} of {file.name} ({made_from[:12]}…) in {folder}, found {found}; "
        f"run {_rebuild(part, config)}"
    )


def file_sha256(file: Path) -> str:
    """The hash of a file's content.

    Raises:
        EngineError: It cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with file.open("rb") as content:
            while chunk := content.read(_CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise EngineError(f"cannot read {file}: {error.strerror}") from None
    return digest.hexdigest()


def _for_this_card(entry: Entry) -> bool:
    if not entry.target:
        return True
    from streamseg.engines.tensorrt import gpu_target

    return entry.target == gpu_target()


def _folder(config: WholeNetworkSection) -> Path:
    return Path(config.engine.folder).expanduser()


def _rebuild(part: str, config: WholeNetworkSection) -> str:
    family = config.engine.family
    format_ = "onnx" if family in ("auto", "onnxruntime", "torch") else family
    return (
        f"streamseg export --config NAME --parts {part} --format {format_} "
        f"--output {_folder(config)}"
    )
