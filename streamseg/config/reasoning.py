"""Settings of the reasoners: which answers at which speed, how long it may take, what each needs.

Two speeds, `fast` and `deep`, each a process of its own. What concerns a speed may be written one
level up and then means the fast one: `reasoning.backend` is short for `reasoning.fast.backend`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from streamseg.config.bounds import Count, Few, Real, Seconds, Section, Whole, Words, spelled_out
from streamseg.config.engines import WholeNetworkSection
from streamseg.config.models import ConceptConfig, ExportedConfig, RemoteConfig, VlmConfig
from streamseg.types import Speed

Backend = Literal["none", "attribute", "objects", "concept", "vlm", "exported", "remote"]


class ObjectsConfig(WholeNetworkSection):
    """A detector of everyday things, for the reasoner that knows them by name."""

    detector: Words = Field(
        "d-fine-nano",
        description="A name of `streamseg models`, the path of an ONNX file, or of a folder of "
        "transformers.",
    )
    layout: Words = Field(
        "auto", description="How an ONNX file is read: a known layout, or a YAML file's path."
    )
    threshold: Annotated[Real, Field(ge=0.01, le=0.99)] | None = Field(
        None, description="Score from which the detector counts as seeing; none: the layout's."
    )


class SpeedConfig(Section):
    """Who answers at one speed, how long it may take, and when its process is started again."""

    backend: Backend = "none"
    deadline_s: Seconds = Field(20.0, description="A request that takes longer is given up.")
    delay_s: Seconds = Field(0.0, description="Added to every answer, to try a slow reasoner.")
    crash_limit: Count = Field(5, description="Crashes within crash_window_s that mean degraded.")
    crash_window_s: Seconds = 60.0
    degraded_retry_s: Seconds = Field(60.0, description="Wait before a degraded worker is tried.")
    restart_s: Seconds = Field(0.5, description="Wait after a crash; doubles up to the cap.")
    restart_cap_s: Seconds = 30.0
    start_timeout_s: Seconds = Field(120.0, description="Loading that takes longer is a crash.")


class ReasoningConfig(Section):
    """Who answers at once, who is asked when that does not do, and what may be asked."""

    shorthand: ClassVar[Mapping[str, str]] = dict.fromkeys(SpeedConfig.model_fields, "fast")

    fast: SpeedConfig = SpeedConfig(backend="attribute")
    deep: SpeedConfig = SpeedConfig()
    objects: ObjectsConfig = ObjectsConfig()
    concept: ConceptConfig = ConceptConfig()
    vlm: VlmConfig = VlmConfig()
    exported: ExportedConfig = ExportedConfig()
    remote: RemoteConfig = RemoteConfig()
    max_query_chars: Annotated[Whole, Field(ge=1, le=100_000)] = 1000
    max_targets: Few = 16

    @model_validator(mode="before")
    @classmethod
    def _spell_out(cls, values: Any) -> Any:
        """Write short keys out in full; the fast reasoner is `attribute` unless it is said."""
        if not isinstance(values, dict):
            return values
        spelled = spelled_out(values, cls.shorthand)
        fast = spelled.get("fast", {})
        if isinstance(fast, dict):
            spelled["fast"] = {"backend": "attribute", **fast}
        return spelled

    @model_validator(mode="after")
    def _somebody_answers(self) -> Self:
        if self.fast.backend == self.deep.backend == "none":
            raise ValueError("expected fast.backend or deep.backend, got none for both")
        return self

    def speed(self, speed: Speed) -> SpeedConfig:
        """The settings of one speed."""
        return self.fast if speed is Speed.FAST else self.deep
