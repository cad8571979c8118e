"""A whole video, in the paper's order: the one other file that knows several stages.

    first reading -> sampler -> reasoning -> segmentation -> propagation, back and on -> sinks

VideoSeg-R1's three stages (section 3): the sampler chooses a target frame, the reasoner points at
what the sentence means on it, it is cut out there, and carried to both ends of the video. What is
carried back is kept as runs on disk until it can be written in time order. Pictures are read
again whenever they are needed, so memory does not grow with the video.
"""

from __future__ import annotations

from collections.abc import Callable

from streamseg.video.time_left import Progress

OnProgress = Callable[[Progress], None]
