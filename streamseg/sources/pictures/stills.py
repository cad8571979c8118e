"""Reads one image file, all its pages or frames, into RGB; checks its size before it is decoded.

Pillow knows formats, frames and metadata; OpenCV decodes plain JPEG faster, and 16 bits a channel.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image as Pillow
from PIL import ImageCms, ImageOps, UnidentifiedImageError

from streamseg.sources.pictures.depth import Depth
from streamseg.sources.pictures.ground import on_ground
from streamseg.sources.pictures.limits import TooLargeError, check_pixels
from streamseg.sources.pictures.upright import from_exif, turned
from streamseg.types import Image

Tell = Callable[[str, str], None]

_ORIENTATION = 0x0112
_SUBFILE_TYPE = 254
_REDUCED = 1  # bit of the subfile type: a smaller copy of another page
_SHORTEST_MS = 10.0  # as browsers do, what claims to be this short or shorter ...
_BROWSERS_MS = 100.0  # ... is shown for this long
_DEEP_MODES = frozenset({"I", "F", "I;16", "I;16B", "I;16L", "I;16N"})
_limit = threading.Lock()


class UnreadableError(Exception):
    """The file is no picture that can be read; the message says why."""


class Still(NamedTuple):
    """One page or frame: (H, W, 3) uint8 RGB, and how long it is shown where the file says."""

    image: Image
    seconds: float | None


class StillReader:
    """Reads the image files of one source."""

    def __init__(self, max_pixels: int, tell: Tell) -> None:
        """
        Args:
            max_pixels: A larger picture is refused before it is decoded.
            tell: Called with a kind and a message where a picture is not shown just as it is.
        """
        self._max_pixels = max_pixels
        self._tell = tell
        self._depth = Depth(tell)
        self._told_of_first = False

    def read(self, path: str, name: str) -> Iterator[Still]:
        """Every page or frame in order, each decoded when it is asked for.

        Args:
            name: Of the file, for people.

        Raises:
            UnreadableError: It is no picture, is damaged, or larger than allowed; what was read
                before stays good.
        """
        try:
            with open(path, "rb") as file:
                encoded = file.read()
            with _opened(encoded) as picture:
                yield from self._frames(picture, encoded, name)
        except GeneratorExit:
            raise
        except TooLargeError as error:
            raise UnreadableError(str(error)) from None
        except MemoryError:
            raise UnreadableError("there is not enough memory to decode it") from None
        except Exception as error:  # noqa: BLE001 - decoders of hostile files raise what they like
            raise UnreadableError(_words(error)) from None

    def count(self, path: str) -> int:
        """Pages or frames of a file that can be read; 1 where that cannot be told."""
        try:
            with open(path, "rb") as file, _opened(file.read()) as picture:
                return len(_pages(picture))
        except Exception:  # noqa: BLE001 - what is wrong shows when it is read
            return 1

    def _frames(self, picture: Pillow.Image, encoded: bytes, name: str) -> Iterator[Still]:
        check_pixels(*picture.size, self._max_pixels)
        pages = _pages(picture)
        if picture.format == "MPO":
            self._say_only_first(name, getattr(picture, "n_frames", 1))
        for page in pages:
            if page:
                picture.seek(page)
                check_pixels(*picture.size, self._max_pixels)
            if _reduced(picture):
                continue
            image = self._decoded(picture, encoded, page)
            yield Still(image, _seconds(picture) if len(pages) > 1 else None)

    def _say_only_first(self, name: str, count: int) -> None:
        if not self._told_of_first:
            self._told_of_first = True
            self._tell("pages", f"{name}: only the first of {count} views in the file is read")

    def _decoded(self, picture: Pillow.Image, encoded: bytes, page: int) -> Image:
        if picture.mode in _DEEP_MODES:
            return self._grey(_upright(picture))
        if _sixteen_bits(picture):
            return self._deep(picture, encoded, page)
        profile = picture.info.get("icc_profile")
        if picture.format in ("JPEG", "MPO") and picture.mode in ("RGB", "L") and not profile:
            return _plain_jpeg(picture, encoded)
        upright = _upright(picture)
        if upright.has_transparency_data:
            rgba = _as_srgb(upright.convert("RGBA"), profile)
            return on_ground(np.asarray(rgba, np.uint8))
        return np.array(_as_srgb(upright, profile).convert("RGB"), np.uint8, order="C")

    def _grey(self, picture: Pillow.Image) -> Image:
        values = np.asarray(picture)
        fits = values.dtype.kind in "iu" and values.size and 0 <= values.min() <= values.max()
        if fits and values.max() < 2**16:
            grey = self._depth.of_words(values.astype(np.uint16))
        else:
            grey = self._depth.of_numbers(values)
        return np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), np.uint8)

    def _deep(self, picture: Pillow.Image, encoded: bytes, page: int) -> Image:
        """Colour of 16 bits a channel, which Pillow would cut to its upper eight."""
        orientation = picture.getexif().get(_ORIENTATION)
        buffer = np.frombuffer(encoded, np.uint8)
        flags = cv2.IMREAD_UNCHANGED
        found, pages = cv2.imdecodemulti(buffer, flags, range=(page, page + 1))
        if not found or pages[0].dtype != np.uint16 or pages[0].ndim != 3:
            return np.array(_upright(picture).convert("RGB"), np.uint8, order="C")
        words = pages[0]
        clear = words.shape[2] == 4
        colours = cv2.cvtColor(words, cv2.COLOR_BGRA2RGB if clear else cv2.COLOR_BGR2RGB)
        image = self._depth.of_words(np.asarray(colours, np.uint16))
        if clear:
            alpha = cv2.convertScaleAbs(words[..., 3], alpha=255 / 65_535)
            image = on_ground(np.dstack([image, alpha]))
        # OpenCV lays a TIFF upright itself.
        return image if picture.format == "TIFF" else turned(image, from_exif(orientation))


@contextmanager
def _opened(encoded: bytes) -> Iterator[Pillow.Image]:
    """Pillow's picture, its header read and no more. Sizes are checked by us, against our limit."""
    with _without_pillows_limit():
        picture = Pillow.open(io.BytesIO(encoded))
    with picture:
        yield picture


