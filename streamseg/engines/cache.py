"""Engines built on first use and kept: found again by everything that they depend on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from streamseg.engines import TensorSpec
from streamseg.engines.files import locked, sweep, write_whole
from streamseg.engines.manifest import Entry, add_to_manifest, read_manifest, trusted_bytes
from streamseg.errors import EngineError, OutputError

FileFormat = Literal["onnx", "tensorrt", "tensorrt-rtx"]
Build = Callable[[], tuple[Entry, bytes]]
"""Makes an engine: what the manifest shall say of it, and its content."""


@dataclass(frozen=True, slots=True)
class Key:
    """What an engine depends on: another value of any of these is another engine.

    Attributes:
        part: Name of the part.
        weights_sha256: Of the network.
        code_sha256: Of the code that makes the graph.
        options: Numbers baked into the graph that inputs do not show.
        inputs: Names, shapes and dtypes.
        precision: "fp32", "fp16" or "bf16".
        format: "onnx", "tensorrt" or "tensorrt-rtx".
        target: The compute capability that a plan is for, such as "sm86"; "" for ONNX.
        gpu: Name of the card that a plan is for; "" for ONNX.
        versions: Of the libraries that make it; under the format, for a plan, of the one
            that builds it.
    """

    part: str
    weights_sha256: str
    code_sha256: str
    options: dict[str, int]
    inputs: tuple[TensorSpec, ...]
    precision: str
    format: FileFormat
    target: str
    gpu: str
    versions: dict[str, str]

    @property
    def file(self) -> str:
        """Name of the file that holds it."""
        text = json.dumps(asdict(self), sort_keys=True)
        suffix = "onnx" if self.format == "onnx" else "plan"
        return f"{self.part}-{hashlib.sha256(text.encode()).hexdigest()[:16]}.{suffix}"

    def differences(self, entry: Entry) -> list[str]:
        """What keeps an exported file from being this engine, in words; nothing: it is.

        An ONNX file is one whatever library wrote it; a plan runs on what built it alone.
        """
        pairs = [
            ("part", entry.part, self.part),
            ("format", entry.format, self.format),
            ("precision", entry.precision, self.precision),
            ("target", entry.target, self.target),
            ("inputs", _words(entry.inputs), _words(self.inputs)),
            ("options", str(entry.options), str(self.options)),
            ("weights", entry.weights_sha256[:12], self.weights_sha256[:12]),
            ("streamseg's networks", entry.code_sha256[:12], self.code_sha256[:12]),
        ]
        if self.format != "onnx":
            mine = self.versions.get(self.format, "")
            pairs.append((self.format, entry.versions.get(self.format, "none"), mine))
        return [f"{what} {there}, not {here}" for what, there, here in pairs if there != here]


class EngineCache:
    """A folder of engines with a manifest; several processes may share it.

    Attributes:
        problems: Why something could not be read or kept; the engines were used all the same.
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
        with ExitStack() as held:
            try:
                held.enter_context(locked(self._folder / f"{key.file}.lock"))
            except OutputError as error:
                self._note(f"{error}; engines are built anew on each start")
                return build()[1]
            sweep(self._folder / key.file)
            found = self._find(key)
            return found if found is not None else self._keep(key, *build())

    def holds(self, key: Key) -> bool:
        """Whether `get` would read and not build, as things stand; takes no lock.

        Raises:
            EngineError: It stands in the manifest, but its file is damaged or gone; or the
                manifest cannot be read.
        """
        return self._read(key) is not None

    def _find(self, key: Key) -> bytes | None:
        try:
            return self._read(key)
        except EngineError as error:
            self._note(f"{error}; it is built anew")
            return None

    def _read(self, key: Key) -> bytes | None:
        for entry in read_manifest(self._folder):
            if entry.file == key.file:
                return trusted_bytes(self._folder, entry)
        return None

    def _keep(self, key: Key, entry: Entry, content: bytes) -> bytes:
        if entry.file != key.file:
            raise ValueError(f"expected an entry for {key.file}, got one for {entry.file}")
        try:
            write_whole(self._folder / key.file, content)
            add_to_manifest(self._folder, [entry], mend=True)
        except OutputError as error:
            self._note(f"{error}; the engine is used and not kept")
        return content

    def _note(self, problem: str) -> None:
        if problem not in self.problems:
            self.problems.append(problem)


def _words(inputs: tuple[TensorSpec, ...]) -> str:
    return ", ".join(f"{spec.name} {spec}" for spec in inputs)
