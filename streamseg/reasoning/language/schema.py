"""The form of an answer as a JSON schema, for those who hold a model to one while it writes."""

from __future__ import annotations

from typing import Any

_DIGITS = {"type": "integer"}


def listed() -> dict[str, Any]:
    """The list that stands in the answer's tags."""
    return {"type": "array", "items": _object()}


def whole() -> dict[str, Any]:
    """A whole answer in one JSON object, for endpoints that take no tags beside it."""
    properties = {
        "thinking": {"type": "string"},
        "objects": listed(),
        "cannot_tell": {"type": "boolean"},
    }
    return _closed(properties)


def _object() -> dict[str, Any]:
    properties = {
        "bbox_2d": _numbers(4),
        "point_2d": _numbers(2),
        "negative_point_2d": _numbers(2),
        "label": {"type": "string"},
    }
    return _closed(properties)


def _numbers(count: int) -> dict[str, Any]:
    return {"type": "array", "items": _DIGITS, "minItems": count, "maxItems": count}


def _closed(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
