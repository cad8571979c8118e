"""What each string asks for, and what cannot be asked."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamseg.errors import SourceError, SourceSpecError
from streamseg.sources.spec import Kind, natural_key, parse_spec


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("spec", "kind"),
    [
        ("rtsp://camera/1", Kind.STREAM),
        ("RTSP://camera/1", Kind.STREAM),
        ("udp://0.0.0.0:5000", Kind.STREAM),
        ("http://camera/mjpeg", Kind.WEB),
        ("https://site/live.m3u8", Kind.WEB),
        ("HTTPS://site/film.MP4?token=abc", Kind.WEB),
    ],
)
def test_urls(spec: str, kind: Kind) -> None:
    parsed = parse_spec(spec)
    assert parsed.kind is kind
    assert parsed.location == spec
    assert "abc" not in parsed.name


def test_password_stays_out_of_the_name() -> None:
    parsed = parse_spec("rtsp://admin:hunter2@camera/1")
    assert parsed.name == "rtsp://***@camera/1"
    assert "hunter2" in parsed.location


def test_file_with_a_colon_is_no_protocol(here: Path) -> None:
    (here / "a:b.mp4").touch()
    assert parse_spec("a:b.mp4").location == "file:a:b.mp4"
    assert parse_spec(f"file://{here}/a:b.mp4").kind is Kind.FILE


def test_images_come_in_natural_order(here: Path) -> None:
    for name in ("f10.png", "f9.png", "f1.PNG", "notes.txt", ".hidden.png"):
        (here / name).touch()
    folder = parse_spec(str(here))
    assert folder.kind is Kind.IMAGES
    assert [Path(path).name for path in folder.paths] == ["f1.PNG", "f9.png", "f10.png"]
    assert parse_spec("f*").paths == ("f1.PNG", "f9.png", "f10.png")
    assert parse_spec("f9.png").paths == ("f9.png",)


def test_a_name_that_looks_like_a_glob_is_a_file_where_there_is_one(here: Path) -> None:
    (here / "clip[1].mp4").touch()
    assert parse_spec("clip[1].mp4").kind is Kind.FILE


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("", "empty"),
        ("  ", "empty"),
        ("missing.mp4", "no such file"),
        ("*.png", "matches no image"),
        (".", "holds no image"),
        ("foo://bar", "unknown kind of URL"),
        ("rtsp://", "names no host"),
        ("rtsp://[::1/x", "not a URL"),
        ("file:///missing.mp4", "no such file"),
    ],
)
def test_what_cannot_be(here: Path, spec: str, words: str) -> None:
    with pytest.raises(SourceSpecError, match=words) as caught:
        parse_spec(spec)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("spec", ["7919", "/dev/video7919"])
def test_no_camera(spec: str) -> None:
    with pytest.raises(SourceError, match="no camera /dev/video7919; ") as caught:
        parse_spec(spec)
    assert caught.value.exit_code == 1


def name_or_refusal(spec: str) -> str:
    try:
        return parse_spec(spec).name
    except (SourceSpecError, SourceError) as error:
        return str(error)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(spec=st.text(st.characters(exclude_characters="/"), max_size=300))
def test_any_text_is_read_or_refused_in_one_line(here: Path, spec: str) -> None:
    assert "\n" not in name_or_refusal(spec)


@given(rest=st.text(max_size=80), scheme=st.sampled_from(["rtsp", "http", "file", "x"]))
def test_any_url_is_read_or_refused(rest: str, scheme: str) -> None:
    assert "\n" not in name_or_refusal(f"{scheme}://{rest}")


@given(names=st.lists(st.text(max_size=12), max_size=6))
def test_natural_order_is_an_order(names: list[str]) -> None:
    ordered = sorted(names, key=natural_key)
    assert sorted(ordered, key=natural_key) == ordered
    assert sorted(ordered) == sorted(names)
