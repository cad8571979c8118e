"""Finds out which hardware decoders this machine really has; decodes nothing."""

from __future__ import annotations

import functools

from av.codec import Codec
from av.codec.hwaccel import HWAccel, hwdevices_available
from av.error import FFmpegError

_PREFERRED = ("cuda", "videotoolbox", "d3d11va", "vaapi", "qsv", "drm", "amf")
_PROBE_CODEC = "h264"


@functools.cache
def hardware_device() -> str | None:
    """Name of the best device that can be opened here, None where there is none."""
    built_in = set(hwdevices_available())
    return next((name for name in _PREFERRED if name in built_in and _opens(name)), None)


def _opens(name: str) -> bool:
    try:
        HWAccel(name, allow_software_fallback=False).create(Codec(_PROBE_CODEC, "r"))
    except (FFmpegError, OSError, RuntimeError, NotImplementedError, ValueError):
        return False
    return True
