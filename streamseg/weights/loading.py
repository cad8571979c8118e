"""A name → a checked file → a network: built in, shipped, cached or fetched. Prints nothing.

`places` says where a model lives; files put there by hand are as good as fetched ones. A path
stands for itself: a folder of transformers' SAM2, a file of Meta's (`sam2.1_hiera_tiny.pt`), or one
of XMem's (`XMem.pth`).

No public checkpoint has been loaded by the tests: they write files of the same layouts, full-size,
with random weights.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from streamseg.borders.json_file import JsonFileError, read_json
from streamseg.borders.paths import trouble_with_path
from streamseg.errors import (
    CheckpointError,
    MissingDependencyError,
    UsageError,
)
from streamseg.masking import legible, mask
from streamseg.weights import places
from streamseg.weights.checkpoints import SUFFIXES, read_state
from streamseg.weights.places import cache_dir, is_hub_id
from streamseg.weights.registry import BUILT_IN, BUNDLES, MODELS, SAM2_FILES, Kind, Model

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from transformers import Sam2Model

    from streamseg.nets.sam2_image import Sam2Image
    from streamseg.nets.sam2_video import Sam2Video
    from streamseg.nets.xmem import XMem
    from streamseg.weights.download import Progress

RECORD = "checksums.json"
"""Beside fetched files: what was fetched from where, so that it can be verified offline."""

_XMEM_PARTS = ("key_encoder.", "value_encoder.", "key_proj.", "decoder.")


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What `streamseg models` says of one model.

    Attributes:
        name: What a config's `checkpoint` calls it.
        kind: "sam2", "xmem", "detector", "cutter" or "reasoner".
        where: Its folder when present, else where it would be fetched from; "built in".
        present: Ready without a network.
        nbytes: On disk when present, else about what a fetch would bring.
        licence: A note for people, not legal advice.
    """

    name: str
    kind: Kind
    where: str
    present: bool
    nbytes: int
    licence: str


def list_models() -> list[ModelInfo]:
    """Every model of the registry; reads no weights and needs no network."""
    return [_info(model) for model in MODELS.values()]


def members(name: str) -> tuple[str, ...]:
    """The models that a name stands for: several for a bundle, else itself."""
    return BUNDLES.get(name, (name,))


def fetch(name: str, progress: Progress | None = None) -> Path:
    """Make sure that a model's files are here, fetching what is missing; resumes a broken fetch.

    Args:
        name: Of `list_models`, a hub id, or the path of what is here already.
        progress: Told (file, bytes so far, bytes in all or None).

    Returns:
        The folder that holds the files; for a built-in model the cache folder, untouched; for
        a path that path.

    Raises:
        CheckpointError: It cannot be fetched: says which files to put where. Or what came is
            not what the server announced. Or nothing is at that path.
        UsageError: What can be neither a name nor a path.
    """
    if path := _path(name):
        return _existing(path)
    model = _model(name)
    if model.home == BUILT_IN:
        return cache_dir()
    if found := places.folder_of(model):
        return found
    from streamseg.weights import download

    folder = places.own_folder(model)
    try:
        for file in model.files:
            if not (folder / file).is_file():
                _fetch_file(model, file, folder, progress)
    except download.UnreachableError as error:
        raise CheckpointError(f"{_how_to_place(model)} (fetching failed: {error})") from None
    return folder


def verify(name: str) -> dict[str, str]:
    """Check a present model: checksums where they were recorded, then every tensor's shape.

    Args:
        name: Of `list_models`, a hub id, or a path.

    Returns:
        SHA-256 by file name; empty for a built-in model.

    Raises:
        CheckpointError: It is not here, was changed since it was fetched, or does not fit.
    """
    if path := _path(name):
        return _verify(_existing(path), "get it again")
    model = _model(name)
    if model.home == BUILT_IN:
        return {}
    folder = places.folder_of(model)
    if folder is None:
        raise CheckpointError(_how_to_place(model))
    remedy = f"delete it and run streamseg models fetch {model.name}"
    if model.kind in ("detector", "cutter"):
        return _verified_sums([folder / file for file in model.files], remedy, _pinned(model))
    if model.kind == "reasoner":
        return _verified_reasoner(folder, model, remedy)
    place = folder / model.files[0] if model.kind == "xmem" else folder
    return _verify(place, remedy)


def locate(name_or_path: str, kind: Kind) -> Path:
    """The folder or the one file of a model that others load, fetched if need be.

    Args:
        name_or_path: Of `list_models`, or a path.

    Raises:
        CheckpointError: It is not here and cannot be fetched, or is of another kind.
    """
    place = _resolve(name_or_path, kind)
    if not place.exists():
        _existing(place)
    if place.is_dir() and name_or_path in MODELS and len(MODELS[name_or_path].files) == 1:
        return place / MODELS[name_or_path].files[0]
    return place


