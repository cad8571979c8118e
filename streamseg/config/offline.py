"""Settings of the offline pipeline: the paper's sampler, and what may be held in memory."""

from __future__ import annotations

from pydantic import Field

from streamseg.config.bounds import Bytes, Count, CountOrNone, Few, Fraction, Section


class OfflineConfig(Section):
    """A whole video, target frame first, carried in both directions (VideoSeg-R1, section 3).

    The paper publishes none of K, δ, M, the limit of rounds and the number of references.
    """

    intervals: Few = Field(3, description="K: answers averaged for the key segment.")
    delta: Fraction = Field(
        0.3, description="δ: a key segment longer than this share of the video is asked about ..."
    )
    rounds: CountOrNone = Field(4, description="... again, at most so many times.")
    positions: Few = Field(3, description="M: answers averaged for the target frame's place.")
    guide_frames: Few = Field(
        16, ge=2, description="Frames shown with each of these questions, where a model answers."
    )
    segment_frames: Few = Field(8, description="Frames of the key segment shown to the reasoner.")
    reference_frames: Few = Field(
        8, description="Frames of the whole video for context, closer where more changes."
    )
    tries: Count = Field(
        5, description="Target frames tried, the best first, where nothing is found on one."
    )
    held_bytes: Bytes = Field(
        256 * 1024 * 1024,
        description="Pictures held while the video is read backwards; less decodes more often.",
    )
