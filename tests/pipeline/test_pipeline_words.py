"""What the loop says of words that are not understood: once, on every result, in the summary."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from builders import ListSource

from streamseg import StreamSegmenter, cli, synthetic
from streamseg.types import Event, Frame, FrameResult

SCENE = synthetic.scene("easy", 1, size=(320, 180), frames=60)
PLAIN = next(e.text for e in SCENE.expressions if e.kind == "plain")
CANNOT_TELL = "the widget"


def run(
    segmenter: StreamSegmenter, *queries: str, frames: int = 60
) -> tuple[list[FrameResult], list[Event]]:
    """Run the scene, with another query every 20 frames."""
    events: list[Event] = []
    source = ListSource(Frame(i, round(i * 1e9 / 30), 0, SCENE.frame(i)[0]) for i in range(frames))
    results = []
    for result in segmenter.run(source, queries[0], on_event=events.append):
        results.append(result)
        turn = (result.frame.index + 1) // 20
        if (result.frame.index + 1) % 20 == 0 and turn < len(queries):
            segmenter.set_query(queries[turn])
    return results, [event for event in events if event.kind == "words"]


@pytest.fixture(scope="module")
def segmenter() -> StreamSegmenter:
    return StreamSegmenter.from_config("classical")


def test_a_sentence_that_is_understood_leaves_no_doubt(segmenter: StreamSegmenter) -> None:
    results, told = run(segmenter, PLAIN, frames=15)
    assert told == []
    assert {result.doubt for result in results} == {""}
    grounding = segmenter.summary()["groundings"][0]
    assert (grounding["understood"], grounding["cannot_tell"]) == (1.0, False)


def test_a_word_that_is_not_understood_is_told_once_for_a_query(segmenter: StreamSegmenter) -> None:
    results, told = run(segmenter, CANNOT_TELL, frames=50)
    assert segmenter.summary()["groundings_total"] > 1
    assert [event.message for event in told] == [
        "cannot tell which thing is meant; 'widget' is not understood; "
        "say its colour, size or place, or point at it"
    ]
    assert not any(result.masks.labels.any() for result in results)
    assert results[-1].doubt == "cannot tell; not understood: widget"
    grounding = segmenter.summary()["groundings"][-1]
    assert grounding["cannot_tell"] is True
    assert grounding["understood"] == 0.0
    assert grounding["words"] == [
        {
            "text": "widget",
            "use": "unknown",
            "taken_as": "whatever stands out",
            "known_to": "",
        }
    ]


def test_doubt_belongs_to_its_query(segmenter: StreamSegmenter) -> None:
    results, told = run(segmenter, CANNOT_TELL, PLAIN, CANNOT_TELL)
    assert len(told) == 2
    doubted = [bool(result.doubt) for result in results]
    assert doubted[19]
    assert not any(doubted[20:40])
    assert doubted[59]


def test_the_command_line_says_it_unless_it_is_to_be_quiet(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = ("run", "-s", "synthetic:easy?seed=1&size=320x180&frames=5", "-q", "the mug")
    for more, said in (((), 1), (("--quiet", "--output", str(tmp_path)), 0)):
        with pytest.raises(SystemExit) as done:
            cli.main([*words, *more])
        out, err = capsys.readouterr()
        assert done.value.code == 0
        assert err.count("'mug' is known only roughly") == said
        assert err.count("--config everyday knows 'mug'") == said
        assert out.count("cannot tell") == said
    (grounding,) = json.loads((tmp_path / "summary.json").read_text())["groundings"]
    assert [word["known_to"] for word in grounding["words"]] == ["everyday"]
