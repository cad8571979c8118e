"""Between two threads: everything in order, or the newest and a count."""

from __future__ import annotations

import threading
import time

import pytest
from builders import frame

from streamseg.errors import SourceError
from streamseg.sources import StreamEnded
from streamseg.sources.playing.mailbox import Mailbox


def test_newest_frame_wins_and_the_rest_is_counted() -> None:
    mailbox = Mailbox(1, keep_newest=True)
    for index in range(5):
        assert mailbox.put(frame(index))
    got = mailbox.get(0)
    assert got is not None
    assert got.index == 4
    assert mailbox.dropped == 4
    assert mailbox.get(0) is None


def test_ordered_writer_waits_for_the_reader() -> None:
    mailbox = Mailbox(2, keep_newest=False)
    writer = threading.Thread(target=lambda: [mailbox.put(frame(i)) for i in range(20)])
    writer.start()
    got = [mailbox.get(5) for _ in range(20)]
    writer.join(5)
    assert [each.index for each in got if each] == list(range(20))
    assert mailbox.dropped == 0


def test_end_comes_after_the_frames_that_wait() -> None:
    mailbox = Mailbox(2, keep_newest=False)
    mailbox.put(frame(0))
    mailbox.end(SourceError("broken"))
    mailbox.end(StreamEnded())
    assert mailbox.get(0) is not None
    for _ in range(2):
        with pytest.raises(SourceError, match="broken"):
            mailbox.get(0)


def test_close_wakes_the_reader() -> None:
    mailbox = Mailbox(1, keep_newest=True)
    threading.Timer(0.05, mailbox.close).start()
    begun_s = time.monotonic()
    with pytest.raises(StreamEnded):
        mailbox.get(30)
    assert time.monotonic() - begun_s < 10


def test_close_wakes_the_writer() -> None:
    mailbox = Mailbox(1, keep_newest=False)
    mailbox.put(frame(0))
    threading.Timer(0.05, mailbox.close).start()
    assert not mailbox.put(frame(1))
