"""Configs: from files and overrides to one validated, frozen tree of settings."""

from __future__ import annotations

from streamseg.config.bounds import Section, trouble_with_device
from streamseg.config.engines import (
    EngineConfig,
    EngineFamily,
    NetworkSection,
    WholeNetworkSection,
)
from streamseg.config.files import available
from streamseg.config.models import (
    ConceptConfig,
    ExportedConfig,
    PicturesSection,
    RemoteConfig,
    VlmConfig,
    WritingSection,
)
from streamseg.config.offline import OfflineConfig
from streamseg.config.reasoning import ObjectsConfig, ReasoningConfig, SpeedConfig
from streamseg.config.schema import (
    BufferConfig,
    CatchupConfig,
    Config,
    DeepConfig,
    DifficultyConfig,
    FlowConfig,
    GrabCutConfig,
    MemoryConfig,
    PropagationConfig,
    SalientConfig,
    Sam2Config,
    Sam2PropagationConfig,
    SamplerConfig,
    SegmentationConfig,
    SinksConfig,
    SourceConfig,
    TracksConfig,
    TriggerConfig,
    WindowsConfig,
    XMemConfig,
    load,
    parse,
)

__all__ = [
    "BufferConfig",
    "CatchupConfig",
    "ConceptConfig",
    "Config",
    "DeepConfig",
    "DifficultyConfig",
    "EngineConfig",
    "EngineFamily",
    "ExportedConfig",
    "FlowConfig",
    "GrabCutConfig",
    "MemoryConfig",
    "NetworkSection",
    "ObjectsConfig",
    "OfflineConfig",
    "PicturesSection",
    "PropagationConfig",
    "ReasoningConfig",
    "RemoteConfig",
    "SalientConfig",
    "Sam2Config",
    "Sam2PropagationConfig",
    "SamplerConfig",
    "Section",
    "SegmentationConfig",
    "SinksConfig",
    "SourceConfig",
    "SpeedConfig",
    "TracksConfig",
    "TriggerConfig",
    "VlmConfig",
    "WholeNetworkSection",
    "WindowsConfig",
    "WritingSection",
    "XMemConfig",
    "available",
    "load",
    "parse",
    "trouble_with_device",
]
