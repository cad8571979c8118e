"""The one place where each default lives: validated, frozen, closed to unknown keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from streamseg.config.bounds import (
    Area,
    Bytes,
    Count,
    CountOrNone,
    Few,
    Fraction,
    Pixels,
    Rate,
    Real,
    Score,
    Seconds,
    Section,
    Share,
    Whole,
    Words,
)
from streamseg.config.engines import NetworkSection, WholeNetworkSection
from streamseg.config.files import apply_override, explain, read_yaml, spell_out
from streamseg.config.offline import OfflineConfig
from streamseg.config.reasoning import ReasoningConfig
from streamseg.errors import ConfigError
from streamseg.masking import mask

AUTO = "auto"
"""The default config's name."""


class SourceConfig(Section):
    """Where pictures come from and how patient to be with them."""

    realtime: bool = Field(
        False, description="Play a file or synthetic scene at its own pace, as if it were live."
    )
    stall_s: Seconds = Field(3.0, description="Silence after which a live source is stalled.")
    connect_timeout_s: Seconds = Field(
        10.0, description="Longest wait for a live source's connection and its first picture."
    )
    wait_for_source: bool = Field(
        False, description="Keep trying when a live source cannot be reached at the start."
    )
    rtsp_transport: Literal["tcp", "udp"] = "tcp"
    hwaccel: Literal["auto", "none"] = Field(
        "auto", description="Hardware decode where the machine has it."
    )
    decode_ahead: Few = Field(4, description="Frames that a file source decodes ahead.")
    pts_jump_s: Seconds = Field(
        2.0,
        description="A step in time, forward or back, beyond which a new epoch begins; in a file "
        "not where the picture stayed as it was.",
    )
    fps: Rate | None = Field(
        None,
        description="Rate of what carries no time stamps (raw streams, images), whatever it says.",
    )
    fallback_fps: Rate = Field(25.0, description="For sources that do not say.")
    max_pixels: Area = Field(100_000_000, description="Larger pictures are refused, undecoded.")


class BufferConfig(Section):
    """The ring of the last seconds."""

    seconds: Seconds = 4.0
    max_frames: Count = 160
    max_bytes: Bytes = 512 * 1024 * 1024


class DifficultyConfig(Section):
    """VideoSeg-R1's five dimensions; easy queries are grounded without a chain of thought."""

    tau_easy: Score = 3.5
    tau_hard: Score = 6.5
    tokens_at_1: Count = Field(16, description="Reasoning budget L(D) at D = 1.")
    tokens_at_10: Count = Field(128, description="Reasoning budget L(D) at D = 10; linear between.")


class DeepConfig(Section):
    """When the deep reasoner is asked besides the fast one."""

    least_lead: Fraction = Field(
        0.15, description="An object that leads another by less leaves the fast one torn."
    )
    retry_s: Seconds = Field(2.0, description="Least time between two calls; doubles to the cap.")
    retry_cap_s: Seconds = 30.0
    refresh_s: Seconds = Field(
        30.0, description="What the deep one said stands so long; then what is hard is asked again."
    )


