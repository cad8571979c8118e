"""Refuses pictures that are larger than is allowed, from what their headers say."""

from __future__ import annotations

from streamseg.errors import SourceError


class TooLargeError(SourceError):
    """A picture of more pixels than `source.max_pixels`."""


def check_pixels(width: int, height: int, max_pixels: int | None, name: str = "it") -> None:
    """
    Args:
        max_pixels: None for any.
        name: Of what is checked, for people.

    Raises:
        TooLargeError: `width` times `height` is more than `max_pixels`.
    """
    if max_pixels is not None and width * height > max_pixels:
        raise TooLargeError(
            f"{name} is {width}x{height}, {width * height / 1e6:,.1f} megapixels: more than "
            f"source.max_pixels allows ({max_pixels / 1e6:,.1f}); give a smaller picture, or "
            f"allow more with --set source.max_pixels={width * height}"
        )
