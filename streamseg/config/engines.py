"""What runs a network, how precisely, and what may stand in; settings that networks share."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from streamseg.config.bounds import Device, Few, Real, Section, Threads, Whole, Words

EngineFamily = Literal["torch", "onnxruntime", "tensorrt", "tensorrt-rtx"]


class EngineConfig(Section):
    """What runs a network, how precisely, and what may stand in for it."""

    family: EngineFamily = "torch"
    precision: Literal["fp32", "fp16", "bf16"] = "fp32"
    fallback: tuple[EngineFamily, ...] = Field(
        (),
        max_length=4,
        description="Families to try in turn where `family` cannot run; none: it is an error.",
    )
    folder: Words = Field(
        "", description="Of `streamseg export`; empty: exported on first use, into the cache."
    )
    objects: tuple[Few, ...] = Field(
        (1, 2, 4, 8, 16),
        max_length=32,
        description="Counts of objects to have engines for; others are padded.",
    )
    capacity: Annotated[Whole, Field(ge=1, le=10_000_000)] = Field(
        4096, description="Memory elements that an exported readout holds."
    )
    aspect: Real = Field(
        16 / 9,
        ge=0.01,
        le=100.0,
        description="Width over height of the pictures that `export` prepares for.",
    )
    threads: Threads = Field(0, description="ONNX Runtime's, on the CPU; 0: one per core.")
    providers: tuple[Literal["cpu", "cuda", "tensorrt"], ...] = Field(
        ("cpu",), min_length=1, max_length=3, description="ONNX Runtime's, in order of preference."
    )
    channels_last: bool = Field(False, description="torch: pictures channel by channel.")
    packed: bool = Field(
        False,
        description="torch, on a CPU, where it has oneDNN: linear layers' weights laid out once, "
        "their activations with the product.",
    )
    autocast: bool = Field(
        False,
        description="torch: products and convolutions in bfloat16, weights and sums in float32.",
    )
    compile: bool = Field(False, description="torch: through torch.compile.")
    cuda_graph: bool = Field(False, description="torch, tensorrt: record once, replay; on CUDA.")

    @property
    def families(self) -> tuple[EngineFamily, ...]:
        """All that may run the network, the one asked for first."""
        return (self.family, *self.fallback)

    @property
    def is_plain(self) -> bool:
        """Whether the network runs as it is, with nothing in between."""
        quick = (
            self.channels_last or self.packed or self.autocast or self.compile or self.cuda_graph
        )
        return self.family == "torch" and self.precision == "fp32" and not quick

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        """Refuse what no family that may run would heed: it would be silently ignored."""
        for name, heeding in _HEEDED_BY.items():
            changed = getattr(self, name) != type(self).model_fields[name].default
            if changed and not heeding & set(self.families):
                raise ValueError(
                    f"{name} is for {' and '.join(sorted(heeding))}, but family and fallback "
                    f"name {', '.join(self.families)} only"
                )
        if self.autocast and self.precision != "fp32":
            raise ValueError(
                f"autocast rounds float32 weights as it goes: expected precision fp32 with it, "
                f"got {self.precision}"
            )
        if self.packed and (self.autocast or self.compile or self.precision == "fp16"):
            raise ValueError(
                "packed is for fp32 and bf16 as they are: expected neither autocast nor compile "
                "nor precision fp16 with it"
            )
        on_cpu = "onnxruntime" in self.families and self.providers[0] == "cpu"
        if on_cpu and self.precision == "bf16":
            raise ValueError(
                "ONNX Runtime has no bfloat16 on a CPU: expected precision fp32 or fp16, or "
                "providers [cuda]"
            )
        return self


_HEEDED_BY: dict[str, frozenset[EngineFamily]] = {
    "folder": frozenset(("onnxruntime", "tensorrt", "tensorrt-rtx")),
    "threads": frozenset(("onnxruntime",)),
    "providers": frozenset(("onnxruntime",)),
    "channels_last": frozenset(("torch",)),
    "packed": frozenset(("torch",)),
    "autocast": frozenset(("torch",)),
    "compile": frozenset(("torch",)),
    "cuda_graph": frozenset(("torch", "tensorrt", "tensorrt-rtx")),
}
"""Which families look at a setting."""


class NetworkSection(Section):
    """A network on a device."""

    device: Device = Field("auto", description="auto, cpu, cuda, cuda:1, mps.")
    engine: EngineConfig = EngineConfig()

    @model_validator(mode="after")
    def _device_fits(self) -> Self:
        if self.engine.cuda_graph and self.device.partition(":")[0] not in ("auto", "cuda"):
            raise ValueError(
                f"engine.cuda_graph: expected device cuda, or auto, with it, got {self.device}"
            )
        return self


class WholeEngineConfig(Section):
    """What runs a network that is not cut into parts."""

    family: EngineFamily | Literal["auto"] = Field(
        "auto", description="auto: ONNX Runtime for an ONNX file, torch for a folder."
    )
    folder: Words = Field(
        "", description="Of `streamseg export`; empty: the network's own file is run."
    )

    @model_validator(mode="after")
    def _has_its_files(self) -> Self:
        if self.family in ("tensorrt", "tensorrt-rtx") and not self.folder:
            raise ValueError(
                f"family {self.family} runs what was exported: expected folder with it, made by "
                f"streamseg export --format {self.family}"
            )
        if self.folder and self.family in ("auto", "torch"):
            raise ValueError(
                "folder is for onnxruntime, tensorrt and tensorrt-rtx: expected family to be one "
                f"of them, got {self.family}"
            )
        return self


class WholeNetworkSection(Section):
    """A small network that is run whole: an ONNX file, or what was exported of it."""

    threads: Threads = Field(1, description="Of ONNX Runtime; 0: as many as there are cores.")
    providers: tuple[Literal["cpu", "cuda", "tensorrt"], ...] = ("cpu",)
    engine: WholeEngineConfig = WholeEngineConfig()