def load_sam2(name_or_path: str, device: str = "auto") -> Sam2Model:
    """transformers' SAM2 network: on its device, float32, in eval mode.

    Args:
        name_or_path: Of `list_models`, a hub id such as facebook/sam2.1-hiera-tiny, a folder
            with config.json and model.safetensors, or a file of Meta's (`sam2.1_hiera_tiny.pt`).
        device: auto, cpu, cuda, cuda:1 or mps.

    Raises:
        CheckpointError: Missing, damaged, or some keys do not fit; each is named.
        ConfigError, EngineError: No such device, or none of it here.
        MissingDependencyError: torch or transformers is not installed.
    """
    target = _device(device)
    from streamseg.nets.sam2 import sam2_from_folder
    from streamseg.nets.sam2_meta import sam2_from_meta
    from streamseg.nets.sam2_selftest import selftest_sam2

    if name_or_path == "selftest-sam2":
        network = selftest_sam2()
    else:
        path = _resolve(name_or_path, "sam2")
        network = (sam2_from_meta if _is_file(path) else sam2_from_folder)(path)
    module: torch.nn.Module = network
    module.to(target)
    return network


def load_sam2_image(name_or_path: str, device: str = "auto") -> Sam2Image:
    """SAM2's image predictor ready to run; see `load_sam2`."""
    network = load_sam2(name_or_path, device)
    from streamseg.nets.sam2_image import Sam2Image

    return Sam2Image(network)


def load_sam2_video(name_or_path: str, device: str = "auto") -> Sam2Video:
    """A SAM2 network for video ready to run: on its device, float32, in eval mode.

    Args:
        name_or_path: As for `load_sam2`; the public files hold both networks' weights.
        device: auto, cpu, cuda, cuda:1 or mps.

    Raises:
        CheckpointError: Missing, damaged, or some keys do not fit; each is named.
        ConfigError, EngineError: No such device, or none of it here.
        MissingDependencyError: torch or transformers is not installed.
    """
    target = _device(device)
    from streamseg.nets.sam2_meta import sam2_video_from_meta
    from streamseg.nets.sam2_selftest import selftest_sam2_video
    from streamseg.nets.sam2_video import sam2_video_from_folder

    if name_or_path == "selftest-sam2":
        return selftest_sam2_video().to(target)
    path = _resolve(name_or_path, "sam2")
    return (sam2_video_from_meta if _is_file(path) else sam2_video_from_folder)(path).to(target)


def load_xmem(name_or_path: str, device: str = "auto") -> XMem:
    """An XMem network ready to run: on its device, float32, in eval mode.

    Args:
        name_or_path: Of `list_models`, or a `.pth` or `.safetensors` file.
        device: auto, cpu, cuda, cuda:1 or mps.

    Raises:
        CheckpointError: Missing, damaged, holds code, or some keys do not fit; each is named.
        ConfigError, EngineError: No such device, or none of it here.
        MissingDependencyError: torch is not installed.
    """
    target = _device(device)
    from streamseg.nets.xmem import selftest_xmem

    if name_or_path == "selftest-xmem":
        network = selftest_xmem()
    else:
        path = _resolve(name_or_path, "xmem")
        network = _xmem_from_file(_xmem_file(name_or_path, path))
    return network.to(target)


def _device(name: str) -> torch.device:
    try:
        from streamseg.engines.torch import pick_device
    except ImportError:
        raise MissingDependencyError("torch", "neural") from None
    return pick_device(name)


def _model(name: str) -> Model:
    """The registry's row, by name or by hub id; a made-up row for another hub id."""
    if name in MODELS:
        return MODELS[name]
    for model in MODELS.values():
        if model.home == name:
            return model
    if is_hub_id(name):
        return Model(name.replace("/", "--"), "sam2", name, SAM2_FILES, 0, "see its page")
    close = difflib.get_close_matches(name[:100], MODELS, n=1, cutoff=0.5)
    nearest = f" (did you mean {close[0]!r}?)" if close else ""
    raise CheckpointError(
        f"no model named {legible(name)!r}{nearest}; there are: {', '.join(MODELS)}, or give a path"
    )


def _resolve(name_or_path: str, kind: Kind) -> Path:
    """The folder or file that a config's `checkpoint` means, fetched if need be."""
    if path := _path(name_or_path):
        return path
    model = _model(name_or_path)
    if model.kind != kind:
        raise CheckpointError(f"{name_or_path} is of kind {model.kind}, expected {kind}")
    return fetch(name_or_path)


def _path(text: str) -> Path | None:
    """What is given by path rather than by name.

    Raises:
        UsageError: It can be neither.
    """
    trouble = f"{legible(text)} is a URL" if "://" in text else trouble_with_path(text)
    if trouble:
        raise UsageError(
            f"no such model: {trouble}; give a name that `streamseg models` lists, a hub id such "
            "as facebook/sam2.1-hiera-tiny, or a path"
        )
    path = Path(text).expanduser()
    looks_so = path.suffix in SUFFIXES or path.is_absolute() or text.startswith(".")
    return path if text not in MODELS and (looks_so or path.exists()) else None


def _is_file(path: Path) -> bool:
    """Whether a path means a weights file, there or not, rather than a folder."""
    return path.is_file() or (path.suffix in SUFFIXES and not path.is_dir())


def _existing(path: Path) -> Path:
    if not path.exists():
        raise CheckpointError(
            f"nothing is at {legible(str(path))}: give the path of a file or folder that exists"
        )
    return path