@contextmanager
def _without_pillows_limit() -> Iterator[None]:
    with _limit:
        limit, Pillow.MAX_IMAGE_PIXELS = Pillow.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Pillow.MAX_IMAGE_PIXELS = limit


def _pages(picture: Pillow.Image) -> range:
    """Which pages are pictures of the sequence."""
    count = getattr(picture, "n_frames", 1)
    if picture.format == "MPO":  # another eye, a depth map: not another moment
        return range(1)
    # An APNG may carry a picture for those who cannot show the animation.
    return range(1 if getattr(picture, "default_image", False) and count > 1 else 0, count)


def _reduced(picture: Pillow.Image) -> bool:
    tags = getattr(picture, "tag_v2", None)
    return bool(tags is not None and tags.get(_SUBFILE_TYPE, 0) & _REDUCED)


def _seconds(picture: Pillow.Image) -> float | None:
    shown_ms = picture.info.get("duration")
    if shown_ms is None:
        return None
    return (float(shown_ms) if shown_ms > _SHORTEST_MS else _BROWSERS_MS) / 1e3


def _sixteen_bits(picture: Pillow.Image) -> bool:
    tiles = getattr(picture, "tile", None) or ()
    arguments = " ".join(str(argument) for tile in tiles for argument in tile[1:])
    return picture.format in ("PNG", "TIFF") and ";16" in arguments


def _upright(picture: Pillow.Image) -> Pillow.Image:
    picture.load()
    return ImageOps.exif_transpose(picture)


def _plain_jpeg(picture: Pillow.Image, encoded: bytes) -> Image:
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    image = cv2.imdecode(np.frombuffer(encoded, np.uint8), flags)
    if image is None:
        raise UnreadableError("its picture does not decode")
    rgb = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=image), np.uint8)
    return turned(rgb, from_exif(picture.getexif().get(_ORIENTATION)))


def _as_srgb(picture: Pillow.Image, profile: bytes | None) -> Pillow.Image:
    """The picture in sRGB's colours, by its ICC profile where that says something else."""
    if profile is None or picture.mode not in ("RGB", "RGBA", "CMYK", "LAB"):
        return picture
    mode = "RGBA" if picture.mode == "RGBA" else "RGB"
    try:
        transform = _transform(profile, picture.mode, mode)
        return picture if transform is None else _applied(transform, picture)
    except (ImageCms.PyCMSError, OSError, ValueError):  # a broken profile: as if there were none
        return picture


def _applied(transform: ImageCms.ImageCmsTransform, picture: Pillow.Image) -> Pillow.Image:
    shown = ImageCms.applyTransform(picture, transform)
    return picture if shown is None else shown


@lru_cache(maxsize=4)
def _transform(profile: bytes, mode: str, shown: str) -> ImageCms.ImageCmsTransform | None:
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    if mode in ("RGB", "RGBA") and "srgb" in ImageCms.getProfileDescription(source).lower():
        return None
    return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, shown)


def _words(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "it is no picture, or of a kind that is not read here"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split()) or type(error).__name__
