"""YAML text into plain values, at a cost that the text cannot drive up; knows no config.

Plain means null, booleans, numbers, text, lists and mappings. Other tags are refused, as is what
grows when it is read: aliases of aliases, nesting, numbers of a thousand digits.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

MAX_CHARS = 32_768
"""Thirty times the longest config that we ship."""

_MAX_DEPTH = 20
_MAX_NODES = 2_000  # as written, and again with every alias written out
_MAX_NUMBER = 400  # characters; a float has some twenty
_NUMBERS = {"tag:yaml.org,2002:int", "tag:yaml.org,2002:float"}
_PLAIN = {
    *_NUMBERS,
    *(f"tag:yaml.org,2002:{kind}" for kind in ("null", "bool", "str", "seq", "map", "merge")),
}
_MERGE = "tag:yaml.org,2002:merge"


class YamlTextError(Exception):
    """It is no YAML, or not within bounds; the message is one line."""


def read_plain(text: str) -> Any:
    """The values of one YAML document; None where there is none.

    Raises:
        YamlTextError: It is no YAML, has other tags, says a key twice, or is too large, too
            deep, or too much once its aliases are written out.
    """
    if len(text) > MAX_CHARS:
        raise YamlTextError(f"expected at most {MAX_CHARS} characters, got {len(text)}")
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        return None if node is None else _Values(loader).of(node, 0)
    except yaml.YAMLError as error:
        raise YamlTextError(" ".join(str(error).split())[:300]) from None
    except (ValueError, ArithmeticError) as error:  # a number that Python will not read
        raise YamlTextError(f"a value cannot be read: {str(error)[:200]}") from None


class _Loader(yaml.SafeLoader):
    """Composes nodes, and stops at the first that is one too many or too deep."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._nodes = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self._nodes += 1
        self._depth += 1
        _within_bounds(self._nodes, self._depth)
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        return node

    # The scanner runs ahead of the composer, and looks through all open levels at each token.

    def fetch_flow_collection_start(self, token: type[yaml.Token]) -> None:
        _within_bounds(0, self.flow_level)
        super().fetch_flow_collection_start(token)

    def add_indent(self, column: int) -> bool:
        _within_bounds(0, len(self.indents))
        return bool(super().add_indent(column))


_Loader.add_implicit_resolver(  # YAML 1.1 takes 1e3 and 1.5e3 for text, 1.2 and people do not
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(?:\d+|\d+\.\d*|\.\d+)[eE][-+]?\d+"),
    list("-+.0123456789"),
)


class _Values:
    """Nodes into values, each alias written out, none of them more often than is bearable."""

    def __init__(self, loader: _Loader) -> None:
        self._loader = loader
        self._made = 0

    def of(self, node: yaml.Node, depth: int) -> Any:
        self._made += 1
        _within_bounds(self._made, depth)
        if node.tag not in _PLAIN:
            raise YamlTextError(f"tags are not allowed: found {node.tag[:60]!r}{_place(node)}")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, depth)
        if isinstance(node, yaml.SequenceNode):
            return [self.of(item, depth + 1) for item in node.value]
        if node.tag in _NUMBERS and len(node.value) > _MAX_NUMBER:
            raise YamlTextError(
                f"expected a number of at most {_MAX_NUMBER} digits, got {len(node.value)}"
                f"{_place(node)}"
            )
        return self._loader.construct_object(node)

    def _mapping(self, node: yaml.MappingNode, depth: int) -> dict[Any, Any]:
        merged: dict[Any, Any] = {}
        own: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                merged = {**self._merge(value_node, depth + 1), **merged}
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                raise YamlTextError(f"expected text for a key, got a list or mapping{_place(node)}")
            key = self.of(key_node, depth + 1)
            if key in own:
                raise YamlTextError(
                    f"the key {str(key)[:60]!r} stands there twice{_place(key_node)}"
                )
            own[key] = self.of(value_node, depth + 1)
        return {**merged, **own}

    def _merge(self, node: yaml.Node, depth: int) -> dict[Any, Any]:
        """`<<:` takes a mapping, or a list of them, of which the first has the last word."""
        value = self.of(node, depth)
        found: dict[Any, Any] = {}
        for part in value if isinstance(value, list) else [value]:
            if not isinstance(part, dict):
                raise YamlTextError(f"expected a mapping after <<{_place(node)}")
            found = {**part, **found}
        return found


def _within_bounds(nodes: int, depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise YamlTextError(f"expected at most {_MAX_DEPTH} levels of nesting, got more")
    if nodes > _MAX_NODES:
        raise YamlTextError(f"expected at most {_MAX_NODES} values, aliases written out, got more")


def _place(node: yaml.Node) -> str:
    mark = node.start_mark
    return f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