def _info(model: Model) -> ModelInfo:
    if model.home == BUILT_IN:
        return ModelInfo(model.name, model.kind, BUILT_IN, True, 0, model.licence)
    folder = places.folder_of(model)
    if folder is None:
        nbytes = model.about_mb * 1_000_000
        return ModelInfo(model.name, model.kind, places.page(model), False, nbytes, model.licence)
    nbytes = sum((folder / file).stat().st_size for file in model.files)
    return ModelInfo(model.name, model.kind, str(folder), True, nbytes, model.licence)


def _how_to_place(model: Model) -> str:
    return (
        f"{model.name} is not here: get {' and '.join(model.files)} "
        f"from {places.page(model)} and put into {places.own_folder(model)}/"
    )


def _fetch_file(model: Model, file: str, folder: Path, progress: Progress | None) -> None:
    from streamseg.weights import download

    if is_hub_id(model.home):
        source = download.hub_file(model.home, file)
    else:
        source = download.plain_file(f"{model.home}/{file}")
    if pinned := _pinned(model).get(file):
        source = replace(source, sha256=pinned)
    sha256 = download.fetch_file(source, folder / file, progress)
    record = {**_read_record(folder), file: {"sha256": sha256, "source": mask(source.url)}}
    (folder / RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def _pinned(model: Model) -> dict[str, str]:
    """SHA-256 by file name, of those that never change at their home."""
    return dict(zip(model.files, model.sha256, strict=False))


def _read_record(folder: Path) -> dict[str, Mapping[str, object]]:
    try:
        record = read_json(folder / RECORD)
    except (FileNotFoundError, JsonFileError):
        return {}
    entries = record.items() if isinstance(record, dict) else ()
    return {file: entry for file, entry in entries if isinstance(entry, dict)}


def _recorded(folder: Path) -> dict[str, str]:
    """SHA-256 by file name where one is known: from our record, or from the hub cache's blobs."""
    sums = {file: str(entry.get("sha256", "")) for file, entry in _read_record(folder).items()}
    for file in folder.iterdir():
        blob = file.resolve().name
        if file.is_symlink() and re.fullmatch(r"[0-9a-f]{64}", blob):
            sums[file.name] = blob
    return {file: value for file, value in sums.items() if value}


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _verify(place: Path, remedy: str) -> dict[str, str]:
    """See `verify`.

    Args:
        place: A folder of transformers' SAM2, or a file of Meta's or XMem's.
        remedy: For a file that was changed.
    """
    files = [place / file for file in SAM2_FILES] if place.is_dir() else [place]
    if absent := [file for file in files if not file.is_file()]:
        raise CheckpointError(f"no file {absent[0]}: give a folder with {' and '.join(SAM2_FILES)}")
    sums = _verified_sums(files, remedy)
    _check_layout(place)
    return sums


def _verified_reasoner(folder: Path, model: Model, remedy: str) -> dict[str, str]:
    from streamseg.reasoning.loading import load_whole

    sums = _verified_sums([folder / file for file in model.files], remedy)
    load_whole("AutoModelForImageTextToText", folder, "a vision-language model", "neural")
    return sums


def _verified_sums(
    files: Sequence[Path], remedy: str, pinned: Mapping[str, str] | None = None
) -> dict[str, str]:
    """SHA-256 by name of files in one folder, held against what is pinned or was recorded."""
    recorded = _recorded(files[0].parent) | dict(pinned or {})
    sums = {file.name: _sha256(file) for file in files}
    for file in files:
        expected, found = recorded.get(file.name, sums[file.name]), sums[file.name]
        if expected != found:
            raise CheckpointError(f"{file}: expected SHA-256 {expected}, got {found}: {remedy}")
    return sums


def _check_layout(place: Path) -> None:
    from streamseg.nets.sam2 import sam2_from_folder
    from streamseg.nets.sam2_meta import translate
    from streamseg.nets.sam2_video import sam2_video_from_folder

    if place.is_dir():
        (sam2_video_from_folder if _is_for_video(place) else sam2_from_folder)(place)
        return
    state = read_state(place, inside="model")
    if any(name.startswith(_XMEM_PARTS) for name in state):
        _xmem_of(place, state)
    else:
        translate(place, state)


def _is_for_video(folder: Path) -> bool:
    try:
        config = read_json(folder / "config.json")
    except (FileNotFoundError, JsonFileError):
        return False
    return isinstance(config, dict) and config.get("model_type") == "sam2_video"


def _xmem_file(name_or_path: str, path: Path) -> Path:
    """The file in a model's folder, or the one that was given by path."""
    if not path.is_dir():
        return path
    if _path(name_or_path):
        raise CheckpointError(f"{path} is a folder: give the path of the XMem.pth itself")
    return path / _model(name_or_path).files[0]


def _xmem_from_file(path: Path) -> XMem:
    return _xmem_of(path, read_state(path))


def _xmem_of(path: Path, state: Mapping[str, Tensor]) -> XMem:
    from streamseg.nets.xmem import XMem

    try:
        return XMem.from_state_dict(state)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from None