class TriggerConfig(Section):
    """When the reasoner is asked."""

    cooldown_s: Seconds = Field(0.5, description="Least time between two requests.")
    search_retry_s: Seconds = Field(
        0.5, description="Wait before asking again after 'no such object'; doubles up to the cap."
    )
    search_retry_cap_s: Seconds = 4.0
    refresh_s: Seconds = Field(8.0, description="A grounding older than this is refreshed.")
    doubt_refresh_s: Seconds = Field(
        1.0,
        description="The same where a track is believed at 0.5 or less, growing to refresh_s "
        "at 0.9.",
    )
    shift_s: Seconds = Field(
        0.5,
        description="The same where who is meant may change ('the one in front'): others may come.",
    )
    witness_s: Annotated[Real, Field(ge=0.0, le=3600.0)] = Field(
        0.0,
        description="Between two looks at what is there of the kinds meant, which tracks are held "
        "against; more where a look takes over a third of that. 0: none.",
    )
    lost_after_s: Seconds = Field(0.2, description="A track must be lost this long to ask for it.")
    drift_score: Fraction = Field(0.35, description="Below this a track drifts ...")
    drift_recovered: Fraction = Field(0.55, description="... until it is back above this.")
    drift_after_s: Seconds = 0.5
    scene_cut: Fraction = Field(0.55, description="Change of the picture that counts as a cut.")
    relevance_peak: Fraction = Field(
        0.25, description="Rise of text relevance that is worth a look while something is missing."
    )
    relevance_every: Count = Field(3, description="Text relevance is taken on every r-th frame.")
    budget_fraction: Fraction = Field(
        0.5,
        description="Largest share of stream time that answers may take, with cutting them out and "
        "carrying them to the present, averaged ...",
    )
    budget_window_s: Seconds = Field(20.0, description="... over this long.")
    deep: DeepConfig = DeepConfig()


class SamplerConfig(Section):
    """The hierarchical text-guided sampler (VideoSeg-R1, section 3.2) over the ring."""

    segment_s: Seconds = Field(1.0, description="Longest key segment taken from the ring.")
    segment_frames: Count = Field(6, description="Frames of the key segment shown to the reasoner.")
    reference_frames: CountOrNone = Field(2, description="Frames from the whole ring, for context.")
    warmup_frames: CountOrNone = Field(
        6, description="Frames to see before the first request, so that motion can be judged."
    )


class GrabCutConfig(Section):
    """GrabCut on a bounded crop (OpenCV)."""

    max_side: Pixels = Field(320, description="Longest side of the crop that is cut, in pixels.")
    min_side: Pixels = Field(
        160, description="A smaller crop is enlarged to this, at most 3 times."
    )
    margin: Share = Field(0.35, description="Crop margin around the box, in box sizes.")
    iterations: Few = 4
    good_score: Fraction = Field(0.9, description="A cut this good needs no second start.")
    seed: Annotated[Whole, Field(ge=0, le=2**31 - 1)] = 0


class Sam2Config(NetworkSection):
    """SAM2's image predictor on keyframes."""

    checkpoint: Words = Field(
        "sam2.1-hiera-tiny", description="A name of `streamseg models`, or a path."
    )
    points: Few = Field(
        8, description="Points beside its box that an exported prompt has room for."
    )
    box_margin: Share | None = Field(
        None,
        description="Cut masks at the box grown by this share of its size on each side; none: not.",
    )


class SalientConfig(WholeNetworkSection):
    """A small salient-object network on the crop around a box, held against GrabCut."""

    network: Words = Field(
        "u2netp", description="A name of `streamseg models`, or the path of an ONNX file."
    )
    margin: Annotated[Real, Field(ge=0.0, le=2.0)] = Field(
        0.3, description="Crop margin on each side, in sides of the box."
    )
    threshold: Fraction = Field(0.5, description="Of the network's map, from which it is object.")
    side: Annotated[Whole, Field(ge=32, le=2048)] = Field(
        320, description="Of the network's picture, where its file leaves the sizes open."
    )


class SegmentationConfig(Section):
    """Prompts to masks on a keyframe."""

    backend: Literal["grabcut", "salient", "sam2"] = "grabcut"
    grabcut: GrabCutConfig = GrabCutConfig()
    salient: SalientConfig = SalientConfig()
    sam2: Sam2Config = Sam2Config()


class FlowConfig(Section):
    """Optical flow carries the mask; colours re-cut its edge (OpenCV)."""

    max_side: Pixels = Field(640, description="Longest side of the working picture, in pixels.")
    flow_side: Pixels = Field(320, description="Longest side of the flow's picture, in pixels.")
    recut_every: Count = Field(1, description="The edge is re-cut every n-th step.")
    band: Pixels = Field(6, description="Half width of the band that is re-cut, in working pixels.")


