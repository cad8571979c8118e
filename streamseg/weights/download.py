"""One file from the hub or a URL to a place on disk: resumable, checked, never half there."""

from __future__ import annotations

import hashlib
import http.client
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from streamseg.errors import CheckpointError, MissingDependencyError, OutputError
from streamseg.masking import mask
from streamseg.weights.places import hub_endpoint

Progress = Callable[[str, int, int | None], None]
"""Told the file's name, the bytes so far, and the bytes in all (None when not announced)."""

TIMEOUT_S = 15.0
_CHUNK = 1 << 20
_NUMBER = re.compile(r"[0-9]{1,15}")


class UnreachableError(Exception):
    """The server cannot be reached, does not have the file, or broke off; trying again may do."""


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """What a server announces: sum and size where it does, `etag` to tell versions apart."""

    url: str
    sha256: str | None = None
    nbytes: int | None = None
    etag: str = ""


def hub_file(repo: str, file: str) -> RemoteFile:
    """Ask the hub about a file of a public repository; the answer pins the commit.

    Raises:
        UnreachableError: No network, offline mode, no such repository or file.
        MissingDependencyError: huggingface_hub is not installed.
    """
    try:
        from huggingface_hub import get_hf_file_metadata, hf_hub_url
    except ImportError:
        raise MissingDependencyError("huggingface_hub", "neural") from None
    endpoint = hub_endpoint()
    url = hf_hub_url(repo, file, endpoint=endpoint)
    try:
        answer = get_hf_file_metadata(url, token=False, timeout=TIMEOUT_S)
    except Exception as error:  # noqa: BLE001 - its errors are those of an HTTP library that changes
        raise UnreachableError(f"{mask(url)}: {_one_line(error)}") from None
    etag = answer.etag or ""
    # Large files carry their SHA-256 as etag, small ones git's SHA-1 of another content.
    sha256 = etag if re.fullmatch(r"[0-9a-f]{64}", etag) else None
    pinned = hf_hub_url(repo, file, revision=answer.commit_hash, endpoint=endpoint)
    return RemoteFile(pinned, sha256, answer.size, etag)


def plain_file(url: str) -> RemoteFile:
    """Ask a plain web server about a file.

    Raises:
        UnreachableError: No network, or no such file.
    """
    request = urllib.request.Request(url, method="HEAD")  # noqa: S310 - our registry's https URLs
    with _open(request) as response:
        nbytes = response.headers.get("Content-Length") or ""
        etag = response.headers.get("ETag") or ""
    return RemoteFile(url, None, int(nbytes) if _NUMBER.fullmatch(nbytes) else None, etag)


def fetch_file(source: RemoteFile, path: Path, progress: Progress | None = None) -> str:
    """Bring a file to `path`; what an earlier, broken try left is continued.

    Returns:
        The SHA-256 of what came.

    Raises:
        UnreachableError: The connection failed; what came so far is kept for the next try.
        CheckpointError: What came is not what was announced; it is deleted.
        OutputError: The folder cannot be written.
    """
    version = hashlib.sha256(f"{source.url}{source.etag}".encode()).hexdigest()[:12]
    part = path.with_name(f"{path.name}.{version}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("ab") as stream:
            _continue(source, path.name, stream, progress)
    except OSError as error:
        raise OutputError(f"cannot write {part}: {error.strerror or error}") from None
    sha256 = _check(source, part)
    part.replace(path)
    return sha256


def _continue(source: RemoteFile, name: str, stream: IO[bytes], progress: Progress | None) -> None:
    done = stream.tell()
    if source.nbytes is not None and done >= source.nbytes:
        return
    headers = {"Range": f"bytes={done}-"} if done else {}
    request = urllib.request.Request(source.url, headers=headers)  # noqa: S310 - as plain_file
    with _open(request) as response:
        if done and response.status != http.HTTPStatus.PARTIAL_CONTENT:
            stream.truncate(0)  # the server starts over
            done = 0
        for chunk in iter(lambda: _read(response), b""):
            stream.write(chunk)
            done += len(chunk)
            if progress is not None:
                progress(name, done, source.nbytes)
            if source.nbytes is not None and done > source.nbytes:
                return  # whatever it is, it is not what was announced
    if source.nbytes is not None and done < source.nbytes:
        raise UnreachableError(f"{mask(source.url)}: broke off at {done} of {source.nbytes} bytes")


def _check(source: RemoteFile, part: Path) -> str:
    """The SHA-256 of a whole file; a wrong one is deleted."""
    with part.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    nbytes = part.stat().st_size
    if source.nbytes is not None and nbytes != source.nbytes:
        part.unlink()
        raise CheckpointError(f"{mask(source.url)}: expected {source.nbytes} bytes, got {nbytes}")
    if source.sha256 is not None and sha256 != source.sha256:
        part.unlink()
        raise CheckpointError(
            f"{mask(source.url)}: expected SHA-256 {source.sha256}, got {sha256}: try again"
        )
    return sha256


def _open(request: urllib.request.Request) -> http.client.HTTPResponse:
    try:
        # Made anew: urlopen keeps the proxies that the environment named at its first call.
        opener = urllib.request.build_opener()
        response: http.client.HTTPResponse = opener.open(request, timeout=TIMEOUT_S)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise UnreachableError(f"{mask(request.full_url)}: {_one_line(error)}") from None
    return response


def _read(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read(_CHUNK)
    except (OSError, http.client.HTTPException) as error:
        raise UnreachableError(f"broke off: {_one_line(error)}") from None


def _one_line(error: Exception) -> str:
    return mask(" ".join(str(error).split()))[:200] or type(error).__name__
