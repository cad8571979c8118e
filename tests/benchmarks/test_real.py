"""The measure on real clips, run whole on a clip that is drawn here, and what it writes."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from builders import box_mask, frame

from streamseg import synthetic
from streamseg.benchmarks import clips
from streamseg.benchmarks.real import reliability, runs, sheets
from streamseg.benchmarks.real.__main__ import main
from streamseg.errors import UsageError
from streamseg.evaluation import calibration, real
from streamseg.evaluation.real import SentenceScore, Shown, Verdict
from streamseg.synthetic import ExpressionKind
from streamseg.types import TrackState

SIZE = (320, 180)
FRAMES = 12


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip, its true masks, and two sentences: one object by name, and one that is not there."""
    made = tmp_path_factory.mktemp("clips")
    scene = synthetic.scene("easy", seed=2, size=SIZE, frames=FRAMES)
    clips.encode(scene, made / "scene.mp4")
    labels = np.stack([scene.frame(index)[1] for index in range(FRAMES)])
    np.savez(made / "scene_truth.npz", labels=labels)
    plain = next(e for e in scene.expressions if e.kind is ExpressionKind.PLAIN)
    (object_id,) = plain.object_ids
    boxes = {str(at): [clips.boxes(scene, at)[object_id]] for at in (0, 5, 10)}
    absent = next(e for e in scene.expressions if e.kind is ExpressionKind.ABSENT)
    queries = [
        {"clip": "scene", "query": plain.text, "kind": "colour", "frames": {**boxes, "7": None}},
        {"clip": "scene", "query": absent.text, "kind": "absent", "frames": {"0": [], "10": []}},
    ]
    (made / "queries.json").write_text(json.dumps(queries), "utf-8")
    return made


def _run(folder: Path, *words: object) -> int:
    patient = ["--set", "reasoning.deadline_s=200"]  # however busy the machine is
    return main(["--clips", str(folder), *patient, *map(str, words)])


