"""What a value of a config may be: kinds of numbers and texts, each with its bounds.

Every number is finite and of its own type, every text has an end; knows no setting.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Real = Annotated[float, Field(strict=True)]
Whole = Annotated[int, Field(strict=True)]
Fraction = Annotated[Real, Field(ge=0.0, le=1.0)]
Seconds = Annotated[Real, Field(ge=0.0, le=86_400.0)]
Share = Annotated[Real, Field(ge=0.0, le=10.0)]
"""Of something's size, added to it."""
Score = Annotated[Real, Field(ge=1.0, le=10.0)]
Rate = Annotated[Real, Field(ge=0.01, le=1000.0)]
Count = Annotated[Whole, Field(ge=1, le=1_000_000)]
CountOrNone = Annotated[Whole, Field(ge=0, le=1_000_000)]
Threads = Annotated[Whole, Field(ge=0, le=1024)]
Few = Annotated[Whole, Field(ge=1, le=1024)]
"""Of what is held in memory for each: objects, frames that wait, points."""
Pixels = Annotated[Whole, Field(ge=1, le=16_384)]
Area = Annotated[Whole, Field(ge=1, le=2**40)]
Bytes = Annotated[Whole, Field(ge=1, le=2**44)]


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("expected text without NUL characters")
    return text


Words = Annotated[str, Field(max_length=4096), AfterValidator(_without_nul)]
"""A name, a path, or a sentence for people."""


def trouble_with_device(name: str) -> str:
    """Why `name` is no kind of device; "" where it is one, here or not."""
    if re.fullmatch(r"(?:auto|(?:cpu|cuda|mps)(?::[0-9]{1,2})?)", name):
        return ""
    return f"expected a device such as auto, cpu, cuda, cuda:1 or mps, got {name[:60]!r}"


def _kind_of_device(name: str) -> str:
    if trouble := trouble_with_device(name):
        raise ValueError(trouble)
    return name


Device = Annotated[str, AfterValidator(_kind_of_device)]


class Section(BaseModel):
    """Base of every section: frozen, closed to unknown keys; its numbers are finite."""

    shorthand: ClassVar[Mapping[str, str]] = {}
    """Keys that mean the key of the same name one section further down, and that section."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def spelled_out(values: Mapping[str, Any], shorthand: Mapping[str, str]) -> dict[str, Any]:
    """A section's plain values with its short keys written out in full.

    Raises:
        ValueError: A key stands there both in short and in full.
    """
    full = {key: value for key, value in values.items() if key not in shorthand}
    for key in values.keys() & shorthand.keys():
        inner = full.get(shorthand[key], {})
        if isinstance(inner, BaseModel):
            inner = inner.model_dump()
        if not isinstance(inner, dict) or key in inner:
            both = f"{key} and {shorthand[key]}.{key}"
            raise ValueError(f"{both} are one setting: expected one of them, got both")
        full[shorthand[key]] = {**inner, key: values[key]}
    return full
