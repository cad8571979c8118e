"""Which models configs may name, and where each has its home; reads and fetches nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["sam2", "xmem"]

SAM2_FILES = ("config.json", "model.safetensors")
BUILT_IN = "built in"
SHIPPED = "shipped with streamseg"
_XMEM_RELEASE = "https://github.com/hkchengrex/XMem/releases/download/v1.0"


@dataclass(frozen=True, slots=True)
class Model:
    """A row of the registry: `home` is a hub id, a URL, "built in" or "shipped …"."""

    name: str
    kind: Kind
    home: str
    files: tuple[str, ...]
    about_mb: int
    licence: str


def _sam2(name: str, about_mb: int) -> Model:
    return Model(name, "sam2", f"facebook/{name}", SAM2_FILES, about_mb, "Apache-2.0 (Meta)")


def _xmem(name: str, file: str) -> Model:
    licence = "code MIT (Cheng and Schwing); trained on data with terms of its own"
    return Model(name, "xmem", _XMEM_RELEASE, (file,), 249, licence)


MODELS = {
    model.name: model
    for model in (
        _sam2("sam2.1-hiera-tiny", 156),
        _sam2("sam2.1-hiera-small", 184),
        _sam2("sam2.1-hiera-base-plus", 323),
        _sam2("sam2.1-hiera-large", 898),
        _xmem("xmem", "XMem.pth"),
        _xmem("xmem-s012", "XMem-s012.pth"),
        Model("xmem-nano", "xmem", SHIPPED, ("xmem-nano.safetensors",), 5, "Apache-2.0; our own"),
        Model("selftest-sam2", "sam2", BUILT_IN, (), 0, "Apache-2.0; random, means nothing"),
        Model("selftest-xmem", "xmem", BUILT_IN, (), 0, "Apache-2.0; random, means nothing"),
    )
}
