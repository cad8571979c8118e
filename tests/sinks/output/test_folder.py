"""A run's folder is looked at before it is touched, and nothing but a run's own files ever goes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamseg.errors import OutputError
from streamseg.sinks.output.folder import OutputFolder

NOBODY = 65534


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    """A folder with an earlier run's results, and what is its owner's."""
    return fill(tmp_path / "out")


@pytest.fixture
def nobodys() -> Iterator[Path]:
    """A folder, and no right to write elsewhere: root's are put down meanwhile."""
    folder, root = Path(tempfile.mkdtemp()), os.geteuid() == 0
    if root:
        os.chown(folder, NOBODY, NOBODY)
        os.seteuid(NOBODY)
    try:
        yield folder
    finally:
        if root:
            os.seteuid(0)
        for inner in (folder, *folder.glob("**/")):
            inner.chmod(0o700)
        shutil.rmtree(folder)


def fill(folder: Path) -> Path:
    (folder / "masks").mkdir(parents=True)
    for name in (
        "summary.json",
        "masks.jsonl",
        "overlay.mp4",
        "masks/000000.png",
        "masks/note.txt",
    ):
        (folder / name).write_text(f"old {name}")
    (folder / "clip.mp4").write_text("mine")
    return folder


def content(folder: Path) -> dict[str, str]:
    """Every file in it by name; where links lead to, for links."""
    return {
        str(path.relative_to(folder)): f"-> {os.readlink(path)}"
        if path.is_symlink()
        else path.read_text("utf-8", "replace")
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


def put(folder: OutputFolder, name: str, text: str = "new") -> None:
    with folder.create(name) as file:
        file.write(text.encode())


# An earlier run ---------------------------------------------------------------------------------


def test_an_earlier_runs_results_are_refused_and_named(earlier: Path) -> None:
    before = content(earlier)
    told = (
        r"summary\.json, masks\.jsonl, overlay\.mp4 and 1 picture in masks\): give another folder"
    )
    with pytest.raises(OutputError, match=told):
        OutputFolder(earlier).examine()
    with pytest.raises(OutputError, match="--overwrite"):
        OutputFolder(earlier).claim(object())
    assert content(earlier) == before


@pytest.mark.parametrize("name", ["summary.json", "masks.jsonl", "overlay.mp4", "masks/123456.png"])
def test_any_part_of_an_earlier_run_is_one(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("old")
    with pytest.raises(OutputError, match="holds the results of another run"):
        OutputFolder(tmp_path).examine()


@pytest.mark.parametrize("name", ["clip.mp4", "notes.txt", "masks/00000.png", "masks/a.jpg"])
def test_other_files_are_no_results(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    OutputFolder(tmp_path).examine()


def test_overwriting_waits_for_the_first_result_and_takes_the_whole_run(earlier: Path) -> None:
    before, sink = content(earlier), object()
    folder = OutputFolder(earlier, overwrite=True)
    folder.examine()
    folder.claim(sink)
    assert content(earlier) == before
    put(folder, "masks.jsonl")
    folder.release(sink)
    assert content(earlier) == {
        "clip.mp4": "mine",
        "masks/note.txt": "old masks/note.txt",
        "masks.jsonl": "new",
    }


def test_without_a_result_the_earlier_run_stays_whole(earlier: Path) -> None:
    before, sink = content(earlier), object()
    folder = OutputFolder(earlier, overwrite=True)
    folder.claim(sink)
    folder.release(sink)
    assert content(earlier) == before


def test_what_cannot_be_taken_away_fails_for_every_sink(earlier: Path) -> None:
    folder = OutputFolder(earlier, overwrite=True)
    folder.claim(self := object())
    (earlier / "overlay.mp4").unlink()  # somebody else was quicker
    for _ in range(2):
        with pytest.raises(FileNotFoundError):
            folder.begin()
    folder.release(self)


# The source -------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["itself", "link", "hard link", "link to the folder"])
def test_the_source_is_never_among_what_is_replaced(earlier: Path, way: str) -> None:
    overlay, source = earlier / "overlay.mp4", earlier.parent / "source.mp4"
    if way == "itself":
        source = overlay
    elif way == "link":
        source.symlink_to(overlay)
    elif way == "hard link":
        source.hardlink_to(overlay)
    else:
        (earlier.parent / "elsewhere").symlink_to(earlier)
        source = earlier.parent / "elsewhere" / "overlay.mp4"
    before = content(earlier)
    with pytest.raises(OutputError, match=r"source .* is among the results to replace"):
        OutputFolder(earlier, overwrite=True).claim(object(), [str(source)])
    assert content(earlier) == before


def test_a_source_of_pictures_is_not_replaced_either(earlier: Path) -> None:
    with pytest.raises(OutputError, match=r"to replace \(.*masks/000000\.png\)"):
        OutputFolder(earlier, overwrite=True).claim(
            object(), [str(earlier / "masks" / "000000.png")]
        )


@pytest.mark.skipif(
    not os.path.isdir("/proc/self/fd"), reason="the system does not tell open files"
)
def test_a_file_that_this_program_has_open_is_not_replaced(earlier: Path) -> None:
    """As by a GStreamer pipeline, whose files nobody tells."""
    with (
        open(earlier / "overlay.mp4", "rb"),
        pytest.raises(OutputError, match="a file open here is among the results"),
    ):
        OutputFolder(earlier, overwrite=True).claim(object())


def test_a_source_beside_the_results_is_no_obstacle(earlier: Path) -> None:
    folder, sink = OutputFolder(earlier, overwrite=True), object()
    folder.claim(sink, [str(earlier / "clip.mp4"), "/no/such/file", "a\0b"])
    folder.begin()
    folder.release(sink)
    assert (earlier / "clip.mp4").read_text() == "mine"


# Links ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["masks.jsonl", "overlay.mp4", "summary.json", "summary.json.part"]
)
@pytest.mark.parametrize("dangling", [False, True])
def test_a_link_is_replaced_itself_and_never_written_through(
    tmp_path: Path, name: str, dangling: bool
) -> None:
    victim, out = tmp_path / "victim", tmp_path / "out"
    out.mkdir()
    if not dangling:
        victim.write_text("precious")
    (out / name).symlink_to(victim)
    with pytest.raises(OutputError, match="holds the results"):
        OutputFolder(out).claim(object())
    folder, sink = OutputFolder(out, overwrite=True), object()
    folder.claim(sink)
    put(folder, name)
    folder.release(sink)
    assert content(out) == {name: "new"}
    assert victim.exists() is not dangling
    assert dangling or victim.read_text() == "precious"


def test_a_link_that_comes_later_is_not_written_through_either(tmp_path: Path) -> None:
    folder, sink = OutputFolder(tmp_path / "out"), object()
    folder.claim(sink)
    (tmp_path / "out" / "masks.jsonl").symlink_to(tmp_path / "victim")
    with pytest.raises(FileExistsError):
        folder.create("masks.jsonl")
    (tmp_path / "out" / "masks").symlink_to(tmp_path)
    with pytest.raises(OSError, match="masks"):
        folder.subfolder("masks")
    folder.release(sink)
    assert not (tmp_path / "victim").exists()


def test_pictures_do_not_go_where_a_link_leads(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "000000.png").write_text("precious")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "masks").symlink_to(tmp_path / "elsewhere")
    folder, sink = OutputFolder(tmp_path / "out", overwrite=True), object()
    folder.claim(sink)
    with pytest.raises(OutputError, match="is not a folder of its own"):
        folder.check_pictures()
    folder.begin()
    folder.release(sink)
    assert (tmp_path / "elsewhere" / "000000.png").read_text() == "precious"


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_what_no_run_makes_is_not_replaced(tmp_path: Path, kind: str, overwrite: bool) -> None:
    if kind == "folder":
        (tmp_path / "overlay.mp4").mkdir()
    else:
        os.mkfifo(tmp_path / "overlay.mp4")
    with pytest.raises(OutputError, match=r"overlay\.mp4 is not a file"):
        OutputFolder(tmp_path, overwrite).claim(object())


# One run at a time ------------------------------------------------------------------------------


def test_another_run_is_refused_until_the_last_sink_lets_go(tmp_path: Path) -> None:
    first, second, a, b = OutputFolder(tmp_path), OutputFolder(tmp_path, True), object(), object()
    first.claim(a)
    first.claim(b)
    first.claim(b)
    first.release(a)
    for refused in (second.examine, lambda: second.claim(a)):
        with pytest.raises(OutputError, match="another run is writing to"):
            refused()
    first.release(b)
    second.examine()
    second.claim(a)
    second.release(a)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_nobody_released_is_free_once_forgotten(tmp_path: Path) -> None:
    folder = OutputFolder(tmp_path)
    folder.claim(object())
    del folder
    OutputFolder(tmp_path).examine()


HOLDER = """
import sys
from streamseg.sinks.output.folder import OutputFolder
folder = OutputFolder(sys.argv[1])
folder.claim(folder)
folder.create("masks.jsonl").close()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def held(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that holds the folder `out`."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, os.fspath(tmp_path / "out")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_killed_runs_lock_goes_with_it(held: subprocess.Popen[bytes], tmp_path: Path) -> None:
    (tmp_path / "by another name").symlink_to(tmp_path / "out")
    folder = OutputFolder(tmp_path / "by another name", overwrite=True)
    with pytest.raises(OutputError, match="another run is writing to"):
        folder.claim(folder)
    held.kill()
    held.wait()
    folder.claim(folder)
    folder.release(folder)


# Places -----------------------------------------------------------------------------------------


def test_a_folder_is_made_when_claimed_and_gone_when_nothing_came(tmp_path: Path) -> None:
    folder, sink = OutputFolder(tmp_path / "a" / "b" / "c"), object()
    folder.examine()
    assert list(tmp_path.iterdir()) == []
    folder.claim(sink)
    assert (tmp_path / "a" / "b" / "c").is_dir()
    folder.release(sink)
    assert list(tmp_path.iterdir()) == []


def test_dots_and_a_later_change_of_folder_mean_the_same_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder, sink = OutputFolder("missing/../out"), object()
    folder.claim(sink)
    monkeypatch.chdir("/")
    put(folder, "masks.jsonl")
    folder.release(sink)
    assert content(tmp_path) == {"out/masks.jsonl": "new"}


@pytest.mark.parametrize(
    "name", ["sp ace  s", "ünïcødé 红", "new\nline", "-o", "a'b\"c", "%d", "[x]*"]
)
def test_odd_names_are_names(tmp_path: Path, name: str) -> None:
    folder, sink = OutputFolder(tmp_path / name), object()
    folder.claim(sink)
    put(folder, "masks.jsonl")
    folder.release(sink)
    assert content(tmp_path) == {f"{name}/masks.jsonl": "new"}


def test_a_name_of_odd_bytes_is_a_name_and_shows_as_text(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\x1b[31m"))
    folder, sink = OutputFolder(path), object()
    folder.claim(sink)
    put(folder, "masks.jsonl")
    folder.release(sink)
    with pytest.raises(OutputError, match="holds the results") as told:
        OutputFolder(path).examine()
    assert str(told.value).isprintable()


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("file", "Not a directory"),
        ("file/out", "is not a folder|Not a directory"),
        ("loop/out", "loop|Symlink"),
        ("x" * 300, "File name too long"),
        ("a\0b", "null"),
        ("a\ud800b", "surrogates"),
    ],
)
def test_what_cannot_be_a_folder_is_one_line(tmp_path: Path, path: str, why: str) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "loop").symlink_to("loop")
    folder = OutputFolder(tmp_path / path)
    for refused in (folder.examine, lambda: folder.claim(folder)):
        with pytest.raises(
            OutputError, match=f"cannot write to the output folder .*({why})"
        ) as told:
            refused()
        assert str(told.value).isprintable()
    assert (tmp_path / "file").read_text() == "mine"


def test_a_folder_that_may_not_be_written_is_refused(nobodys: Path) -> None:
    out = nobodys / "out"
    out.mkdir(mode=0o500)
    for path in (out, out / "new" / "folder"):
        for refused in (OutputFolder(path).examine, lambda path=path: OutputFolder(path).claim(0)):
            with pytest.raises(OutputError, match=r"not writable|Permission denied"):
                refused()


def test_pictures_that_may_not_be_removed_are_refused_before_anything_goes(nobodys: Path) -> None:
    out = fill(nobodys / "out")
    before = content(out)
    (out / "masks").chmod(0o500)
    with pytest.raises(OutputError, match="masks is not writable"):
        OutputFolder(out, overwrite=True).claim(object())
    assert content(out) == before
