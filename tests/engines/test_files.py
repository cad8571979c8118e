"""Files whole or not at all; a lock that holds between processes and ends with its holder."""

import subprocess
import sys
import threading

import pytest

from streamseg.engines.files import locked, sweep, whole_file, write_whole
from streamseg.errors import OutputError


def test_a_file_appears_whole(tmp_path):
    write_whole(tmp_path / "new" / "file", b"content")
    assert (tmp_path / "new" / "file").read_bytes() == b"content"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["file"]


def test_an_interruption_leaves_what_was_there_before(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"before")

    def interrupted():
        with whole_file(path) as temporary:
            temporary.write_bytes(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_leaves_nothing_and_is_one_line(tmp_path):
    with (
        pytest.raises(OutputError, match=r"cannot write .*file: No space left on device"),
        whole_file(tmp_path / "file"),
        open("/dev/full", "wb", buffering=0) as full,
    ):
        full.write(b"more")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file_is_told(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="cannot write"):
        write_whole(tmp_path / "file" / "inside", b"")
    with pytest.raises(OutputError, match="cannot write"), locked(tmp_path / "file" / "lock"):
        pass


def test_threads_take_turns(tmp_path):
    inside, most = [], []

    def work():
        with locked(tmp_path / "lock"):
            inside.append(1)
            most.append(len(inside))
            inside.pop()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 8


HOLD = """
import sys, time
from pathlib import Path
from streamseg.engines.files import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_killed_holder_releases_the_lock(tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path / "lock"], stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        got = threading.Event()
        waiter = threading.Thread(target=lambda: _take(tmp_path / "lock", got), daemon=True)
        waiter.start()
        assert not got.wait(0.2)
        holder.kill()
        assert got.wait(30)
        waiter.join()


def _take(path, got):
    with locked(path):
        got.set()


def test_an_error_says_what_to_do(tmp_path):
    with (
        pytest.raises(OutputError, match="No space left on device; free some space"),
        whole_file(tmp_path / "file"),
    ):
        raise OSError(28, "No space left on device")
    (tmp_path / "taken").write_bytes(b"")
    with pytest.raises(OutputError, match="choose a folder that can be written"):
        write_whole(tmp_path / "taken" / "file", b"")


def test_what_killed_writers_left_is_swept_and_nothing_else(tmp_path):
    left = [tmp_path / ".file.abc.part", tmp_path / ".file.xyz.part"]
    kept = [tmp_path / "file", tmp_path / ".other.abc.part", tmp_path / "file.lock"]
    for path in left + kept:
        path.write_bytes(b"")
    sweep(tmp_path / "file")
    assert set(tmp_path.iterdir()) == set(kept)
    sweep(tmp_path / "nowhere" / "file")
