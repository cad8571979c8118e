"""What each string asks for, and what cannot be asked."""

from __future__ import annotations

import io
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamseg.errors import SourceError, SourceSpecError
from streamseg.sources.spec import Kind, local_files, natural_key, parse_spec


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
        ("a\0b.mp4", "holds a NUL"),
        ("missing.mp4", "no such file"),
        ("file:", "names no file"),
        ("file:0", "no such file"),
        ("file:" * 2000, "no such file"),
        ("~/missing.mp4", "no such file.*/missing.mp4"),
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


def test_numbered_patterns(here: Path) -> None:
    for number in (1, 2, 10, 11, 100):
        (here / f"f{number:03d}.png").touch()
        (here / f"g{number}.png").touch()
    (here / "f1.txt").touch()
    assert [Path(path).name for path in parse_spec("f%03d.png").paths] == [
        *("f001.png", "f002.png", "f010.png", "f011.png", "f100.png")
    ]
    assert len(parse_spec(f"{here}/g%d.png").paths) == 5
    assert len(parse_spec("g%02d.png").paths) == 3
    with pytest.raises(SourceSpecError, match=r"no image matches the pattern: h%04d\.png"):
        parse_spec("h%04d.png")
    (here / "100%done.mp4").touch()
    assert parse_spec("100%done.mp4").kind is Kind.FILE


@pytest.mark.parametrize("name", ["a b.mp4", "a#1.mp4", "100%.mp4", "a?b=1.mp4", "ä%20.mp4"])
def test_a_file_url_need_not_be_encoded(here: Path, name: str) -> None:
    (here / name).touch()
    for path in (name, quote(name)):
        assert parse_spec(f"file://{here}/{path}").location == f"file:{here}/{name}"


def test_a_file_may_be_named_without_slashes_or_from_home(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(here))
    for name in ("a b.mp4", "0"):
        (here / name).touch()
        for spec in (f"file:{quote(name)}", f"FILE:{here}/{name}", f"~/{name}"):
            parsed = parse_spec(spec)
            assert parsed.kind is Kind.FILE
            assert Path(parsed.location.removeprefix("file:")).resolve() == here / name
    (here / "~").mkdir()
    (here / "~" / "a.mp4").touch()
    assert local_files("~/a.mp4") == ("~/a.mp4",)


def test_a_link_to_nowhere_keeps_its_place_among_pictures(here: Path) -> None:
    (here / "f1.png").touch()
    (here / "f2.png").symlink_to("gone.png")
    (here / "f3.png").mkdir()
    for spec in (".", "f*.png", "f%d.png"):
        assert [Path(path).name for path in parse_spec(spec).paths] == ["f1.png", "f2.png"]


def test_a_file_url_of_another_host(here: Path) -> None:
    with pytest.raises(SourceSpecError, match="on another host"):
        parse_spec("file://nas/film.mp4")


def test_what_no_url_may_hold_is_encoded() -> None:
    asked = "http://site/my film/100%/ü%20.mp4?a=b c"
    assert parse_spec(asked).location == "http://site/my%20film/100%25/%C3%BC%20.mp4?a=b%20c"


@pytest.mark.parametrize("secret", ["pa#ss", "pa/ss", "pa?ss"])
def test_a_password_that_must_be_encoded(secret: str) -> None:
    with pytest.raises(SourceSpecError, match="must be percent-encoded") as caught:
        parse_spec(f"rtsp://admin:{secret}@camera/1")
    assert secret not in str(caught.value)


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    with io.StringIO() as piped:
        monkeypatch.setattr("sys.stdin", piped)
        assert parse_spec("-").kind is Kind.FILE
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(SourceSpecError, match="nothing is: expected PROGRAM"):
        parse_spec("-")


def test_the_files_that_a_source_reads(tmp_path: Path) -> None:
    clip, pictures = tmp_path / "a:b.mp4", [tmp_path / f"{n}.png" for n in (2, 10)]
    for path in (clip, *pictures):
        path.write_bytes(b"")
    assert local_files(str(clip)) == local_files(clip.as_uri()) == (str(clip),)
    assert local_files(str(tmp_path)) == tuple(map(str, pictures))
    assert local_files(str(tmp_path / "*.png")) == tuple(map(str, pictures))
    for elsewhere in ("rtsp://camera/1", "synthetic:easy", "gst:videotestsrc", "none.mp4", ""):
        assert local_files(elsewhere) == ()
