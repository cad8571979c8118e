"""`streamseg run --output`: nothing of anybody's is destroyed, and nothing said that is not so."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import av
import pytest
from command_line import Call, caller

from streamseg import synthetic
from streamseg.sinks.masks import read_masks

SCENE = "synthetic:easy?seed=1&size=320x180&frames=40"
LONG = "synthetic:easy?seed=1&size=320x180&frames=400"
QUERY = synthetic.scene("easy", seed=1, size=(320, 180)).expressions[0].text
PATIENCE_S = 120.0


@pytest.fixture
def streamseg(capsys: pytest.CaptureFixture[str]) -> Call:
    return caller(capsys)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run left, with pictures."""
    folder = tmp_path_factory.mktemp("finished") / "out"
    words = ["-o", os.fspath(folder), "--max-frames", "8", "--set", "sinks.images=true"]
    subprocess.run(
        [
            sys.executable,
            "-m",
            "streamseg.cli",
            "run",
            "-c",
            "classical",
            "-s",
            SCENE,
            "-q",
            QUERY,
            *words,
        ],
        check=True,
        capture_output=True,
    )
    return folder


@pytest.fixture
def earlier(finished: Path, tmp_path: Path) -> Path:
    """The same of one's own, beside a file that is its owner's."""
    folder = tmp_path / "out"
    (folder / "masks").mkdir(parents=True)
    for name in content(finished):
        (folder / name).write_bytes((finished / name).read_bytes())
    (folder / "note.txt").write_text("mine")
    return folder


def content(folder: Path) -> dict[str, bytes]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def run(folder: Path | str, *more: str, source: str = SCENE) -> list[str]:
    return ["run", "-c", "classical", "-s", source, "-q", QUERY, "-o", os.fspath(folder), *more]


def frames_of(video: Path) -> int:
    with av.open(str(video)) as container:
        return sum(1 for _ in container.decode(video=0))


# Another run's folder ---------------------------------------------------------------------------


def test_another_runs_folder_is_refused_in_one_line(streamseg: Call, earlier: Path) -> None:
    before = content(earlier)
    code, out, err = streamseg(*run(earlier))
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "masks.jsonl, overlay.mp4 and 8 pictures in masks" in err
    assert "give another folder, or --overwrite" in err
    assert content(earlier) == before


def test_overwrite_replaces_the_run_as_a_whole_and_nothing_else(
    streamseg: Call, earlier: Path
) -> None:
    code, out, err = streamseg(*run(earlier, "--overwrite", "--set", "sinks.overlay=false"))
    assert (code, err) == (0, "")
    assert sorted(content(earlier)) == ["masks.jsonl", "note.txt", "summary.json"]
    assert len(list(read_masks(earlier / "masks.jsonl"))) == 40
    assert json.loads((earlier / "summary.json").read_text())["frames"] == 40
    assert f"wrote {earlier / 'masks.jsonl'}, {earlier / 'summary.json'}\n" in out


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--source", "/no/such/clip.mp4"], 2),
        (["--source", "garbage.mp4"], 1),
        (["--source", "/dev/video77"], 1),
        (["--source", "synthetic:easy?seed=x"], 2),
        (["--query", ""], 2),
        (["--config", "clasical"], 2),
    ],
)
def test_a_run_without_a_frame_leaves_the_earlier_one_whole(
    streamseg: Call,
    earlier: Path,
    words: list[str],
    code: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(earlier.parent)
    Path("garbage.mp4").write_bytes(b"not a video" * 100)
    before = content(earlier)
    assert streamseg(*run(earlier, "--overwrite", *words))[0] == code
    assert content(earlier) == before


def test_a_folder_is_not_left_behind_by_a_run_without_a_frame(
    streamseg: Call, tmp_path: Path
) -> None:
    (tmp_path / "garbage.mp4").write_bytes(b"not a video" * 100)
    code, _, _ = streamseg(*run(tmp_path / "a" / "b", source=str(tmp_path / "garbage.mp4")))
    assert code == 1
    assert not (tmp_path / "a").exists()


# The source -------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["out/overlay.mp4", "link.mp4", "hard.mp4", "out/masks"])
def test_the_source_is_never_written_over(
    streamseg: Call, earlier: Path, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(earlier.parent)
    Path("link.mp4").symlink_to("out/overlay.mp4")
    Path("hard.mp4").hardlink_to("out/overlay.mp4")
    before = content(earlier)
    code, out, err = streamseg(*run("out", "--overwrite", source=source))
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert f"the source {source}" in err
    assert "is among the results to replace" in err
    assert content(earlier) == before


def test_a_source_beside_the_results_may_stay_there(streamseg: Call, earlier: Path) -> None:
    clip = earlier / "clip.mp4"
    clip.write_bytes((earlier / "overlay.mp4").read_bytes())
    before = clip.read_bytes()
    code, _, _ = streamseg(*run(earlier, "--overwrite", "--max-frames", "3", source=str(clip)))
    assert code == 0
    assert clip.read_bytes() == before
    assert frames_of(earlier / "overlay.mp4") == 3


# Odd folders ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--overwrite"], "--overwrite needs --output"),
        (["--output", ""], "--output: expected a path, got an empty one"),
    ],
)
def test_wrong_usage_of_outputs_is_exit_code_2(
    streamseg: Call, words: list[str], told: str
) -> None:
    code, out, err = streamseg("run", "-c", "classical", "-s", SCENE, "-q", QUERY, *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert told in err


@pytest.mark.parametrize("name", [b"sp ace", b"\xff\xfe", "rot 红".encode(), b"new\nline", b"-x"])
def test_a_folder_may_have_any_name(streamseg: Call, tmp_path: Path, name: bytes) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
    code, out, err = streamseg(*run(folder, "--max-frames", "3"))
    assert (code, err) == (0, "")
    assert out.endswith("summary.json\n")
    assert sorted(content(folder)) == ["masks.jsonl", "overlay.mp4", "summary.json"]
    assert frames_of_bytes(content(folder)["overlay.mp4"], tmp_path) == 3


def frames_of_bytes(video: bytes, tmp_path: Path) -> int:
    (tmp_path / "copy.mp4").write_bytes(video)
    return frames_of(tmp_path / "copy.mp4")


# Disks that fill up -----------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 100 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", os.fspath(folder)],
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        pytest.skip("this system has no mount")
    if mounted.returncode:
        pytest.skip(f"mounting a small disk is not permitted: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", os.fspath(folder)], check=True)


