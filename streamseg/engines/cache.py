"""Engines built on first use and kept: found again by everything that they depend on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from streamseg.engines import TensorSpec
from streamseg.engines.files import locked, write_whole
from streamseg.engines.manifest import (
    MANIFEST,
    Entry,
    add_to_manifest,
    read_manifest,
    trusted_bytes,
)
from streamseg.errors import EngineError, OutputError

Build = Callable[[], tuple[Entry, bytes]]
"""Makes an engine: what the manifest shall say of it, and its content."""


@dataclass(frozen=True, slots=True)
class Key:
    """What an engine depends on: another value of any of these is another engine.

    Attributes:
        part: Name of the part.
        weights_sha256: Of the network.
        format: "onnx", "tensorrt" or "tensorrt-rtx".
        precision: "fp32", "fp16" or "bf16".
        inputs: Names, shapes and dtypes.
        gpu: Name of the card that a plan is for; "" for ONNX.
        version: Of the library that makes it.
    """

    part: str
    weights_sha256: str
    format: str
    precision: str
    inputs: tuple[TensorSpec, ...]
    gpu: str
    version: str

    @property
    def file(self) -> str:
        """Name of the file that holds it."""
        text = json.dumps(asdict(self), sort_keys=True)
        suffix = "onnx" if self.format == "onnx" else "plan"
        return f"{self.part}-{hashlib.sha256(text.encode()).hexdigest()[:16]}.{suffix}"


class EngineCache:
    """A folder of engines with a manifest; several processes may share it.

    Attributes:
        problems: Why something could not be kept; the engines were used all the same.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.problems: list[str] = []

    def get(self, key: Key, build: Build) -> bytes:
        """The engine's content, built if it is not here whole.

        Two processes that ask for the same one build it once: the second waits for the first.
        A file that is damaged or that nobody vouches for is built anew. Where the folder
        cannot be written the engine is built and not kept.
        """
        try:
            with locked(self._folder / f"{key.file}.lock"):
                return self._find(key) or self._keep(key, *build())
        except OutputError as error:
            self.problems.append(str(error))
            return build()[1]

    def _find(self, key: Key) -> bytes | None:
        try:
            for entry in read_manifest(self._folder):
                if entry.file == key.file:
                    return trusted_bytes(self._folder, entry)
        except EngineError as error:
            self.problems.append(str(error))
        return None

    def _keep(self, key: Key, entry: Entry, content: bytes) -> bytes:
        if entry.file != key.file:
            raise ValueError(f"expected an entry for {key.file}, got one for {entry.file}")
        try:
            write_whole(self._folder / key.file, content)
            self._record(entry)
        except OutputError as error:
            self.problems.append(str(error))
        return content

    def _record(self, entry: Entry) -> None:
        try:
            add_to_manifest(self._folder, [entry])
        except EngineError:  # a cache's manifest that cannot be read is begun anew
            (self._folder / MANIFEST).unlink(missing_ok=True)
            add_to_manifest(self._folder, [entry])
