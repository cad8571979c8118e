"""A JSON file costs no more than its length, and every fault of it is one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamseg.borders.json_file import MAX_BYTES, JsonFileError, read_json


def test_a_value_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": [1, 2.5, null, "ü"]}', encoding="utf-8")
    assert read_json(tmp_path / "a.json") == {"a": [1, 2.5, None, "ü"]}


def test_a_missing_file_says_so_itself(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / "gone.json")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "it is no JSON"),
        (b"{\n", "it is no JSON"),
        (b"\xff", "it is no JSON"),
        (b"[NaN]", "NaN is no number"),
        (b"9" * 5000, "it is no JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b" " * (MAX_BYTES + 1), "at most 2097152 bytes, got 2097153"),
    ],
)
def test_what_is_no_json_or_too_much_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(JsonFileError, match=words) as told:
        read_json(tmp_path / "a.json")
    assert "\n" not in str(told.value)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "loop").symlink_to("loop")
    for name, words in (("zero", "expected a file"), ("loop", "symbolic links"), (".", "a file")):
        with pytest.raises(JsonFileError, match=words):
            read_json(tmp_path / name)
