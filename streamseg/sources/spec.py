"""Reads the string that names a source into what it asks for; opens nothing."""

from __future__ import annotations

import glob
import os
import re
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import PurePath
from urllib.parse import quote, unquote, urlsplit

from streamseg.errors import SourceError, SourceSpecError
from streamseg.masking import legible

IMAGE_SUFFIXES = frozenset(
    {
        *(".apng", ".avif", ".bmp", ".gif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm"),
        *(".png", ".ppm", ".tga", ".tif", ".tiff", ".webp"),
    }
)
LIVE_SCHEMES = frozenset({"rtmp", "rtmps", "rtp", "rtsp", "rtsps", "srt", "tcp", "udp"})
WEB_SCHEMES = frozenset({"http", "https"})

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*)://")
_DIGITS = re.compile(r"(\d+)")
_COUNTER = re.compile(r"%(0\d+)?d")
STDIN = "-"
STDIN_PIPE = "pipe:0"  # FFmpeg's name for it


class Kind(StrEnum):
    """What a source is made of."""

    FILE = "file"
    IMAGES = "images"
    CAMERA = "camera"
    STREAM = "stream"
    WEB = "web"


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """What a spec asks for.

    Attributes:
        kind: What it is made of. Of what lies on the WEB only opening it tells whether it is a file
            or goes on for ever.
        location: What the decoder opens: a path, a device or a URL, password included.
        paths: The pictures of IMAGES in order, else empty.
        name: For people; holds no password.
    """

    kind: Kind
    location: str = field(repr=False)
    name: str
    paths: tuple[str, ...] = ()


def parse_spec(spec: str) -> SourceSpec:
    """Read a file, a folder, glob or numbered pattern of images, a camera, a URL or `-` (stdin).

    Raises:
        SourceSpecError: No such file, no image there, an unknown kind of URL, nothing at all.
        SourceError: No such camera.
    """
    spec = spec.strip()
    if "\0" in spec:
        raise SourceSpecError(f"the source {legible(spec)} holds a NUL character: no name does")
    if not spec:
        raise SourceSpecError(
            "the source is empty: give a file, a folder or glob of images, a camera such as 0, "
            "a URL such as rtsp://camera/1, gst:PIPELINE or synthetic:NAME"
        )
    if spec == STDIN:
        return _parse_stdin()
    if match := _SCHEME.match(spec):
        return _parse_url(spec, match.group(1).lower())
    if (spec.isascii() and spec.isdigit()) or spec.startswith("/dev/video"):
        return _parse_camera(spec)
    if os.path.isdir(spec):
        return _parse_images(spec, _files_in(spec), "the folder holds no image")
    if os.path.exists(spec):
        return _parse_file(spec)
    if _COUNTER.search(os.path.basename(spec)):
        return _parse_images(spec, _numbered(spec), "no image matches the pattern")
    if spec[:5].lower() == "file:":
        return _parse_file_path(spec[5:])
    if spec.startswith("~") and (home := os.path.expanduser(spec)) != spec:
        return parse_spec(home)  # no shell wrote it out, as after --source=
    if glob.has_magic(spec):
        found = [path for path in glob.glob(spec, recursive=True) if _is_file(path)]
        return _parse_images(spec, found, "the glob matches no image")
    raise SourceSpecError(
        f"no such file or folder: {legible(spec)}; check the path, from {os.getcwd()}"
    )


def local_files(spec: str) -> tuple[str, ...]:
    """Paths of the files here that a source reads; none of a camera, a URL, or what cannot be."""
    try:
        parsed = parse_spec(spec)
    except (SourceSpecError, SourceError):
        return ()
    if parsed.kind is Kind.FILE:
        return (parsed.location.removeprefix("file:"),)
    return parsed.paths


