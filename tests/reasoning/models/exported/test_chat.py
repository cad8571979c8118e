"""What was exported answers as torch does: word for word, within the same limits, without torch."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
import vlm_layouts
from exported_reasoners import SMALL, Pair, frames, question

from streamseg import config as configs
from streamseg import reasoning
from streamseg.engines.onnx_session import OnnxRuntimeOptions
from streamseg.errors import ReasoningError
from streamseg.reasoning import GroundingRequest
from streamseg.reasoning.language.prompt import Prompt
from streamseg.reasoning.models.chat import ChatReasoner
from streamseg.reasoning.models.exported import record
from streamseg.reasoning.models.exported.chat import ExportedChat
from streamseg.reasoning.models.exported.graphs import Graphs
from streamseg.types import GroundingMode, Speed

BOXES = {
    "qwen2_vl": (2.4, 0.9, 7.2, 3.6),
    "qwen2_5_vl": (20 * 120 / 84, 10 * 90 / 56, 60 * 120 / 84, 40 * 90 / 56),
    "qwen3_vl": (2.4, 0.9, 7.2, 3.6),
}
SIZES = [(120, 90), (333, 97), (64, 251), (500, 61)]
every_kind = pytest.mark.parametrize("kind", vlm_layouts.KINDS)


@pytest.fixture(scope="module")
def chats(pairs: dict[str, Pair]) -> dict[str, ExportedChat]:
    return {kind: ExportedChat.open(pair.settings()) for kind, pair in pairs.items()}


@every_kind
def test_a_question_is_answered_in_the_frames_pixels(
    chats: dict[str, ExportedChat], kind: str
) -> None:
    shown = frames()
    request = GroundingRequest("The mug.", shown[1], tuple(shown), (), token_budget=40)
    found = ChatReasoner(chats[kind], 8, 120.0).ground(request)
    (target,) = found.targets
    assert target.box == pytest.approx(BOXES[kind])
    assert found.reasoning == "It is blue."
    assert found.tokens == len("It is blue.</think>")


@every_kind
def test_tokens_are_those_of_transformers_own_greedy_generate(
    pairs: dict[str, Pair], kind: str
) -> None:
    """Pictures of odd sizes, one and several; the head is not the one that was taught, so that
    tokens hang on all that is seen."""
    pair = pairs[kind]
    described = record.read(record.find(str(pair.exported)))
    place = record.find(str(pair.exported))
    graphs = Graphs.open(place, described, "fp32", OnnxRuntimeOptions(threads=1))
    network = pair.vlm._network
    for count, size in enumerate(SIZES):
        asked = question(pair.vlm, frames(size, 1 + count % 3))
        inputs, _ = pair.vlm._composer.compose(asked)
        given = {key: torch.from_numpy(array) for key, array in inputs.items()}
        with torch.inference_mode():
            wrote = network.generate(**given, max_new_tokens=20, min_new_tokens=20, do_sample=False)
        expected = wrote[0, inputs["input_ids"].shape[1] :].tolist()
        found: list[int] = []
        logits = graphs.begin(inputs)
        while len(found) < 20:
            logits[list(described.ends)] = -np.inf  # as min_new_tokens does
            found.append(int(logits.argmax()))
            assert graphs.length == inputs["input_ids"].shape[1] + len(found) - 1
            logits = graphs.go_on(found[-1])
        assert found == expected
        assert len(set(found)) > 3


@every_kind
def test_both_backends_write_the_same(
    pairs: dict[str, Pair], chats: dict[str, ExportedChat], kind: str
) -> None:
    """Prompts of several lengths, one after another, over budget and within."""
    vlm, exported = pairs[kind].vlm, chats[kind]
    for size, thinks, budget in ((SIZES[1], True, 20), (SIZES[2], False, 9)):
        asked = question(vlm, frames(size), thinks, budget)
        assert exported.complete(asked, until=1e9) == vlm.complete(asked, until=1e9)


def test_over_its_budget_a_model_is_steered_to_answer(chats: dict[str, ExportedChat]) -> None:
    chat = chats["qwen2_5_vl"]
    asked = question(chat)
    wrote = chat.complete(Prompt(asked.system, asked.parts, True, budget=4), until=1e9)
    assert wrote.text.startswith("<think>It i\n</think>\n<answer>")
    assert "over its budget, steered to answer" in wrote.notes
    assert wrote.tokens == 4 + len("\n</think>")


def test_a_late_model_is_stopped_by_the_deadline(chats: dict[str, ExportedChat]) -> None:
    chat = chats["qwen3_vl"]
    wrote = chat.complete(question(chat), until=0.0)
    assert "stopped by the deadline" in wrote.notes
    assert len(wrote.text) < 40


def test_a_model_in_circles_is_told_of(
    chats: dict[str, ExportedChat], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every token as likely: the first, for ever."""
    chat = chats["qwen3_vl"]
    run = Graphs._run

    def flat(self: Graphs, *given: Any) -> Any:
        return np.zeros_like(run(self, *given))

    monkeypatch.setattr(Graphs, "_run", flat)
    shown = frames()
    quick = GroundingRequest("x", shown[1], (shown[1],), (), GroundingMode.FAST, 40)
    with pytest.raises(ReasoningError, match="the model repeats itself"):
        ChatReasoner(chat, 8, 1e6).ground(quick)


