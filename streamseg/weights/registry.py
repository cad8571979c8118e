"""Which models configs may name, and where each has its home; reads and fetches nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["sam2", "xmem", "detector", "cutter", "reasoner"]

SAM2_FILES = ("config.json", "model.safetensors")
REASONER_FILES = (
    *("config.json", "generation_config.json", "model.safetensors"),
    *("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "preprocessor_config.json"),
)
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
    sha256: tuple[str, ...] = ()
    """Of `files`, where they never change at their home."""


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
        Model("reasoner-nano", "reasoner", SHIPPED, REASONER_FILES, 5, "Apache-2.0; our own"),
        Model(
            "d-fine-nano",
            "detector",
            "ustc-community/dfine-nano-coco",
            ("config.json", "preprocessor_config.json", "model.safetensors"),
            15,
            "Apache-2.0 (D-FINE); trained on COCO",
        ),
        Model(
            "u2netp",
            "cutter",
            "https://github.com/danielgatis/rembg/releases/download/v0.0.0",
            ("u2netp.onnx",),
            5,
            "Apache-2.0 (U²-Net)",
            ("309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8",),
        ),
        Model("selftest-sam2", "sam2", BUILT_IN, (), 0, "Apache-2.0; random, means nothing"),
        Model("selftest-xmem", "xmem", BUILT_IN, (), 0, "Apache-2.0; random, means nothing"),
    )
}

BUNDLES = {"everyday": ("d-fine-nano", "u2netp")}
"""Names of configs whose models are fetched together."""


@dataclass(frozen=True, slots=True)
class Repository:
    """What is known of a repository of the hub before it is asked.

    Attributes:
        gated: Its licence has to be accepted on its page, by a user who is logged in.
    """

    about_mb: int
    licence: str
    gated: bool = False


REPOSITORIES = {
    "IDEA-Research/grounding-dino-tiny": Repository(690, "Apache-2.0"),
    "IDEA-Research/grounding-dino-base": Repository(934, "Apache-2.0"),
    "google/owlv2-base-patch16-ensemble": Repository(620, "Apache-2.0"),
    "facebook/sam3": Repository(3440, "SAM License (Meta)", gated=True),
    "Qwen/Qwen2.5-VL-3B-Instruct": Repository(7510, "Qwen Research License, non-commercial"),
    "Qwen/Qwen2.5-VL-7B-Instruct": Repository(16600, "Apache-2.0"),
    "Qwen/Qwen3-VL-2B-Instruct": Repository(4260, "Apache-2.0"),
    "Qwen/Qwen3-VL-4B-Instruct": Repository(8880, "Apache-2.0"),
    "Ricky06662/VisionReasoner-7B": Repository(16600, "Apache-2.0"),
}
"""Those that configs and documents name; of any other the hub is asked."""
