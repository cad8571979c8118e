"""Sentences about real clips with true boxes on a few frames of each, read from queries.json.

A list of `{"clip", "query", "kind", "frames": {"INDEX": [[x0, y0, x1, y1], …] | [] | null}}`: boxes
in pixels of the clip; `[]` where the thing is not to be seen, null where it cannot be told. An
optional `"truth"` names the file of true masks, as "FILE.npz" or "FILE.npz:LABEL,LABEL", or is
false where none of the clip's files is about this sentence. Other keys are left alone.
"""

from __future__ import annotations

from pathlib import Path, PurePath
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    NonNegativeInt,
    TypeAdapter,
    ValidationError,
)

from streamseg.errors import UsageError
from streamseg.types import Box

VIDEO_SUFFIXES = (".mp4", ".mkv", ".mov", ".webm", ".avi", ".m4v")


def _spanned(box: Box) -> Box:
    x0, y0, x1, y1 = box
    if not (x0 < x1 and y0 < y1):
        raise ValueError(f"expected x0 < x1 and y0 < y1, got {list(box)}")
    return box


def _inside(name: str) -> str:
    path = PurePath(name)
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(f"expected a name inside the folder of clips, got {name!r}")
    return name


_Corner = FiniteFloat
_TrueBox = Annotated[tuple[_Corner, _Corner, _Corner, _Corner], AfterValidator(_spanned)]
_Name = Annotated[str, Field(min_length=1), AfterValidator(_inside)]


class Sentence(BaseModel):
    """One sentence about one clip.

    Attributes:
        clip: The clip's file name, with or without its suffix.
        query: The sentence.
        kind: What it takes to understand it: "colour", "class", "absent", …
        frames: True boxes by frame index; empty: not to be seen; None: cannot be told.
        truth: The file of true masks, False for none of them, None to go by the boxes.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    clip: _Name
    query: str = Field(min_length=1)
    kind: str = Field(min_length=1)
    frames: dict[NonNegativeInt, tuple[_TrueBox, ...] | None] = Field(min_length=1)
    truth: _Name | Literal[False] | None = None

    @property
    def told(self) -> dict[int, tuple[Box, ...]]:
        """The frames of which something can be told, in order."""
        return {
            index: self.frames[index] or ()
            for index in sorted(self.frames)
            if self.frames[index] is not None
        }

    @property
    def absent(self) -> bool:
        """What it asks for is to be seen on no annotated frame."""
        return not any(self.told.values())


_SENTENCES = TypeAdapter(tuple[Sentence, ...])


def read(path: Path) -> tuple[Sentence, ...]:
    """Read a list of sentences.

    Raises:
        UsageError: No such file, or not such a list; names the entry and what is wrong with it.
    """
    try:
        sentences = _SENTENCES.validate_json(path.read_bytes())
    except OSError as error:
        raise UsageError(f"cannot read the sentences {path}: {error.strerror}") from None
    except ValidationError as error:
        raise UsageError(f"{path}: {_first(error)}") from None
    if not sentences:
        raise UsageError(f"{path}: expected at least one sentence, got none")
    return sentences


def _first(error: ValidationError) -> str:
    """What is wrong first, and how much else is, on one line."""
    worst, others = error.errors()[0], error.error_count() - 1
    where = ""
    if worst["loc"]:
        entry, *inner = worst["loc"]
        names = (str(part) for part in inner if part not in ("[key]", "constrained-str"))
        where = ": ".join([f"entry {int(entry) + 1}", *filter(None, [".".join(names)])]) + ": "
    said = " ".join(worst["msg"].removeprefix("Value error, ").split())
    more = f" (and {others} more)" if others else ""
    return f"{where}{said}{more}"


def find_clip(folder: Path, name: str) -> Path:
    """The clip's file in the folder.

    Raises:
        UsageError: There is none.
    """
    for path in (folder / name, *(folder / f"{name}{suffix}" for suffix in VIDEO_SUFFIXES)):
        if path.is_file():
            return path
    kinds = " ".join(VIDEO_SUFFIXES)
    raise UsageError(f"no clip {name} in {folder}: expected a file of that name, or with {kinds}")
