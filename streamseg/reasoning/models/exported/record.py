"""What an exported reasoner's folder says of itself, and how its files are held against that.

`reasoner.json` names every file with its hash; what it does not name is not read. A folder may hold
the same network in several precisions.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

from streamseg.borders.json_file import JsonFileError, read_json
from streamseg.borders.paths import trouble_with_path
from streamseg.engines.files import write_whole
from streamseg.engines.manifest import name_of_a_file
from streamseg.engines.whole import file_sha256
from streamseg.errors import CheckpointError, ConfigError
from streamseg.masking import legible

RECORD = "reasoner.json"
FOLDER = "reasoner"
"""Within the folder of an export."""
PRECISIONS = ("fp32", "int8", "int4")
"""Of weights, the most exact first."""
FAMILIES = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl")
"""By `model_type`: those that can be exported."""
_FORMAT = 1
_MEND = "export it again: streamseg export --parts reasoner --model FOLDER --output DIR"

FileName = Annotated[str, AfterValidator(name_of_a_file)]
Share = Annotated[int, Field(ge=0, le=1_000_000)]


@dataclass(frozen=True, slots=True)
class Held:
    """A file's hash and size in bytes."""

    sha256: str
    nbytes: Annotated[int, Field(ge=0)]


@dataclass(frozen=True, slots=True)
class Open:
    """A tensor of a graph.

    Attributes:
        shape: A number, or the name of a side that is chosen at each run.
    """

    name: str
    shape: tuple[int | str, ...]
    dtype: str


@dataclass(frozen=True, slots=True)
class Graph:
    """An ONNX file and the weights beside it.

    Attributes:
        files: Names; the graph's own first.
        difference: Largest from torch in float32, relative to the output's range.
    """

    files: tuple[FileName, ...]
    inputs: tuple[Open, ...]
    outputs: tuple[Open, ...]
    difference: float


@dataclass(frozen=True, slots=True)
class Agreement:
    """Greedy tokens against those of torch in float32, each after torch's own tokens before it.

    Attributes:
        prompts: That were asked.
        tokens: That were compared, over all of them.
        equal: Of these, the same.
        ties: Of the others, those as likely to torch as its own, as near as float32 can tell.
        whole: Prompts of which every token was the same: those answers are, word for word.
    """

    prompts: int
    tokens: int
    equal: int
    ties: int
    whole: int

    def __str__(self) -> str:
        ties = f" and {self.ties} ties" if self.ties else ""
        return f"{self.equal} of {self.tokens} greedy tokens as torch's in fp32{ties}"


@dataclass(frozen=True, slots=True)
class Rounded:
    """The network in one precision."""

    vision: Graph
    decoder: Graph
    agreement: Agreement
    build_s: float


@dataclass(frozen=True, slots=True)
class Plan:
    """A TensorRT plan of one of the graphs in fp32, for whoever runs it: nothing here does.

    Attributes:
        part: "reasoner_vision" or "reasoner_decoder".
        format: "tensorrt" or "tensorrt-rtx".
        target: Compute capability of the card that it is for, such as "sm89".
        lengths: By input, the least, the usual and the largest shape that it was built for.
    """

    part: str
    format: str
    target: str
    lengths: dict[str, tuple[tuple[int, ...], ...]]
    build_s: float


@dataclass(frozen=True, slots=True)
class Record:
    """The folder's own description.

    Attributes:
        model_type: Of its config.json; one of `FAMILIES`.
        source: Name of the folder or repository that it was made from; a part of it may tell in
            what numbers it writes boxes.
        image_id: Token that stands for a cell of a picture.
        ends: Tokens with which it ends an answer.
        merge, window, table: Of its `Sight`.
        opset: Of its graphs.
        weights_sha256: `weights_sha256` of the network.
        code_sha256: Of the code that made its graphs.
        versions: Of the libraries that made it.
        files: Every file but this, by name: the graphs of all precisions and what the tokenizer
            and the processor need.
        precisions: By name.
        plans: By the name of their file.
    """

    model_type: str
    source: str
    image_id: Share
    ends: tuple[int, ...]
    merge: Annotated[int, Field(ge=1, le=16)]
    window: Annotated[int, Field(ge=0, le=1024)]
    table: Annotated[int, Field(ge=0, le=4096)]
    opset: int
    weights_sha256: str
    code_sha256: str
    versions: dict[str, str]
    files: dict[FileName, Held]
    precisions: dict[str, Rounded] = field(default_factory=dict)
    plans: dict[FileName, Plan] = field(default_factory=dict)

    def chosen(self, precision: str) -> str:
        """The precision that "auto" means, or the one named.

        Raises:
            ConfigError: The folder has it not.
        """
        there = [name for name in PRECISIONS if name in self.precisions]
        if not there or precision not in ("auto", *there):
            raise ConfigError(
                f"reasoning.exported.precision: expected one that was exported, "
                f"{', '.join(there) or 'of which there is none'}, got {precision}"
            )
        return there[0] if precision == "auto" else precision

    def needed(self, precision: str) -> list[str]:
        """Files without which one precision does not run."""
        of_graphs = {
            name: key
            for key, rounded in self.precisions.items()
            for graph in (rounded.vision, rounded.decoder)
            for name in graph.files
        }
        mine = (name for name in self.files if name not in self.plans)
        return [name for name in mine if of_graphs.get(name, precision) == precision]


