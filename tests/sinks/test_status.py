"""The status line tells the present moment, fits its terminal, and leaves nothing behind."""

from __future__ import annotations

import io

from results import INFO, make_result
from rich.console import Console

from streamseg.sinks.status import StatusSink, printable
from streamseg.types import SourceInfo, TrackState

LIVE = SourceInfo(name="camera", live=True)


def terminal(width: int = 120) -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=width, legacy_windows=False)


def shown(sink: StatusSink, width: int = 120) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(sink.render())
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def opened(info: SourceInfo, max_frames: int | None = None) -> StatusSink:
    sink = StatusSink(terminal(), max_frames)
    sink.open(info, "the mug")
    sink.close({})  # the display ends; the line can still be asked for
    return sink


def test_before_the_first_frame_it_waits() -> None:
    assert "waiting for the first frame" in shown(opened(LIVE))


def test_a_live_line_has_state_objects_latency_drops_and_query() -> None:
    sink = opened(LIVE)
    sink.write(make_result(0, rectangles={1: (1, 1, 9, 9), 2: (20, 20, 30, 30)}, absent=(3,)))
    sink.write(make_result(4, rectangles={1: (1, 1, 9, 9)}, state=TrackState.UNCERTAIN))
    line = shown(sink)
    for part in ("uncertain", "1 object ", "frame 2 ", "12 ms", "3 dropped", "the mug", " fps"):
        assert part in line


def test_a_files_line_has_a_bar_up_to_what_will_come() -> None:
    for sink, total in [(opened(INFO), 10), (opened(INFO, 4), 4), (opened(LIVE, 7), 7)]:
        sink.write(make_result(0))
        assert f"frame 1/{total}" in shown(sink)
        assert "━" in shown(sink)


def test_it_stays_on_one_line_of_a_narrow_terminal() -> None:
    sink = opened(INFO)
    sink.write(make_result(0, rectangles={1: (1, 1, 9, 9)}))
    assert shown(sink, width=50).count("\n") == 1


def test_it_takes_itself_away() -> None:
    console = terminal()
    sink = StatusSink(console)
    sink.open(LIVE, "the mug")
    sink.write(make_result(0))
    sink.close({})
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "\x1b[?25l" in text  # hides the cursor ...
    assert "\x1b[?25h" in text  # ... and shows it again
    assert text.rstrip().endswith("\x1b[2K")  # the line is erased last


def test_no_text_steers_the_terminal() -> None:
    assert printable("a\x1b[31m\r\n b\x07\tc") == "a[31m b c"