def test_every_sentence_is_run_and_told(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert _run(folder, "--output", out, "--json", tmp_path / "line.json") == 0
    said = capsys.readouterr()
    assert "[2/2] scene" in said.err
    assert "only what is shown as tracking" in said.out
    line = json.loads(said.out.splitlines()[-1])
    assert line == json.loads((tmp_path / "line.json").read_text("utf-8"))
    assert line["benchmark"] == "real"
    assert line["figures"]["kinds"]["colour"]["shown"]["right"] == 1.0
    assert line["figures"]["kinds"]["colour"]["mask_iou"] > 0.8
    assert line["figures"]["absent"]["sentences"] == 1
    assert line["figures"]["unanswered"] == 0
    assert line["sentences"][0]["shown"] == ["right"] * 3
    named, absent = json.loads((out / "real.json").read_text("utf-8"))["sentences"]
    assert (named["truth"], named["frames_run"], len(named["masks"])) == (
        "scene_truth.npz",
        FRAMES,
        FRAMES,
    )
    assert [each["frame"] for each in named["frames"]] == [0, 5, 10]
    assert named["answer"]
    assert (absent["truth"], absent["frames_run"]) == (None, FRAMES)
    drawn = cv2.imread(str(out / "scene.png"))
    assert drawn is not None
    assert drawn.shape[1] == sheets.WIDTH_PX
    assert cv2.imread(str(out / "reliability.png")) is not None


def test_two_processes_see_what_one_sees_and_a_run_is_taken_up_where_it_stood(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert _run(folder, "--output", out, "--kinds", "colour") == 0
    alone = capsys.readouterr()
    assert "[1/1]" in alone.err
    rows = out / "sentences.jsonl"
    with rows.open("a", encoding="utf-8") as file:
        file.write('{"position": 1, "cl')  # the run was killed while it wrote
    assert _run(folder, "--output", out, "--resume", "--jobs", 2) == 0
    resumed = capsys.readouterr()
    assert "[2/2]" in resumed.err
    assert "[1/2]" not in resumed.err
    assert len(rows.read_text("utf-8").splitlines()) == 3
    assert _run(folder, "--jobs", 2) == 0
    both = json.loads(capsys.readouterr().out.splitlines()[-1])["sentences"]
    assert both == json.loads(resumed.out.splitlines()[-1])["sentences"]
    assert both[:1] == json.loads(alone.out.splitlines()[-1])["sentences"]


def test_a_run_of_other_settings_is_not_taken_up(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs.Kept(tmp_path, {"config": "another"}, resume=False)
    assert _run(folder, "--output", tmp_path, "--resume") == 2
    assert "made with other settings" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--only", "coffee"], "no sentence of clip coffee; there are: scene"),
        (["--kinds", "class"], "no sentence of kind class; there are: absent, colour"),
        (["--queries", "none.json"], "cannot read the sentences none.json"),
        (["--config", "none"], "no config named 'none'"),
    ],
)
def test_what_cannot_be_asked_is_one_line(
    folder: Path, words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(folder, *words) == 2
    said = capsys.readouterr()
    assert complaint in said.err
    assert len(said.err.splitlines()) == 1
    assert not said.out


def _listed(folder: Path, entry: dict[str, Any]) -> Path:
    (folder / "scene.mp4").symlink_to(entry.pop("from"))
    path = folder / "queries.json"
    path.write_text(json.dumps([{"clip": "scene", "query": "a", "kind": "class", **entry}]))
    return path


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        ({"frames": {"99": [[0, 0, 9, 9]]}}, "scene.mp4 has 12 frames"),
        ({"frames": {"0": []}, "truth": "none.npz"}, "cannot read the true masks"),
        ({"frames": {"0": []}, "query": "red " * 5000}, "query"),
    ],
)
def test_a_sentence_that_cannot_be_run_is_told_and_fails_the_run(
    folder: Path,
    tmp_path: Path,
    entry: dict[str, Any],
    complaint: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _listed(tmp_path, {"from": folder / "scene.mp4", **entry})
    assert _run(tmp_path) == 1
    said = capsys.readouterr()
    line = json.loads(said.out.splitlines()[-1])
    assert line["figures"]["failed"] == 1
    assert complaint in line["sentences"][0]["error"]


def test_a_reasoner_that_is_out_of_time_is_told(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(folder, "--kinds", "colour", "--set", "reasoning.deadline_s=0.0001") == 0
    said = capsys.readouterr().out
    assert "1 sentences were not always answered in time" in said
    assert json.loads(said.splitlines()[-1])["sentences"][0]["unanswered"] > 0


def test_a_run_broken_off_tells_what_is_done(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = runs.run

    def broken(*args: Any) -> Any:
        rows = whole(*args)
        yield next(rows)
        raise KeyboardInterrupt

    monkeypatch.setattr(runs, "run", broken)
    assert _run(folder) == 1
    said = capsys.readouterr()
    assert "aborted: 1 of 2 sentences are done" in said.err
    assert json.loads(said.out.splitlines()[-1])["figures"]["sentences"] == 1


def test_a_file_that_is_not_ours_is_not_taken_up(tmp_path: Path) -> None:
    (tmp_path / runs.FILE_NAME).write_text("not ours\n", "utf-8")
    with pytest.raises(UsageError, match="none of ours"):
        runs.Kept(tmp_path, {}, resume=True)


def test_what_failed_or_was_not_answered_is_run_again(tmp_path: Path) -> None:
    kept = runs.Kept(tmp_path, {"a": 1}, resume=False)
    good = SentenceScore(0, "c", "q", "k", False, True)
    kept.add(good)
    kept.add(SentenceScore(1, "c", "q", "k", False, True, error="no frames"))
    kept.add(SentenceScore(2, "c", "q", "k", False, True, unanswered=1))
    assert asdict(runs.Kept(tmp_path, {"a": 1}, resume=True).rows[0]) == asdict(good)
    assert list(runs.Kept(tmp_path, {"a": 1}, resume=True).rows) == [0]


def test_a_panel_shows_the_mask_the_true_box_and_the_verdict() -> None:
    picture = frame(3, size=(632, 316))
    mask = box_mask((200, 100, 400, 200), (632, 316))
    shown = [Shown(mask, (200.0, 100.0, 400.0, 200.0), 0.9, TrackState.TRACKING)]
    truth = [(100.0, 50.0, 500.0, 300.0)]
    score = real.score_frame(3, truth, shown)
    assert score.shown is Verdict.PARTLY
    made = sheets.panel(picture, shown, truth, score)
    assert made.shape == (158 + 20, sheets.PANEL_PX, 3)
    assert tuple(made[-1, -1]) == sheets.VERDICT_COLOURS[Verdict.PARTLY]
    assert tuple(made[75, 150]) != (128, 128, 128)  # under the mask
    assert tuple(made[75, 60]) == (128, 128, 128)  # inside the true box alone
    assert sheets.WHITE in {tuple(pixel) for pixel in made[25, 50:250].tolist()}


@pytest.mark.parametrize("size", [(90, 160), (160, 90), (2000, 40)])
def test_a_panel_is_as_wide_for_every_clip(size: tuple[int, int]) -> None:
    tiny = np.zeros((size[1], size[0]), bool)
    tiny[size[1] // 2, size[0] // 2] = True
    shown = [Shown(tiny, (0.0, 0.0, 1.0, 1.0), 0.9, TrackState.UNCERTAIN)]
    made = sheets.panel(frame(size=size), shown, None, None)
    assert made.shape[1] == sheets.PANEL_PX
    assert made.shape[0] <= sheets.PANEL_PX + 20


def test_the_diagram_draws_bins_full_and_empty() -> None:
    found = calibration.bins([(0.95, 1.0), (0.95, 0.0), (0.35, 0.0)])
    plots = [reliability.Plot("one", "share right", found)] * 2
    made = reliability.diagram(plots)
    ours = {tuple(pixel) for pixel in made.reshape(-1, 3).tolist()}
    assert {reliability.BARS, reliability.MISSED, reliability.COUNTS} <= ours
    empty = reliability.diagram([reliability.Plot("none", "share right", calibration.bins([]))])
    assert empty.shape[1] * 2 == made.shape[1]
    assert reliability.BARS not in {tuple(pixel) for pixel in empty.reshape(-1, 3).tolist()}