_RECORD = TypeAdapter(Record)


def find(name: str) -> Path:
    """The folder that a config means: that of a reasoner, or of an export that has one in it.

    Raises:
        CheckpointError: There is none.
        ConfigError: None is named.
    """
    if not name:
        raise ConfigError(
            "reasoning.exported.folder: expected a folder that streamseg export --parts reasoner "
            "wrote, got none"
        )
    if trouble := trouble_with_path(name):
        raise CheckpointError(f"no such reasoner: {trouble}")
    place = Path(name).expanduser()
    for folder in (place, place / FOLDER):
        if (folder / RECORD).is_file():
            return folder
    raise CheckpointError(f"{legible(str(place))} has no {RECORD}: expected a reasoner; {_MEND}")


def read(folder: Path) -> Record:
    """A folder's description.

    Raises:
        CheckpointError: It cannot be read, is none of ours, or names a network of another kind.
    """
    path = folder / RECORD
    try:
        content: Any = read_json(path)
        if not isinstance(content, dict) or content.get("format") != _FORMAT:
            raise JsonFileError(f"expected format {_FORMAT}")
        record = _RECORD.validate_python({key: content[key] for key in content if key != "format"})
    except FileNotFoundError:
        raise CheckpointError(f"{legible(str(folder))} has no {RECORD}; {_MEND}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part)[:40] for part in first["loc"])
        raise CheckpointError(f"cannot read {path}: {where}: {first['msg']}; {_MEND}") from None
    except JsonFileError as error:
        raise CheckpointError(f"cannot read {path}: {error}; {_MEND}") from None
    if record.model_type not in FAMILIES:
        raise CheckpointError(
            f"{path}: expected a model_type of {', '.join(FAMILIES)}, got "
            f"{record.model_type[:60]!r}"
        )
    return record


def write(folder: Path, record: Record) -> None:
    """Describe a folder, in place of what was said of it before.

    Raises:
        OutputError: It cannot be written.
    """
    text = json.dumps({"format": _FORMAT, **asdict(record)}, indent=1) + "\n"
    write_whole(folder / RECORD, text.encode())


def check_sizes(folder: Path, record: Record, precision: str) -> None:
    """Find out that a precision's files are there and as long as they should be; reads none.

    Raises:
        CheckpointError: One is not.
    """
    for name in record.needed(precision):
        path = folder / name
        try:
            nbytes = path.stat().st_size if path.is_file() else None
        except OSError:
            nbytes = None
        if nbytes != record.files[name].nbytes:
            got = "none" if nbytes is None else f"{nbytes} bytes"
            raise CheckpointError(
                f"{path}: expected a file of {record.files[name].nbytes} bytes as in {RECORD}, got "
                f"{got}; {_MEND}"
            )


def check_hashes(folder: Path, record: Record, precision: str) -> None:
    """Read a precision's files and hold them against their hashes.

    Raises:
        CheckpointError: One is missing, or another than it was.
    """
    check_sizes(folder, record, precision)
    for name, held in hashes(folder, record.needed(precision)).items():
        if held != record.files[name]:
            raise CheckpointError(
                f"{folder / name}: expected sha256 {record.files[name].sha256[:12]}… as in "
                f"{RECORD}, got {held.sha256[:12]}…: it is not loaded; {_MEND}"
            )


def hashes(folder: Path, names: Iterable[str]) -> dict[str, Held]:
    """Of files as they are.

    Raises:
        EngineError: One cannot be read.
    """
    return {
        name: Held(file_sha256(folder / name), (folder / name).stat().st_size) for name in names
    }