class MemoryConfig(Section):
    """XMem's memory, by the paper's names (XMem, section 3.2 to 3.4)."""

    mem_every: Count = Field(5, description="Working memory takes every r-th frame.")
    deep_update_every: Annotated[Whole, Field(ge=-1_000_000, le=1_000_000)] = Field(
        -1, description="Sensory deep update every n-th frame; negative: with mem_every."
    )
    enable_long_term: bool = True
    top_k: Count = 30
    max_mid_term_frames: Count = Field(10, description="T_max of the working memory.")
    min_mid_term_frames: Count = Field(5, description="T_min kept at consolidation.")
    num_prototypes: Count = 128
    max_long_term_elements: Count = 10000
    max_bytes: Bytes = Field(1024 * 1024 * 1024, description="Hard cap over all three stores.")
    share_first_frame: bool = Field(
        True,
        description="As the original: the first values of an object given later move under the "
        "keys of the very first frame; false keeps them under their own.",
    )


class WindowsConfig(Section):
    """Decoding many small objects only where each can be, in cells of 16 × 16 working pixels."""

    from_objects: CountOrNone = Field(
        4, description="Fewer objects are decoded over the whole picture; 0: any number."
    )
    high: Whole = Field(
        16, ge=10, le=1024, description="A window's height; 4 cells on each side are margin."
    )
    wide: Whole = Field(16, ge=10, le=1024, description="A window's width, likewise.")
    whole_every: Count = Field(
        16, description="Every object is decoded whole once in so many frames, and when it is new."
    )


class XMemConfig(NetworkSection):
    """XMem on every frame."""

    checkpoint: Words = Field("xmem", description="A name of `streamseg models`, or a path.")
    height: Pixels = Field(480, description="Shorter side of the working picture, in pixels.")
    keep_features: Literal["none", "float16", "float32"] = Field(
        "float16",
        description="How a buffered frame's features are kept for a replay; 480x864 takes 27 MB "
        "a frame in float16, within buffer.max_bytes.",
    )
    memory: MemoryConfig = MemoryConfig()
    windows: WindowsConfig = WindowsConfig()


class Sam2PropagationConfig(NetworkSection):
    """SAM2's video network on every frame."""

    checkpoint: Words = Field(
        "sam2.1-hiera-tiny", description="A name of `streamseg models`, or a path."
    )
    keep_features: Literal["none", "float16", "float32"] = Field(
        "float16",
        description="How a buffered frame's features are kept for a replay; 8 MB a frame in "
        "float16, within buffer.max_bytes.",
    )
    bank_frames: tuple[Few, ...] = Field(
        (1, 2, 4, 7),
        min_length=1,
        max_length=32,
        description="Fills of the memory bank to have engines for; the last is the network's own.",
    )
    memories: CountOrNone = Field(
        0,
        description="Memories that all objects together attend to on a frame: each has the one "
        "given and its latest, two at least; 0: all of everyone's. 32 hold sixteen objects to some "
        "five times one, and leave four whole.",
    )
    query_rows: CountOrNone = Field(
        512,
        description="Queries compared with the memory at a time; 0: all, 470 MB an object at "
        "1024² in float16, for a GPU.",
    )


class PropagationConfig(Section):
    """Masks from frame to frame."""

    backend: Literal["flow", "xmem", "sam2"] = "flow"
    flow: FlowConfig = FlowConfig()
    xmem: XMemConfig = XMemConfig()
    sam2: Sam2PropagationConfig = Sam2PropagationConfig()