def test_a_random_model_held_to_the_grammar_gives_an_answer(pairs: dict[str, Pair]) -> None:
    settings = pairs["qwen3_vl"].settings(grammar=True, answer_tokens=640)
    chat = ExportedChat.open(settings, most=2)
    wrote = chat.complete(question(chat, budget=5), until=1e9)
    assert wrote.text.partition("<answer>")[2].startswith(("[", "{"))


def test_the_whole_way_from_a_config(pairs: dict[str, Pair]) -> None:
    chosen = configs.parse(
        {
            "reasoning": {
                "max_targets": 4,
                "deep": {"backend": "exported", "deadline_s": 300.0},
                "exported": pairs["qwen3_vl"].settings().model_dump(),
            }
        }
    ).reasoning
    reasoning.prepare(chosen)
    reasoner = reasoning.build(chosen, Speed.DEEP)
    shown = frames()
    found = reasoner.ground(
        GroundingRequest("The mug.", shown[1], tuple(shown), (), token_budget=40)
    )
    assert found.targets[0].box == pytest.approx(BOXES["qwen3_vl"])


WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None  # its import raises ImportError
sys.path.insert(0, sys.argv[1])
import numpy as np
from streamseg.config import ExportedConfig
from streamseg.reasoning.language import prompt
from streamseg.reasoning.models.chat import scale_for
from streamseg.reasoning.models.exported.chat import ExportedChat
from streamseg.types import Frame
chat = ExportedChat.open(ExportedConfig(
    folder=sys.argv[2], pixels=3136, context_pixels=3136, answer_tokens=100, threads=1))
random = np.random.default_rng(0)
shown = [Frame(k, k * 100_000_000, 0, random.integers(0, 255, (90, 120, 3), np.uint8))
         for k in range(2)]
scale = scale_for(chat, shown[1])
asked = prompt.grounding("the mug", shown[1], shown, [], scale, chat.family.convention, True, 40)
print(chat.complete(asked, 1e9).text)
"""


def test_no_torch_is_needed(pairs: dict[str, Pair]) -> None:
    pair = pairs["qwen2_5_vl"]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, "", str(pair.exported)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    expected = pair.vlm.complete(question(pair.vlm), until=1e9)
    assert done.stdout.strip() == expected.text


def test_a_network_whose_logits_are_no_numbers_is_told_of(
    chats: dict[str, ExportedChat], monkeypatch: pytest.MonkeyPatch
) -> None:
    chat = chats["qwen2_vl"]
    monkeypatch.setattr(
        Graphs, "see", lambda *_: np.full((1, 4, vlm_layouts.HIDDEN), np.nan, np.float32)
    )
    asked = question(chat, frames((56, 56), 1))
    with pytest.raises(ReasoningError, match="logits are not finite") as caught:
        chat.complete(asked, until=1e9)
    assert "reasoning.exported.precision" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_prompt_that_lost_its_pictures_is_told_of(chats: dict[str, ExportedChat]) -> None:
    chat = chats["qwen2_vl"]
    asked = question(chat)
    tokenizer = chat._composer.tokenizer
    held = tokenizer.chat_template
    tokenizer.chat_template = "{{ messages[0]['content'] }}"
    try:
        with pytest.raises(ReasoningError, match="expected 2 pictures in it, got 0"):
            chat.complete(Prompt(asked.system, asked.parts, True, 40), until=1e9)
    finally:
        tokenizer.chat_template = held


def test_settings_are_those_of_vlm() -> None:
    """What is not about where it runs is one section, with one default."""
    shared = set(configs.WritingSection.model_fields)
    assert shared >= {"grammar", "most_thinking", "pixels", "context_frames", "answer_tokens"}
    assert set(SMALL) - {"threads"} <= shared