def test_a_full_disk_ends_the_run_with_what_is_whole(streamseg: Call, small_disk: Path) -> None:
    out_folder = small_disk / "out"
    code, out, err = streamseg(*run(out_folder, source=LONG))
    assert code == 1
    *_, last = err.splitlines()
    masks = [record["frame"] for record in read_masks(out_folder / "masks.jsonl")]
    assert (out_folder / "masks.jsonl").read_bytes().endswith(b"\n")
    assert f"masks failed (No space left on device; whole up to frame {masks[-1]})" in last
    assert masks == list(range(len(masks)))
    shown = frames_of(out_folder / "overlay.mp4")
    assert f"overlay failed (No space left on device; whole up to frame {shown - 1})" in last
    summary = json.loads((out_folder / "summary.json").read_text())
    assert summary["frames"] < 400
    for name, written in (("masks", len(masks)), ("overlay", shown)):
        told = summary["sinks"][name]
        assert told["error"] == "No space left on device"
        assert (told["written"], told["last_frame"]) == (written, written - 1)
        assert told["written"] + told["dropped"] == summary["frames"]
    assert f"masks.jsonl (up to frame {masks[-1]})" in out


def test_a_disk_that_is_full_already_is_refused_before_the_first_frame(
    streamseg: Call, small_disk: Path
) -> None:
    with pytest.raises(OSError, match="No space"):
        (small_disk / "filler").write_bytes(bytes(200_000))
    code, out, err = streamseg(*run(small_disk / "out"))
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "No space left on device" in err
    assert [path.name for path in small_disk.iterdir()] == ["filler"]


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (25_000, 25_000))
from streamseg import cli
cli.main(sys.argv[1:])
"""


def test_one_file_that_cannot_grow_costs_no_other(tmp_path: Path) -> None:
    """A limit on the size of files is a full disk for whoever may not mount one."""
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, *run(tmp_path / "out")],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 1
    shown = frames_of(tmp_path / "out" / "overlay.mp4")
    assert 0 < shown < 40
    assert done.stderr.splitlines()[-1] == (
        "streamseg: not everything could be written: "
        f"overlay failed (File too large; whole up to frame {shown - 1})"
    )
    assert len(list(read_masks(tmp_path / "out" / "masks.jsonl"))) == 40
    told = json.loads((tmp_path / "out" / "summary.json").read_text())["sinks"]
    assert told["overlay"]["error"] == "File too large"
    assert told["masks"] == {"written": 40, "dropped": 0, "error": None}
