"""The chat endpoint, asked for real over HTTP: a local server that answers well and badly."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from chat_server import (
    LIST,
    MUG,
    Behaviour,
    ChatServer,
    after,
    drips,
    fails,
    hangs,
    hangs_up,
    says,
)
from command_line import caller

from streamseg import config as configs
from streamseg import reasoning
from streamseg.config import RemoteConfig
from streamseg.errors import ConfigError, ReasoningError
from streamseg.reasoning import GroundingRequest
from streamseg.reasoning.models.chat import ChatReasoner
from streamseg.reasoning.models.remote import RemoteChat
from streamseg.types import Frame, GroundingMode, Speed

KEY = "sk-S3cr3tThatNobodySees"
TRUTH = (320.0, 180.0, 640.0, 360.0)
"""Of a 1280x720 frame: what (64, 36, 128, 72) is where 256x144 are shown ..."""


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("VISION_KEY", KEY)


def frame(index: int) -> Frame:
    image = np.full((720, 1280, 3), (255, 128, 0), np.uint8)
    return Frame(index, index * 100_000_000, 0, image)


def request(mode: GroundingMode = GroundingMode.REASONING, budget: int = 40) -> GroundingRequest:
    frames = tuple(frame(k) for k in range(4))
    return GroundingRequest("The blue mug.", frames[2], frames, (frame(9),), mode, budget)


def reasoner(server: ChatServer, deadline_s: float = 10.0, **settings: Any) -> ChatReasoner:
    given = {"model": "Qwen/Qwen3-VL-8B", "retry_s": 0.01, "key_env": "VISION_KEY", **settings}
    return ChatReasoner(RemoteChat(RemoteConfig(url=server.url, **given)), 8, deadline_s)


def refused(behaviour: Behaviour, *, calls: int = 1, **settings: Any) -> str:
    """What is said when the endpoint behaves so every time."""
    with ChatServer(behaviour) as server:
        with pytest.raises(ReasoningError) as caught:
            reasoner(server, **settings).ground(request())
        assert len(server.bodies) == calls
    said = str(caught.value)
    assert "\n" not in said
    assert KEY not in said
    return said


def test_an_answer_in_the_frames_own_pixels() -> None:
    with ChatServer(says(MUG.replace("[64, 36, 128, 72]", "[250, 250, 500, 500]"))) as server:
        found = reasoner(server).ground(request())
    (target,) = found.targets
    assert target.box == TRUTH
    assert target.label == "a mug"
    assert found.reasoning == "It is blue."
    assert found.tokens == 21
    assert found.seconds > 0


def test_what_is_sent() -> None:
    with ChatServer(says(MUG)) as server:
        reasoner(server, pixels=96 * 32 * 32, context_pixels=66_000).ground(request())
    assert server.paths == ["/v1/chat/completions"]
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"
    (body,) = server.bodies
    assert body["model"] == "Qwen/Qwen3-VL-8B"
    assert body["max_tokens"] == 2 * 40 + 640
    assert body["temperature"] == 0.0
    assert "response_format" not in body
    system, user = body["messages"]
    assert system["role"] == "system"
    pictures = [part["image_url"]["url"] for part in user["content"] if part["type"] == "image_url"]
    assert len(pictures) == 5
    shapes = []
    for url in pictures:
        assert url.startswith("data:image/jpeg;base64,")
        raw = np.frombuffer(base64.b64decode(url.partition(",")[2]), np.uint8)
        image = cv2.imdecode(raw, cv2.IMREAD_COLOR)
        assert np.abs(image.reshape(-1, 3).mean(axis=0) - (0, 128, 255)).max() < 4
        shapes.append(image.shape[:2])
    assert shapes == [(224, 352)] * 4 + [(224, 416)]
    text = "\n".join(part.get("text", "") for part in user["content"])
    assert '"the blue mug"' in text


def test_boxes_in_pixels_of_the_picture_that_was_sent() -> None:
    with ChatServer(says(MUG)) as server:
        asked = reasoner(
            server, model="qwen2.5vl:7b", pixels=252 * 140, image_format="png", key_env=""
        )
        found = asked.ground(request())
    url = server.bodies[0]["messages"][1]["content"][-2]["image_url"]["url"]
    raw = np.frombuffer(base64.b64decode(url.partition(",")[2]), np.uint8)
    height, width = cv2.imdecode(raw, cv2.IMREAD_COLOR).shape[:2]
    assert (width, height) == (224, 140)
    assert url.startswith("data:image/png")
    expected = (64 * 1280 / 224, 36 * 720 / 140, 128 * 1280 / 224, 72 * 720 / 140)
    assert found.targets[0].box == pytest.approx(expected)
    assert "authorization" not in server.headers[0]


def test_no_thinking_is_asked_for_where_it_is_easy() -> None:
    with ChatServer(says(f"<answer>{LIST}</answer>")) as server:
        found = reasoner(server).ground(request(GroundingMode.FAST))
    assert len(found.targets) == 1
    assert server.bodies[0]["max_tokens"] == 640
    assert "without explaining" in json.dumps(server.bodies[0]["messages"])


def test_nothing_and_cannot_tell_are_different_answers() -> None:
    with ChatServer(says("<answer>[]</answer>"), says('{"cannot_tell": true}')) as server:
        asked = reasoner(server)
        nothing, undecided = asked.ground(request()), asked.ground(request())
    assert (nothing.targets, nothing.cannot_tell) == ((), False)
    assert (undecided.targets, undecided.cannot_tell) == ((), True)


def test_answers_held_to_a_schema() -> None:
    whole = {"thinking": "It is blue.", "objects": json.loads(LIST), "cannot_tell": False}
    with ChatServer(says(json.dumps(whole))) as server:
        found = reasoner(server, json_schema=True).ground(request())
    assert found.reasoning == "It is blue."
    assert len(found.targets) == 1
    form = server.bodies[0]["response_format"]
    assert form["type"] == "json_schema"
    assert set(form["json_schema"]["schema"]["required"]) == {"thinking", "objects", "cannot_tell"}


def test_thinking_in_a_field_of_its_own_and_text_in_parts() -> None:
    parts: Any = [
        {"type": "text", "text": f"<answer>{LIST}"},
        {"type": "text", "text": "</answer>"},
    ]
    with ChatServer(says(parts, reasoning_content="It is blue.")) as server:
        found = reasoner(server).ground(request())
    assert found.reasoning == "It is blue."
    assert len(found.targets) == 1


def test_thinking_cut_off_for_its_length_is_followed_by_a_turn_that_asks_for_the_answer() -> None:
    endless = "<think>It may be this, or that, or"
    with ChatServer(says(endless, "length"), says(f"{LIST}")) as server:
        found = reasoner(server).ground(request())
    assert len(found.targets) == 1
    assert found.tokens == 42
    assert found.reasoning.startswith("It may be this")
    assert "asked to answer" in found.reasoning
    second = server.bodies[1]
    assert [message["role"] for message in second["messages"]] == [
        *("system", "user", "assistant", "user")
    ]
    assert second["messages"][2]["content"] == endless
    assert second["max_tokens"] == 640


@pytest.mark.parametrize("first", [fails(500), fails(429, b"{}"), fails(503), hangs_up])
def test_what_passes_is_tried_again(first: Behaviour) -> None:
    with ChatServer(first, first, says(MUG)) as server:
        found = reasoner(server).ground(request())
        assert len(server.bodies) == 3
    assert len(found.targets) == 1


def test_a_server_that_says_when_is_asked_then() -> None:
    with ChatServer(fails(429, b"", Retry_After="0.4"), says(MUG)) as server:
        started = time.monotonic()
        reasoner(server).ground(request())
        assert time.monotonic() - started >= 0.4


def test_a_wait_past_the_deadline_is_not_waited() -> None:
    started = time.monotonic()
    said = refused(
        fails(429, b'{"error": {"message": "slow down"}}', Retry_After="25"), deadline_s=2.0
    )
    assert time.monotonic() - started < 8.0
    assert "HTTP 429: slow down" in said


def test_tries_are_counted() -> None:
    assert "HTTP 500: nothing" in refused(fails(500), calls=4, retries=3)
    assert "HTTP 500" in refused(fails(500), calls=1, retries=0)


def test_an_endpoint_that_hangs_costs_the_deadline_at_most() -> None:
    started = time.monotonic()
    assert "no answer within" in refused(hangs, deadline_s=2.0)
    assert time.monotonic() - started < 8.0


def test_an_endpoint_that_hangs_once_is_tried_again_in_time() -> None:
    with ChatServer(hangs, says(MUG)) as server:
        found = reasoner(server, timeout_s=0.3).ground(request())
    assert len(found.targets) == 1
    assert 0.3 < found.seconds < 8.0


def test_an_answer_in_drops_ends_with_the_deadline() -> None:
    started = time.monotonic()
    assert "not whole when the time was over" in refused(drips, deadline_s=2.0)
    assert time.monotonic() - started < 8.0


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        (fails(200, b"<html>Welcome</html>", "text/html"), "a chat completion, got <html>"),
        (fails(200, b""), "a chat completion, got nothing"),
        (fails(200, b"[" * 100_000), "a chat completion, got [["),
        (fails(200, b"[1]"), "a chat completion, got [1]"),
        (fails(200, b'{"choices": []}'), "a chat completion, got"),
        (fails(200, b'{"choices": [{"message": null}]}'), "a chat completion, got"),
        (says(None), "expected text in its answer, got none"),
        (says("  "), "expected text in its answer, got none"),
        (says(None, refusal="I may not."), "the model refused: I may not."),
        (says("I cannot see any image."), "got 'I cannot see any image.'"),
        (says("<answer>[1, 2"), "expected a list of objects"),
        (fails(400, b'{"error": {"message": "no image\\n input"}}'), "HTTP 400: no image input"),
        (fails(401, f'{{"error": "bad key {KEY}"}}'.encode()), "is the key in VISION_KEY right?"),
        (fails(404, b"not here"), "is reasoning.remote.url up to /v1"),
        (fails(301, b"", Location="http://example.com/"), "points elsewhere"),
        (fails(200, b" " * (5 * 2**20)), "longer than"),
    ],
)  # fmt: skip
def test_bad_answers_are_told_in_one_line(behaviour: Behaviour, said: str) -> None:
    assert said in refused(behaviour)


def test_nobody_listens() -> None:
    with ChatServer(says(MUG)) as server:
        url = server.url
    config = RemoteConfig(url=url, model="qwen3-vl", retry_s=0.01)
    with pytest.raises(ReasoningError, match="ConnectError"):
        ChatReasoner(RemoteChat(config), 8, 2.0).ground(request())


def test_objects_of_another_convention_are_told_apart_from_nothing() -> None:
    said = refused(says(MUG.replace("[64, 36, 128, 72]", "[1500, 1500, 1800, 1900]")))
    assert "is the model's convention the right one?" in said


def test_the_same_connection_serves_many_questions() -> None:
    with ChatServer(after(0.0, says(MUG))) as server:
        asked = reasoner(server)
        for _ in range(3):
            asked.ground(request())
    assert len(server.bodies) == 3


def test_a_key_must_be_there_and_never_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = RemoteConfig(url="http://localhost/v1", model="qwen3-vl", key_env="VISION_KEY")
    assert KEY not in repr(RemoteChat(settings))
    monkeypatch.setenv("VISION_KEY", "two words")
    with pytest.raises(ConfigError, match="printable ASCII") as caught:
        RemoteChat(settings)
    assert "two words" not in str(caught.value)
    monkeypatch.delenv("VISION_KEY")
    with pytest.raises(ConfigError, match="expected a key in the environment variable VISION_KEY"):
        RemoteChat(settings)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"url": "localhost:8000"}, "expected a URL such as"),
        ({"url": "ftp://host/v1"}, "expected a URL such as"),
        ({"url": "http://user:word@host/v1"}, "without a user, a password"),
        ({"url": "https://host/v1?api-key=word"}, "without a user, a password"),
        ({"key_env": "sk-not a name"}, "expected the name of an environment variable"),
        ({"retries": 11}, "less than or equal to 10"),
        ({"key": "word"}, "unknown config key"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        configs.parse({"reasoning": {"remote": settings}})


def test_a_config_names_an_endpoint() -> None:
    chosen = {"deep": {"backend": "remote", "deadline_s": 5.0}}
    with pytest.raises(ConfigError, match=r"reasoning\.remote\.url: expected one, got none"):
        reasoning.prepare(configs.parse({"reasoning": chosen}).reasoning)
    with ChatServer(says(MUG)) as server:
        remote: dict[str, Any] = {"url": server.url, "model": "gpt-4o"}
        with pytest.raises(ConfigError, match="set convention to one of"):
            reasoning.prepare(configs.parse({"reasoning": {**chosen, "remote": remote}}).reasoning)
        remote["convention"] = "thousand"
        whole = configs.parse({"reasoning": {**chosen, "remote": remote}}).reasoning
        reasoning.prepare(whole)
        assert len(reasoning.build(whole, Speed.DEEP).ground(request()).targets) == 1


def test_the_papers_other_questions() -> None:
    frames = [frame(k) for k in (10, 20, 30)]
    rated = '{"scene_complexity": 3, "segmentation_challenge": 5, "temporal_ambiguity": 2, '
    rated += '"motion_complexity": 4, "linguistic_ambiguity": 1}'
    answers = ("<answer>[1.0, 2.5]</answer>", "<answer>40 %</answer>", rated, "I do not know.")
    with ChatServer(*map(says, answers)) as server:
        asked = reasoner(server, json_schema=True)
        assert asked.interval("the mug", frames, 7.0, 12.0) == (8.0, 9.5)
        assert asked.position("the mug", frames) == 0.4
        assert asked.difficulty("the mug", frames).value == 3.0
        with pytest.raises(ReasoningError, match="expected a number from 0 to 1"):
            asked.position("the mug", frames)
    assert all("response_format" not in body for body in server.bodies)
    pictures = [part for part in server.bodies[0]["messages"][1]["content"] if "image_url" in part]
    assert len(pictures) == 3


def test_objects_without_a_label_bear_the_sentence() -> None:
    listed = LIST.replace(', "label": "a mug"', "")
    with ChatServer(says(f"<answer>{listed}</answer>")) as server:
        (target,) = reasoner(server).ground(request()).targets
    assert target.label == "The blue mug."


def test_a_whole_run_over_an_endpoint_shows_its_key_nowhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with ChatServer(fails(401, f"bad key {KEY}".encode()), says(MUG)) as server:
        settings = [
            "reasoning.backend=remote",
            f"reasoning.remote.url={server.url}",
            "reasoning.remote.model=qwen3-vl",
            "reasoning.remote.key_env=VISION_KEY",
        ]
        words = ["run", "--source", "synthetic:easy?seed=1", "--query", "the mug"]
        words += ["--max-frames", "30", "--output", str(tmp_path)]
        code, out, err = caller(capsys)(*words, *(f"--set={each}" for each in settings))
    assert code == 0, err
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"
    written = "".join(path.read_text("utf-8", "replace") for path in tmp_path.glob("*.json*"))
    assert "a mug" in written
    assert KEY not in out + err + written


def test_where_in_the_video_it_is() -> None:
    frames = tuple(frame(k) for k in (0, 1, 4, 10))  # at 0, 0.1, 0.4 and 1 s
    asked = GroundingRequest("The blue mug.", frames[0], frames, mode=GroundingMode.SEGMENT)
    placed = GroundingRequest("The blue mug.", frames[0], frames, mode=GroundingMode.FRAME)
    with ChatServer(says("<answer>[0.2, 0.75]</answer>"), says("<answer>0.5</answer>")) as server:
        asking = reasoner(server)
        assert asking.locate(asked).where == pytest.approx((0.2, 0.75))
        # Halfway among four frames is halfway between the second and the third.
        assert asking.locate(placed).where == pytest.approx((0.25,))
    with ChatServer(says("It is there all the time.")) as server, pytest.raises(ReasoningError):
        reasoner(server).locate(asked)