class TracksConfig(Section):
    """Ids and states."""

    uncertain_score: Fraction = Field(0.5, description="Below this a track is uncertain.")
    lost_score: Fraction = Field(0.2, description="Below this a track is lost.")
    least_words: Fraction = Field(
        0.7, description="An answer that fits the words less leaves a track uncertain."
    )
    least_cut: Fraction = Field(
        0.3, description="A keyframe's mask that fits less leaves a track uncertain."
    )
    least_belief: Fraction = Field(
        0.55, description="All three together (words, cut, carried) below this leave it uncertain."
    )
    min_area_fraction: Fraction = Field(0.0001, description="Smaller masks count as not seen.")
    match_iou: Fraction = Field(0.3, description="A grounded mask that overlaps so far refreshes.")
    fresh_margin: Fraction = Field(
        0.05, description="A fresh cut takes a mask's place though believed less by this."
    )
    halves_in_s: Seconds = Field(
        4.0, description="In this time a carried mask loses half of its worth against a fresh cut."
    )
    refind_similarity: Fraction = Field(
        0.5, description="Likeness from which a new object is a lost one come back."
    )
    retire_after_misses: Count = Field(
        2, description="Groundings in a row that do not confirm a visible track before it ends."
    )
    max_tracks: Few = 16
    forget_lost_s: Seconds = Field(300.0, description="A track lost this long is forgotten.")


class CatchupConfig(Section):
    """Carrying a late answer to the present."""

    max_stride: Count = Field(6, description="Most frames skipped a step while replaying.")
    converge_s: Seconds = Field(0.2, description="Aim to stand on the live frame within this.")


class SinksConfig(Section):
    """What is written, and how far a sink may fall behind."""

    masks: bool = Field(True, description="Write masks.jsonl, a line a frame.")
    overlay: bool = Field(True, description="Write overlay.mp4, for people.")
    images: bool = Field(False, description="Write masks/000012.png, index pictures.")
    queue_frames: Few = Field(
        16, description="Results a sink may fall behind; then live drops for it, a file waits."
    )
    close_s: Seconds = Field(10.0, description="How long sinks may take to catch up, then finish.")
    overlay_max_side: Whole = Field(
        960, ge=64, le=16_384, description="Longest side of the overlay, in pixels."
    )
    overlay_crf: Whole = Field(23, ge=0, le=51, description="x264's quality: lower is finer.")
    overlay_timeline_s: Real = Field(
        20.0, ge=0.1, le=86_400.0, description="How far back the overlay's timeline reaches."
    )


class Config(Section):
    """The whole configuration."""

    name: Words = "classical"
    description: Words = ""
    chosen: Words = Field(
        "", description="What auto says of its choice; empty where the config was named."
    )
    source: SourceConfig = SourceConfig()
    buffer: BufferConfig = BufferConfig()
    difficulty: DifficultyConfig = DifficultyConfig()
    trigger: TriggerConfig = TriggerConfig()
    sampler: SamplerConfig = SamplerConfig()
    reasoning: ReasoningConfig = ReasoningConfig()
    segmentation: SegmentationConfig = SegmentationConfig()
    propagation: PropagationConfig = PropagationConfig()
    tracks: TracksConfig = TracksConfig()
    catchup: CatchupConfig = CatchupConfig()
    sinks: SinksConfig = SinksConfig()
    offline: OfflineConfig = OfflineConfig()


def load(name_or_path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Read a shipped config by name, or any YAML file by path, and apply `a.b=value` overrides.

    "auto" stands for the best that is here without a download: the result bears that one's name,
    and says in `chosen` what would give more.

    Raises:
        ConfigError: No such config, a file that is not YAML, an unknown key, a bad value.
        OutputError: The environment names a cache of weights that can be no folder.
    """
    name, chosen = str(name_or_path), ""
    if name == AUTO:
        from streamseg.weights import auto

        choice = auto.choose()
        name, chosen = choice.config, str(choice)
    values = read_yaml(name)
    if chosen:
        values["chosen"] = chosen
    spell_out(values, Config)
    for override in overrides:
        apply_override(values, override, Config)
    return parse(values)


def parse(values: Mapping[str, Any]) -> Config:
    """Validate nested plain values.

    Raises:
        ConfigError: Naming the key, what was expected and what came.
    """
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise ConfigError(mask("; ".join(explain(error, Config)))) from None