def natural_key(path: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key under which frame_10 comes after frame_9."""
    parts = _DIGITS.split(path)
    return tuple(
        (0, int(part), part) if part.isascii() and part.isdigit() else (1, 0, part)
        for part in parts
    )


def _parse_stdin() -> SourceSpec:
    if sys.stdin is None or sys.stdin.closed or sys.stdin.isatty():
        raise SourceSpecError(
            "the source - is what is piped in, and nothing is: expected PROGRAM | streamseg run "
            "--source -"
        )
    return SourceSpec(Kind.FILE, STDIN_PIPE, "the piped input")


def _numbered(pattern: str) -> list[str]:
    """Files whose names have digits in place of a `%d`, and at least as many as a `%04d` says."""
    folder, name = os.path.split(pattern)
    parts = _COUNTER.split(name)
    least = [int(width or "1") for width in parts[1::2]]
    digits = [rf"\d{{{count},}}" for count in least]
    fixed = [re.escape(text.replace("%%", "%")) for text in parts[0::2]]
    wanted = re.compile("".join(a + b for a, b in zip(fixed, [*digits, ""], strict=True)))
    if not os.path.isdir(folder or "."):
        return []
    return [path for path in _files_in(folder or ".") if wanted.fullmatch(os.path.basename(path))]


def _parse_url(spec: str, scheme: str) -> SourceSpec:
    if scheme == "file":
        return _parse_file_url(spec)
    spec = _quoted(spec)
    url = None
    with suppress(ValueError):  # whose words repeat what they could not read
        split = urlsplit(spec)
        _ = split.port  # raises where it is no number
        url = split
    if url is None:
        raise SourceSpecError(_malformed(spec, scheme))
    if scheme not in LIVE_SCHEMES | WEB_SCHEMES:
        known = ", ".join(f"{name}://" for name in sorted(LIVE_SCHEMES | WEB_SCHEMES))
        raise SourceSpecError(f"unknown kind of URL {scheme}:// in {legible(spec)}; known: {known}")
    if not url.netloc:
        raise SourceSpecError(f"{legible(spec)} names no host: expected {scheme}://HOST/PATH")
    return SourceSpec(Kind.WEB if scheme in WEB_SCHEMES else Kind.STREAM, spec, legible(spec))


def _parse_file_url(spec: str) -> SourceSpec:
    """RFC 8089; a '#', '?' or '%' that was not encoded is taken as it stands."""
    host, slash, rest = spec.partition("://")[2].partition("/")
    if host not in ("", "localhost"):
        raise SourceSpecError(f"{legible(spec)} is on another host: expected file:///PATH")
    return _parse_file_path(slash + rest)


def _parse_file_path(raw: str) -> SourceSpec:
    """What stands behind `file:`; without a slash it is relative, as FFmpeg has it."""
    if not raw:
        raise SourceSpecError("file: names no file: expected file:///PATH or a plain path")
    plain = re.split("[?#]", raw, maxsplit=1)[0]
    found = (path for path in (unquote(plain), raw, unquote(raw)) if os.path.exists(path))
    path = next(found, unquote(plain))
    # A name is a file's, also where it looks like a camera's or another URL.
    return parse_spec(path if os.path.isabs(path) else os.path.join(os.curdir, path))


def _quoted(url: str) -> str:
    """The URL with what no URL may hold (spaces, letters that are not ASCII, a lone %) encoded."""
    url = re.sub("%(?![0-9A-Fa-f]{2})", "%25", url)
    return quote(url, safe="%:/?#[]@!$&'()*+,;=-._~")


def _malformed(spec: str, scheme: str) -> str:
    if "@" in spec:
        return (
            f"not a URL: {legible(spec)}; in a user name or password the characters @ : / ? # "
            "must be percent-encoded (%40 %3A %2F %3F %23)"
        )
    return f"not a URL: {legible(spec)}; expected {scheme}://HOST:PORT/PATH, PORT a number"


def _parse_camera(spec: str) -> SourceSpec:
    device = f"/dev/video{spec}" if spec.isdigit() else spec
    if not os.path.exists(device):
        cameras = sorted(glob.glob("/dev/video*"), key=natural_key)
        there = f"cameras here: {', '.join(cameras)}" if cameras else "this machine shows no camera"
        raise SourceError(
            f"no camera {legible(device)}; {there}; plug it in, or name another source"
        )
    return SourceSpec(Kind.CAMERA, device, legible(device))


def _parse_file(path: str) -> SourceSpec:
    if PurePath(path).suffix.lower() in IMAGE_SUFFIXES:
        return SourceSpec(Kind.IMAGES, path, legible(path), (path,))
    # Without the prefix a name with a colon in it would be taken for a protocol.
    return SourceSpec(Kind.FILE, f"file:{path}", legible(path))


def _parse_images(spec: str, found: list[str], complaint: str) -> SourceSpec:
    images = [path for path in found if PurePath(path).suffix.lower() in IMAGE_SUFFIXES]
    if not images:
        saw = f"{len(found)} other files" if found else "no file"
        kinds = " ".join(sorted(IMAGE_SUFFIXES))
        raise SourceSpecError(f"{complaint}: {legible(spec)} (saw {saw}; images end in {kinds})")
    return SourceSpec(Kind.IMAGES, spec, legible(spec), tuple(sorted(images, key=natural_key)))


def _files_in(folder: str) -> list[str]:
    try:
        names = os.listdir(folder)
    except OSError as error:
        raise SourceError(f"cannot list the folder {legible(folder)}: {error.strerror}") from None
    paths = [os.path.join(folder, name) for name in names if not name.startswith(".")]
    return [path for path in paths if _is_file(path)]


def _is_file(path: str) -> bool:
    """A file; or a link to nowhere: a picture that is missing, which its turn will tell."""
    return os.path.isfile(path) or (os.path.islink(path) and not os.path.exists(path))
