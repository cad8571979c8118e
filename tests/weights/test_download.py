"""Fetching one file: resumed, checked, never half there; against a real server."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_server import COMMIT, Hub

from streamseg.errors import CheckpointError, OutputError
from streamseg.weights import download
from streamseg.weights.download import RemoteFile, UnreachableError

DATA = bytes(range(256)) * 8192  # 2 MiB, two reads


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with Hub({"/org/net/model.safetensors": DATA, "/org/net/config.json": b"{}"}) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


def test_the_hub_announces_checksum_size_and_commit(hub: Hub) -> None:
    remote = download.hub_file("org/net", "model.safetensors")
    assert remote.sha256 == hashlib.sha256(DATA).hexdigest()
    assert remote.nbytes == len(DATA)
    assert remote.url == f"{hub.url}/org/net/resolve/{COMMIT}/model.safetensors"
    assert download.hub_file("org/net", "config.json").sha256 is None


def test_fetch_reports_progress_and_leaves_no_part(hub: Hub, tmp_path: Path) -> None:
    told: list[tuple[str, int, int | None]] = []
    remote = download.hub_file("org/net", "model.safetensors")
    path = tmp_path / "deep" / "model.safetensors"
    sha256 = download.fetch_file(remote, path, lambda *news: told.append(news))
    assert path.read_bytes() == DATA
    assert sha256 == hashlib.sha256(DATA).hexdigest()
    assert told[-1] == ("model.safetensors", len(DATA), len(DATA))
    assert [file.name for file in path.parent.iterdir()] == ["model.safetensors"]


def test_a_broken_fetch_is_continued(hub: Hub, tmp_path: Path) -> None:
    remote = download.hub_file("org/net", "model.safetensors")
    path = tmp_path / "model.safetensors"
    hub.break_after = 1_500_000
    with pytest.raises(UnreachableError, match="broke off"):
        download.fetch_file(remote, path)
    assert not path.exists()
    hub.break_after = None
    download.fetch_file(remote, path)
    assert path.read_bytes() == DATA
    method, _, wanted = hub.requests[-1]
    assert method == "GET"
    assert wanted == "bytes=1500000-"


def test_a_server_without_ranges_starts_over(hub: Hub, tmp_path: Path) -> None:
    remote = download.hub_file("org/net", "model.safetensors")
    hub.break_after = 1_000_000
    with pytest.raises(UnreachableError):
        download.fetch_file(remote, tmp_path / "m")
    hub.break_after, hub.ranges = None, False
    download.fetch_file(remote, tmp_path / "m")
    assert (tmp_path / "m").read_bytes() == DATA


def test_another_version_is_not_glued_to_an_old_part(hub: Hub, tmp_path: Path) -> None:
    hub.break_after = 1_000_000
    with pytest.raises(UnreachableError):
        download.fetch_file(download.hub_file("org/net", "model.safetensors"), tmp_path / "m")
    hub.break_after = None
    hub.files["/org/net/model.safetensors"] = DATA[::-1]
    download.fetch_file(download.hub_file("org/net", "model.safetensors"), tmp_path / "m")
    assert (tmp_path / "m").read_bytes() == DATA[::-1]


def test_a_wrong_checksum_is_refused_and_deleted(hub: Hub, tmp_path: Path) -> None:
    hub.lie_about_sha = True
    remote = download.hub_file("org/net", "model.safetensors")
    with pytest.raises(CheckpointError, match="expected SHA-256"):
        download.fetch_file(remote, tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


def test_a_longer_file_than_announced_is_refused(hub: Hub, tmp_path: Path) -> None:
    remote = RemoteFile(f"{hub.url}/org/net/model.safetensors", nbytes=len(DATA) - 1)
    with pytest.raises(CheckpointError, match=f"expected {len(DATA) - 1} bytes"):
        download.fetch_file(remote, tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


def test_a_plain_server_announces_the_size(hub: Hub, tmp_path: Path) -> None:
    remote = download.plain_file(f"{hub.url}/org/net/model.safetensors")
    assert remote.nbytes == len(DATA)
    assert remote.sha256 is None
    download.fetch_file(remote, tmp_path / "m")
    assert (tmp_path / "m").read_bytes() == DATA


def test_no_such_file(hub: Hub) -> None:
    with pytest.raises(UnreachableError, match=r"org/net/.*nothing\.bin"):
        download.hub_file("org/net", "nothing.bin")
    with pytest.raises(UnreachableError, match=r"org/net/nothing\.bin: .*404"):
        download.plain_file(f"{hub.url}/org/net/nothing.bin")


def test_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(UnreachableError, match=r"127\.0\.0\.1:9"):
        download.hub_file("org/net", "model.safetensors")
    with pytest.raises(UnreachableError, match=r"127\.0\.0\.1:9"):
        download.plain_file("http://127.0.0.1:9/XMem.pth")


def test_a_folder_that_cannot_be(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot write"):
        download.fetch_file(download.hub_file("org/net", "config.json"), tmp_path / "file" / "m")
