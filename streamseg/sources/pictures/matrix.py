"""Finds the display matrix that travels with a decoded frame, mirroring and all."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import cast

import numpy as np
from av.filter import Graph
from av.sidedata.sidedata import SideData, Type
from av.video.frame import VideoFrame

_NUMBERS = 9
_NEWEST_TYPE = 40  # of FFmpeg's kinds of side data, with room for some to come


def display_matrix(frame: VideoFrame) -> Sequence[int] | None:
    """The nine numbers of the frame's display matrix; None where it has none."""
    try:
        found = tuple(frame.side_data)
    except ValueError:  # side data that FFmpeg knows and PyAV does not, such as a JPEG's EXIF
        found = tuple(_with_known_data(frame).side_data)
    # Its stubs call it a mapping, but what it iterates over is the data itself.
    for data in cast(tuple[SideData, ...], found):
        if data.type is Type.DISPLAYMATRIX:
            return cast(list[int], np.frombuffer(bytes(data), np.int32, _NUMBERS).tolist())
    return None


def _with_known_data(frame: VideoFrame) -> VideoFrame:
    known = {kind.value for kind in Type}
    graph = Graph()
    nodes = [
        graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 1000)
        )
    ]
    unknown = sorted(set(range(_NEWEST_TYPE)) - known)
    nodes += [graph.add("sidedata", f"mode=delete:type={number}") for number in unknown]
    nodes.append(graph.add("buffersink"))
    graph.link_nodes(*nodes).configure()
    graph.vpush(frame)
    return graph.vpull()
