"""The whole loop on a live camera: a real RTSP server that shows a ball, dies, and comes back."""

from __future__ import annotations

import numpy as np
from source_tools import RtspServer

from streamseg import StreamSegmenter
from streamseg.types import Event, FrameResult

FRAMES_TO_SEE = 15
PATIENCE_FRAMES = 1500


class Watcher:
    """Counts the frames of each epoch on which the ball has a mask that is a ball."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.good: dict[int, int] = {}
        self.ids: set[int] = set()

    def see(self, result: FrameResult) -> None:
        area = np.count_nonzero(result.masks.labels)
        height, width = result.masks.labels.shape
        bright = result.frame.image.min(axis=2) > 128
        if area and np.count_nonzero(bright & (result.masks.labels > 0)) > 0.6 * bright.sum():
            self.good[result.frame.epoch] = self.good.get(result.frame.epoch, 0) + 1
            self.ids |= {view.id for view in result.masks.objects if view.box is not None}
        assert area < 0.2 * height * width


def test_a_ball_is_followed_through_the_death_of_its_camera() -> None:
    server = RtspServer(size=(320, 240))
    watcher = Watcher()
    segmenter = StreamSegmenter.from_config("classical", ["trigger.search_retry_cap_s=0.5"])
    killed = False
    try:
        run = segmenter.run(server.url, "the white ball", on_event=watcher.events.append)
        for count, result in enumerate(run):
            watcher.see(result)
            if not killed and watcher.good.get(0, 0) >= FRAMES_TO_SEE:
                server.kill()
                server.restart((480, 360))
                killed = True
            if watcher.good.get(1, 0) >= FRAMES_TO_SEE or count >= PATIENCE_FRAMES:
                segmenter.stop()
    finally:
        server.kill()
    assert watcher.good.get(0, 0) >= FRAMES_TO_SEE
    assert watcher.good.get(1, 0) >= FRAMES_TO_SEE
    assert {"disconnected", "connected", "epoch"} <= {event.kind for event in watcher.events}
    assert watcher.ids == {1}
