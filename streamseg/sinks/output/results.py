"""What a run leaves in its folder, by name, and what of an earlier run is there.

Only these names are ever replaced; whatever else lies in the folder is not looked at.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from streamseg.errors import OutputError

MASKS = "masks.jsonl"
OVERLAY = "overlay.mp4"
SUMMARY = "summary.json"
SUMMARY_DRAFT = "summary.json.part"
IMAGES = "masks"

FILES = (SUMMARY, SUMMARY_DRAFT, MASKS, OVERLAY)
"""In the order in which they are removed: what says that the run was whole goes first."""
OF_SINK = {"masks": MASKS, "overlay": OVERLAY, "images": IMAGES, "summary": SUMMARY}
"""Name of a sink to what it leaves in the folder."""

_PICTURE = re.compile(r"[0-9]{6,}\.png")
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC

Inode = tuple[int, int]
"""Device and number: what stays the same over every name of one file."""


@dataclass(frozen=True, slots=True)
class EarlierRun:
    """What an earlier run left: names of files, and of pictures in `masks`. False when nothing."""

    files: tuple[str, ...] = ()
    pictures: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.files or self.pictures)

    def in_words(self) -> str:
        words = list(self.files)
        if self.pictures:
            many = len(self.pictures)
            words.append(f"{many} picture{'' if many == 1 else 's'} in {IMAGES}")
        return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))

    def inodes(self, folder: int) -> Iterator[tuple[str, Inode]]:
        """Each name with the file that it leads to, through links too; for an open `folder`."""
        for name in self.files:
            yield from _inode(name, folder)
        if self.pictures:
            with pictures_folder(folder) as pictures:
                for name in self.pictures:
                    for _, inode in _inode(name, pictures):
                        yield f"{IMAGES}/{name}", inode

    def remove(self, folder: int) -> None:
        """Remove all of it from the open `folder`; links go, what they lead to stays.

        Raises:
            OSError: Something cannot be removed.
        """
        for name in self.files:
            os.unlink(name, dir_fd=folder)
        if self.pictures:
            with pictures_folder(folder) as pictures:
                for name in self.pictures:
                    os.unlink(name, dir_fd=pictures)
            with suppress(OSError):  # unless it holds what is not a run's
                os.rmdir(IMAGES, dir_fd=folder)


def earlier_run(folder: int, path: object) -> EarlierRun:
    """Look for an earlier run's results in the open `folder`, which messages call `path`.

    Raises:
        OutputError: One of the names belongs to something that no run makes, such as a folder.
    """
    files = []
    for name in FILES:
        kind = _kind(name, folder)
        if kind is None:
            continue
        if kind not in (stat.S_IFREG, stat.S_IFLNK):
            raise OutputError(
                f"{path}/{name} is not a file, and a run would write there: "
                "move it away, or give another folder"
            )
        files.append(name)
    return EarlierRun(tuple(files), tuple(_pictures(folder)))


def check_pictures(folder: int, path: object) -> None:
    """For a run that is going to write pictures into the open `folder`, which messages call `path`.

    Raises:
        OutputError: `masks` is no folder, or holds PNG files that no run has named, and that would
            mix with this run's.
    """
    kind = _kind(IMAGES, folder)
    if kind is None:
        return
    if kind != stat.S_IFDIR:
        raise OutputError(
            f"{path}/{IMAGES} is not a folder of its own, and pictures would go there: "
            "remove it, or give another output folder"
        )
    with pictures_folder(folder) as pictures:
        names = os.listdir(pictures)
    foreign = [n for n in names if n.lower().endswith(".png") and not _PICTURE.fullmatch(n)]
    if foreign:
        raise OutputError(
            f"{path}/{IMAGES} holds PNG files that are not a run's, such as {min(foreign)}, and "
            "would mix with this run's: move them, or give another output folder"
        )


@contextmanager
def pictures_folder(folder: int) -> Iterator[int]:
    """The folder of pictures, open; never one that a link leads to."""
    opened = os.open(IMAGES, _DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
    try:
        yield opened
    finally:
        os.close(opened)


def inodes_of(paths: Iterable[str]) -> Iterator[tuple[Inode, str]]:
    """The files that `paths` lead to; those that are not there are left out."""
    for path in paths:
        try:
            found = os.stat(path)
        except (OSError, ValueError):
            continue
        yield (found.st_dev, found.st_ino), path


def inodes_open_here() -> set[Inode]:
    """The files that this process has open, where the system tells: a source that is being read
    is one of them, whatever reads it."""
    try:
        names = os.listdir("/proc/self/fd")
    except OSError:
        return set()
    return {inode for inode, _ in inodes_of(f"/proc/self/fd/{name}" for name in names)}


def _pictures(folder: int) -> list[str]:
    if _kind(IMAGES, folder) != stat.S_IFDIR:  # a link is not followed, so nothing lies there
        return []
    with pictures_folder(folder) as pictures:
        return sorted(name for name in os.listdir(pictures) if _PICTURE.fullmatch(name))


def _kind(name: str, folder: int) -> int | None:
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    return stat.S_IFMT(found.st_mode)


def _inode(name: str, folder: int) -> Iterator[tuple[str, Inode]]:
    try:
        found = os.stat(name, dir_fd=folder)
    except OSError:  # a link to nowhere
        return
    yield name, (found.st_dev, found.st_ino)
