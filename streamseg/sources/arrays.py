"""A caller's picture: checked, copied, its channels in RGB; knows nothing of where it came from."""

from __future__ import annotations

from typing import Any, Literal

import cv2
import numpy as np

from streamseg.errors import UsageError
from streamseg.types import Image

Order = Literal["rgb", "bgr"]
"""Of an array's channels; OpenCV's own is "bgr"."""

_ORDERS: tuple[Order, ...] = ("rgb", "bgr")


def checked_order(order: object) -> Order:
    """
    Raises:
        UsageError: It is neither "rgb" nor "bgr".
    """
    for known in _ORDERS:
        if isinstance(order, str) and order == known:
            return known
    raise UsageError(f'order: expected "rgb" or "bgr", got {order!r}')


def checked_image(image: object, order: Order, where: str, *, copy: bool = True) -> Image:
    """`image` as (H, W, 3) uint8 RGB, C-contiguous.

    Args:
        where: Begins the error's line, such as "frame 3".
        copy: Also where it is that already, for whoever gave it may write to it again.

    Raises:
        UsageError: It is no (H, W, 3) uint8 array, or has no pixel; says what came and what to do.
    """
    if not isinstance(image, np.ndarray):
        raise UsageError(f"{where}: {_expected(order)}, got {_named(image)}{_cure_of_type(image)}")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        got = f"{image.dtype} of shape {image.shape}"
        raise UsageError(f"{where}: {_expected(order)}, got {got}{_cure(image)}")
    if order == "bgr":
        # OpenCV takes some strided arrays and refuses others.
        turned = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_BGR2RGB)
        return np.asarray(turned, np.uint8)
    if copy:
        return np.array(image, np.uint8, order="C", copy=True, subok=False)
    return np.ascontiguousarray(image)


def checked_pts(pts_ns: object, where: str) -> int | None:
    """A presentation time as a plain int, or None.

    Raises:
        UsageError: It is no whole number of nanoseconds.
    """
    if pts_ns is None:
        return None
    if isinstance(pts_ns, int | np.integer) and not isinstance(pts_ns, bool):
        value = int(pts_ns)
        if abs(value) < 2**63:
            return value
    raise UsageError(
        f"{where}: expected pts_ns as whole nanoseconds (int, of 64 bits) or None, got "
        f"{pts_ns!r:.60}; from seconds: round(seconds * 1e9)"
    )


def _expected(order: Order) -> str:
    return f"expected a (height, width, 3) uint8 array in {order.upper()} order"


def _cure(image: np.ndarray[Any, Any]) -> str:
    """What would make an array a picture: the first thing that is wrong with it."""
    if not image.size:
        return ": it has no pixel; check that the camera gave a picture"
    if image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 1):
        return "; from grey: cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)"
    if image.ndim == 4:
        return "; a batch: give its pictures one by one"
    if image.ndim == 3 and image.shape[0] == 3 and image.shape[2] != 3:
        return "; channels come last: image.transpose(1, 2, 0)"
    if image.ndim == 3 and image.shape[2] == 4:
        return "; without its alpha: image[..., :3]"
    if image.ndim == 3 and image.shape[2] == 3 and image.dtype.kind == "f":
        return "; from values in 0..1: (image * 255).round().astype(np.uint8)"
    if image.ndim == 3 and image.shape[2] == 3 and image.dtype == np.uint16:
        return "; from 16 bits: (image >> 8).astype(np.uint8)"
    if image.ndim == 3 and image.shape[2] == 3 and image.dtype.kind in "iuO":
        return "; from values in 0..255: image.astype(np.uint8)"
    return ""


def _cure_of_type(image: object) -> str:
    if image is None:
        return ": check that the camera gave a picture"
    if isinstance(image, str | bytes):
        return "; to read files, run() takes a path, a folder or a glob"
    if hasattr(image, "__array__") or hasattr(image, "__array_interface__"):
        return "; give np.asarray(image)"
    return ""


def _named(value: object) -> str:
    kind = type(value)
    name = kind.__qualname__ if kind.__module__ == "builtins" else _full_name(kind)
    return "None" if value is None else f"a {name}"


def _full_name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
