"""What can be no path is told so before a file system is asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamseg.borders.paths import trouble_with_path


@pytest.mark.parametrize("path", ["a", "/", "../a b", "ü" * 100, "/x" * 2000, "a" * 255, Path("a")])
def test_a_path_is_no_trouble(path: str | Path) -> None:
    assert trouble_with_path(path) == ""


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("", "an empty one"),
        ("a\0b", "with a NUL character: a b"),
        ("a" * 256, "names of at most 255, got 256"),
        ("ü" * 128, "with one of 256"),
        ("/x" * 2048, "less than 4096 bytes"),
        ("a\ud800", "not valid text"),
        ("~nobody-of-that-name/a", "a home that is not here"),
    ],
)
def test_what_can_be_no_path_is_told(path: str, words: str) -> None:
    told = trouble_with_path(path)
    assert words in told
    assert "\n" not in told
    assert len(told) < 500
