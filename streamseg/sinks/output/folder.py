"""The output folder of one run: looked at first, locked, and changed only from its first result on.

Knows nothing of sinks but that several share it. All names are taken relative to the open folder,
and none is written through a link: files are made anew or not at all.
"""

from __future__ import annotations

import errno
import os
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from io import FileIO
from pathlib import Path

from streamseg.errors import OutputError
from streamseg.sinks.output import results
from streamseg.sinks.output.files import as_text, reason_of
from streamseg.sinks.output.lock import lock
from streamseg.sinks.output.results import EarlierRun

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
"""Made by this very call, or not at all; never through a link."""
_PROBE_BYTES = 4096
_TRIES = 3


class OutputFolder:
    """A folder that the sinks of one run write to, and nobody else meanwhile.

    `claim` locks it and looks, `begin` takes an earlier run's results away, the last `release`
    unlocks it. A run that ends before its first result leaves the folder as it was.
    Any thread may call any method.

    Args:
        path: Made, with its parents, when it is claimed.
        overwrite: Replace the results of an earlier run instead of refusing them.
    """

    def __init__(self, path: Path | str, overwrite: bool = False) -> None:
        self._descriptors: list[int] = []
        self._path = Path(path)
        self._named = as_text(self._path)
        self._overwrite = overwrite
        self._guard = threading.RLock()
        self._owners: set[int] = set()
        self._made: list[Path] = []
        self._earlier = EarlierRun()
        self._begun = False
        self._failure: OSError | None = None

    def examine(self) -> None:
        """Say early what `claim` would refuse, without making or locking anything for longer.

        Raises:
            OutputError: As `claim`.
        """
        place = self._resolved()
        try:
            if not place.exists():
                _check_can_make(place)
                return
            folder = os.open(place, _DIRECTORY)
        except OSError as error:
            raise self._unusable(error) from None
        try:
            extra = lock(folder, self._named)
            if extra is not None:
                os.close(extra)
            self._look(folder, place)
        except OSError as error:
            raise self._unusable(error) from None
        finally:
            os.close(folder)

    def claim(self, owner: object, reads: Sequence[str] = ()) -> None:
        """Make and lock the folder for `owner`, together with who else has claimed it.

        Args:
            reads: Files that the run reads, which must not be among those it would replace.

        Raises:
            OutputError: It cannot be made or written, another run writes to it, it holds an
                earlier run's results and `overwrite` is not set, or the source is among them.
        """
        with self._guard:
            if not self._owners:
                self._take(reads)
            self._owners.add(id(owner))

    def release(self, owner: object) -> None:
        """Undo `owner`'s claim; with the last one the lock goes, and folders made for nothing."""
        with self._guard:
            if id(owner) not in self._owners:
                return
            self._owners.discard(id(owner))
            if not self._owners:
                self._let_go()

    @property
    def begun(self) -> bool:
        """Whether the run had a result, and so has files here."""
        return self._begun

    def begin(self) -> None:
        """Take away an earlier run's results, as a whole; does nothing the second time.

        Raises:
            OSError: One of them cannot be removed, and so every time.
        """
        with self._guard:
            if self._failure is not None:
                raise self._failure
            if self._begun:
                return
            try:
                self._earlier.remove(self._folder)
            except OSError as error:
                self._failure = error
                raise
            self._begun = True

    def create(self, name: str) -> FileIO:
        """Begin, and make the new file `name`, open for writing without a buffer.

        Raises:
            OSError: It cannot be made, or is there already: another run wrote it just now.
        """
        self.begin()
        return FileIO(os.open(name, NEW_FILE, 0o666, dir_fd=self._folder), "w")

    def subfolder(self, name: str) -> int:
        """Begin, and open the folder `name` in it, made where it is missing: a descriptor, the
        caller's to close.

        Raises:
            OSError: It cannot be made, or is a link.
        """
        self.begin()
        with suppress(FileExistsError):
            os.mkdir(name, dir_fd=self._folder)
        return os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=self._folder)

    def rename(self, name: str, to: str) -> None:
        """Give a file its final name."""
        os.rename(name, to, src_dir_fd=self._folder, dst_dir_fd=self._folder)

    def remove(self, name: str) -> None:
        """Remove a file of this run that turned out to hold nothing."""
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._folder)

    def check_pictures(self) -> None:
        """For who is going to write pictures.

        Raises:
            OutputError: `masks` is not a folder, or holds PNG files that no run made.
        """
        results.check_pictures(self._folder, self._named)

    def __del__(self) -> None:
        self._close()  # a run that nobody ended must not keep the folder locked

    @property
    def _folder(self) -> int:
        if not self._descriptors:
            raise ValueError(f"{self._named}: expected claim() before anything is written")
        return self._descriptors[0]

    def _take(self, reads: Sequence[str]) -> None:
        self._begun, self._failure = False, None
        place = self._resolved()
        try:
            for _ in range(_TRIES):
                self._made = _make(place) + self._made
                self._descriptors = [os.open(place, _DIRECTORY)]
                extra = lock(self._folder, self._named)
                if extra is not None:
                    self._descriptors.append(extra)
                if _is_still(self._folder, place):
                    break
                self._close()  # who held the lock before has removed the folder with it
            self._earlier = self._look(self._folder, place)
            self._spare_the_source(reads)
            if not self._earlier:
                _probe(place)
        except OSError as error:
            self._let_go()
            raise self._unusable(error) from None
        except BaseException:
            self._let_go()
            raise

    def _look(self, folder: int, place: Path) -> EarlierRun:
        """What is there; refused where it may not or cannot go."""
        earlier = results.earlier_run(folder, self._named)
        if earlier and not self._overwrite:
            raise OutputError(
                f"{self._named} holds the results of another run ({earlier.in_words()}): give "
                "another folder, or --overwrite to replace them (in Python overwrite=True)"
            )
        for changed in (place, place / results.IMAGES) if earlier.pictures else (place,):
            if not _may_change(changed):
                raise PermissionError(errno.EACCES, f"{changed.name} is not writable")
        return earlier

    def _spare_the_source(self, reads: Sequence[str]) -> None:
        if not self._earlier:
            return
        sources, open_here = dict(results.inodes_of(reads)), results.inodes_open_here()
        for name, inode in self._earlier.inodes(self._folder):
            if inode in sources or inode in open_here:
                what = f"the source {sources[inode]}" if inode in sources else "a file open here"
                raise OutputError(
                    f"{what} is among the results to replace ({self._named}/{name}): "
                    "copy it elsewhere first, or give another output folder"
                )

    def _unusable(self, error: OSError) -> OutputError:
        return self._refusal(reason_of(error))

    def _refusal(self, why: str) -> OutputError:
        return OutputError(
            f"cannot write to the output folder {self._named} ({why}): give another one"
        )

    def _resolved(self) -> Path:
        """Where it really lies, so that `..` and a later change of folder mean the same."""
        try:
            return self._path.resolve()
        except (OSError, RuntimeError, ValueError) as error:  # links in a circle, a NUL
            raise self._refusal(str(error)) from None

    def _let_go(self) -> None:
        self._close()
        if not self._begun:
            for folder in self._made:
                try:
                    folder.rmdir()
                except OSError:
                    break
        self._made = []

    def _close(self) -> None:
        while self._descriptors:
            os.close(self._descriptors.pop())


def _make(place: Path) -> list[Path]:
    """Make `place` and its parents; what was made, innermost first."""
    missing = []
    while not place.exists():
        missing.append(place)
        place = place.parent
    for folder in reversed(missing):
        folder.mkdir(exist_ok=True)
    return missing


def _may_change(folder: Path) -> bool:
    return os.access(
        folder, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids
    )


def _check_can_make(place: Path) -> None:
    parent = next(folder for folder in place.parents if folder.exists())
    if not parent.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, f"{parent} is not a folder")
    if not _may_change(parent):
        raise PermissionError(errno.EACCES, f"{parent} is not writable")


def _is_still(folder: int, place: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(folder), os.stat(place))
    except FileNotFoundError:
        return False


def _probe(place: Path) -> None:
    """Write a little and take it away; a disk that is full already is told of here."""
    with tempfile.TemporaryFile(dir=place, buffering=0) as file:
        file.write(bytes(_PROBE_BYTES))
