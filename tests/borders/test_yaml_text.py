"""YAML text costs no more than its length, and nothing but plain values comes of it."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamseg.borders.yaml_text import MAX_CHARS, YamlTextError, read_plain


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("a: 1\nb: [x, 2.5, true, null]", {"a": 1, "b": ["x", 2.5, True, None]}),
        ("1e3", 1000.0),
        ("-2.5e-3", -0.0025),
        ("a: &x {k: 1}\nb: *x", {"a": {"k": 1}, "b": {"k": 1}}),
        ("a: &x {k: 1, l: 2}\nb: {<<: *x, k: 3}", {"a": {"k": 1, "l": 2}, "b": {"k": 3, "l": 2}}),
        ("<<: [{a: 1}, {a: 2, b: 3}]", {"a": 1, "b": 3}),
        ("'1'", "1"),
    ],
)
def test_plain_values_are_read(text: str, value: object) -> None:
    assert read_plain(text) == value


def test_an_alias_gives_values_of_its_own() -> None:
    values = read_plain("a: &x {k: 1}\nb: *x")
    assert values["a"] is not values["b"]


def laughs(line: str) -> str:
    grown = "".join(
        f"a{i}: &a{i} {line.format(','.join([f'*a{i - 1}'] * 9))}\n" for i in range(1, 20)
    )
    return f"a0: &a0 {{x: 1}}\n{grown}"


MANY = MAX_CHARS - 10
BOMBS = {
    "longer": ("a" * (MAX_CHARS + 1), "at most 32768 characters"),
    "aliases": (laughs("[{}]"), "aliases written out"),
    "merges": (laughs("{{<<: [{}]}}"), "aliases written out"),
    "itself": ("&a [*a]", "levels of nesting"),
    "brackets": ("[" * MANY, "levels of nesting"),
    "braces": ("{a: " * (MANY // 4), "levels of nesting"),
    "dashes": ("- " * (MANY // 2), "levels of nesting"),
    "questions": ("? " * (MANY // 2), "levels of nesting"),
    "items": ("[" + "a," * (MANY // 2 - 1) + "]", "at most 2000 values"),
    "keys": ("".join(f"k{i}: 1\n" for i in range(2500)), "at most 2000 values"),
    "digits": ("9" * 5000, "at most 400 digits"),
    "sixties": (":".join(["59"] * 5000), "at most 400 digits"),
    "twice": ("a: {k: 1, k: 2}", "'k' stands there twice, line 1, column 11"),
    "date": ("2001-13-45", "tags are not allowed"),
    "binary": ("!!binary x", "tags are not allowed"),
    "python": ("!!python/object/apply:os.system ['true']", "tags are not allowed"),
    "set": ("!!set {a}", "tags are not allowed"),
    "listed key": ("{[a]: 1}", "expected text for a key"),
    "nothing merged": ("<<: 3", "expected a mapping after <<"),
    "two": ("---\na\n---\nb", "expected a single document"),
    "control": ("a\x01", "unacceptable character"),
    "open": ("'" + "a" * 100, "end of stream"),
    "not a number": ("!!int x", "a value cannot be read"),
}


@pytest.mark.parametrize(("text", "words"), BOMBS.values(), ids=BOMBS)
def test_what_is_too_much_or_not_plain_is_refused_in_a_line(text: str, words: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(YamlTextError, match=words) as told:
            read_plain(text)
        assert tracemalloc.get_traced_memory()[1] < 50e6
    finally:
        tracemalloc.stop()
    assert "\n" not in str(told.value)
    assert len(str(told.value)) < 400


@given(st.text(st.sampled_from("ab01:-?[]{},&*!|>'\"%@` \n\t#~.e<"), max_size=60))
def test_any_text_is_read_or_refused_in_a_line(text: str) -> None:
    told = ""
    try:
        read_plain(text)
    except YamlTextError as error:
        told = str(error)
    assert "\n" not in told
