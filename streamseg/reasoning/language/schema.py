"""The form of an answer as a JSON schema, for those who hold a model to one while it writes."""

from __future__ import annotations

from typing import Any

_WHOLE = {"type": "integer", "minimum": 0, "maximum": 9999}
_LONGEST_LABEL = 40


def listed(most: int) -> dict[str, Any]:
    """The list that stands in the answer's tags, of at most so many objects."""
    return {"type": "array", "items": _object(), "maxItems": most}


def block(most: int) -> dict[str, Any]:
    """All that may stand in the answer's tags."""
    undecided = _closed({"cannot_tell": {"const": True}})
    return {"anyOf": [listed(most), undecided]}


def whole(most: int) -> dict[str, Any]:
    """A whole answer in one JSON object, for endpoints that take no tags beside it."""
    properties = {
        "thinking": {"type": "string"},
        "objects": listed(most),
        "cannot_tell": {"type": "boolean"},
    }
    return _closed(properties)


def _object() -> dict[str, Any]:
    properties = {
        "bbox_2d": _numbers(4),
        "point_2d": _numbers(2),
        "negative_point_2d": _numbers(2),
        "label": {"type": "string", "maxLength": _LONGEST_LABEL},
    }
    return _closed(properties)


def _numbers(count: int) -> dict[str, Any]:
    return {"type": "array", "items": _WHOLE, "minItems": count, "maxItems": count}


def _closed(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
