"""Vision-language networks of true layouts: tiny, random, and taught one answer by their heads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
import vlm_layouts
from transformers import GenerationConfig, Qwen2VLImageProcessorPil
from transformers.models.qwen2_5_vl.processing_qwen2_5_vl import Qwen2_5_VLProcessor
from transformers.models.qwen2_vl.processing_qwen2_vl import Qwen2VLProcessor
from transformers.models.qwen3_vl.processing_qwen3_vl import Qwen3VLProcessor

from streamseg import config as configs
from streamseg import reasoning
from streamseg.config import VlmConfig
from streamseg.errors import CheckpointError, ConfigError, ReasoningError
from streamseg.reasoning import GroundingRequest
from streamseg.reasoning.language import prompt
from streamseg.reasoning.language.prompt import Prompt
from streamseg.reasoning.models.chat import ChatReasoner, scale_for
from streamseg.reasoning.models.composing import sized
from streamseg.reasoning.models.vlm import VlmChat
from streamseg.types import Frame, GroundingMode, Speed

LISTED = '[{"bbox_2d": [20, 10, 60, 40], "point_2d": [30, 20]}]'
THOUGHT = f"It is blue.</think>\n<answer>{LISTED}</answer><|im_end|>"
BOXES = {
    "qwen2_vl": (2.4, 0.9, 7.2, 3.6),
    "qwen2_5_vl": (20 * 120 / 84, 10 * 90 / 56, 60 * 120 / 84, 40 * 90 / 56),
    "qwen3_vl": (2.4, 0.9, 7.2, 3.6),
}
PROCESSORS: dict[str, Any] = {
    "qwen2_vl": Qwen2VLProcessor,
    "qwen2_5_vl": Qwen2_5_VLProcessor,
    "qwen3_vl": Qwen3VLProcessor,
}
every_kind = pytest.mark.parametrize("kind", vlm_layouts.KINDS)
RNG = np.random.default_rng(0)
FRAMES = [
    Frame(k, k * 100_000_000, 0, RNG.integers(0, 255, (90, 120, 3), np.uint8)) for k in range(2)
]


@dataclass
class Taught:
    """A chat whose network answers `asked` by THOUGHT."""

    folder: Path
    chat: VlmChat
    asked: Prompt
    inputs: dict[str, Any]
    untaught: torch.Tensor
    """Its head as it was."""


def question(chat: VlmChat, thinks: bool = True, budget: int = 40) -> Prompt:
    scale = scale_for(chat, FRAMES[1])
    convention = chat.family.convention
    return prompt.grounding("the mug", FRAMES[1], FRAMES, [], scale, convention, thinks, budget)


def settings(folder: Path, **more: Any) -> VlmConfig:
    small: dict[str, Any] = {
        "pixels": 3136,
        "context_pixels": 3136,
        "device": "cpu",
        "answer_tokens": 100,
    }
    small["threads"] = 1
    return VlmConfig(model=str(folder), **{**small, **more})


@pytest.fixture(scope="module", autouse=True)
def threads() -> Iterator[None]:
    """Opening a network sets torch's threads for the process."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Taught]:
    made = {}
    for kind in vlm_layouts.KINDS:
        folder = vlm_layouts.write(tmp_path_factory.mktemp(kind), kind)
        chat = VlmChat.open(settings(folder))
        untaught = chat._network.lm_head.weight.clone()
        asked = question(chat)
        inputs, begun = chat._composer.compose(asked)
        assert begun == "<think>"
        given = {key: torch.from_numpy(array) for key, array in inputs.items()}
        vlm_layouts.teach(chat._network, given, chat._writing.encode(THOUGHT))
        made[kind] = Taught(folder, chat, asked, given, untaught)
    return made


@pytest.fixture
def one(taught: dict[str, Taught]) -> Iterator[Taught]:
    """Of one kind, its head put back afterwards."""
    chosen = taught["qwen2_5_vl"]
    held = chosen.chat._network.lm_head.weight.clone()
    yield chosen
    with torch.no_grad():
        chosen.chat._network.lm_head.weight.copy_(held)


@every_kind
def test_a_question_is_answered_in_the_frames_pixels(taught: dict[str, Taught], kind: str) -> None:
    request = GroundingRequest("The mug.", FRAMES[1], tuple(FRAMES), (), token_budget=40)
    found = ChatReasoner(taught[kind].chat, 8, 120.0).ground(request)
    (target,) = found.targets
    assert target.box == pytest.approx(BOXES[kind])
    assert found.reasoning == "It is blue."
    assert found.tokens == len("It is blue.</think>")


@every_kind
def test_inputs_are_those_of_transformers_own_processor(
    taught: dict[str, Taught], kind: str
) -> None:
    """Its processors cannot be made without torchvision, for their videos: one is put together."""
    held = taught[kind]
    tokenizer = transformers.AutoTokenizer.from_pretrained(held.folder)
    own = PROCESSORS[kind].__new__(PROCESSORS[kind])
    own.image_processor = Qwen2VLImageProcessorPil.from_pretrained(held.folder)
    own.tokenizer, own.chat_template, own.video_processor = tokenizer, None, None
    for name in ("image", "video"):
        setattr(own, f"{name}_token", f"<|{name}_pad|>")
        setattr(own, f"{name}_token_id", tokenizer.convert_tokens_to_ids(f"<|{name}_pad|>"))
    parts = [
        {"type": "text", "text": part} if isinstance(part, str) else {"type": "image"}
        for part in held.asked.parts
    ]
    turns = [
        {"role": "system", "content": held.asked.system},
        {"role": "user", "content": parts},
    ]
    text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    images = sized(held.asked.pictures, held.chat.family, held.chat.pictures)
    expected = own(text=[text + "<think>"], images=images, return_tensors="pt")
    assert set(expected) == set(held.inputs)
    for key, value in expected.items():
        torch.testing.assert_close(held.inputs[key].to(value.dtype), value, msg=key)


@every_kind
def test_tokens_are_those_of_transformers_own_greedy_generate(
    taught: dict[str, Taught], kind: str
) -> None:
    """Once with a head that was taught, once with a random one, which writes nonsense."""
    held = taught[kind]
    settings: Any = GenerationConfig
    ends = held.chat._ends
    network = transformers.AutoModelForImageTextToText.from_pretrained(held.folder)
    mine = held.chat._network.lm_head.weight
    learnt = mine.clone()
    for head, count in ((held.untaught, 40), (learnt, 95)):
        greedy = settings(
            do_sample=False, max_new_tokens=count, eos_token_id=ends, pad_token_id=ends[0]
        )
        with torch.no_grad():
            network.lm_head.weight.copy_(head)
            mine.copy_(head)
        wrote = network.generate(**held.inputs, generation_config=greedy)
        ids = wrote[0, held.inputs["input_ids"].shape[1] :].tolist()
        assert head is not learnt or ids[-1] in ends
        expected = held.chat._writing.decode([token for token in ids if token not in ends])
        asked = Prompt(held.asked.system, held.asked.parts, True, budget=count)
        assert held.chat.complete(asked, until=1e9).text.startswith(f"<think>{expected}")


def test_over_its_budget_a_model_is_steered_to_answer(one: Taught) -> None:
    asked = Prompt(one.asked.system, one.asked.parts, True, budget=4)
    wrote = one.chat.complete(asked, until=1e9)
    assert wrote.text.startswith("<think>It i\n</think>\n<answer>")
    assert "over its budget, steered to answer" in wrote.notes
    assert wrote.tokens == 4 + len("\n</think>")


def test_a_late_model_is_steered_and_stopped_by_the_deadline(one: Taught) -> None:
    wrote = one.chat.complete(one.asked, until=0.0)
    assert "stopped by the deadline" in wrote.notes
    assert len(wrote.text) < 40
    with pytest.raises(ReasoningError, match=r"the model's answer: .*deadline"):
        ChatReasoner(one.chat, 8, 1e-9).ground(
            GroundingRequest("The mug.", FRAMES[1], tuple(FRAMES), (), token_budget=40)
        )


def test_a_model_in_circles_is_told_of(one: Taught) -> None:
    with torch.no_grad():
        one.chat._network.lm_head.weight.zero_()  # every token as likely: the first, for ever
    quick = GroundingRequest("x", FRAMES[1], (FRAMES[1],), (), GroundingMode.FAST, 40)
    with pytest.raises(ReasoningError, match="the model repeats itself"):
        ChatReasoner(one.chat, 8, 1e6).ground(quick)


def test_logits_that_are_no_numbers_are_told_of_in_one_line(one: Taught) -> None:
    with torch.no_grad():
        one.chat._network.lm_head.weight[5, 5] = float("nan")
    with pytest.raises(ReasoningError, match="logits are not finite") as caught:
        one.chat.complete(one.asked, until=1e9)
    assert "\n" not in str(caught.value)


def test_without_thinking_the_answer_is_begun(one: Taught) -> None:
    inputs, begun = one.chat._composer.compose(question(one.chat, thinks=False))
    assert begun == "<answer>"
    assert one.chat._writing.decode(inputs["input_ids"][0].tolist()).endswith("assistant\n<answer>")


def test_templates_that_begin_the_thinking_themselves(one: Taught) -> None:
    tokenizer = one.chat._composer.tokenizer
    held = tokenizer.chat_template
    tokenizer.chat_template = held.replace("assistant\n{% endif", "assistant\n<think>\n{% endif")
    try:
        inputs, begun = one.chat._composer.compose(one.asked)
        assert begun == "<think>"
        assert one.chat._writing.decode(inputs["input_ids"][0].tolist()).endswith(
            "assistant\n<think>\n"
        )
        _, begun = one.chat._composer.compose(question(one.chat, thinks=False))
        assert begun == "<think>\n</think>\n\n<answer>"
        tokenizer.chat_template = "{{ messages[0]['content'] }}"
        with pytest.raises(ReasoningError, match="expected 2 pictures in it, got 0"):
            one.chat._composer.compose(one.asked)
        tokenizer.chat_template = "{{ raise_exception('no system turn') }}"
        with pytest.raises(ReasoningError, match="template: no system turn"):
            one.chat._composer.compose(one.asked)
    finally:
        tokenizer.chat_template = held


@every_kind
def test_a_random_model_held_to_the_grammar_gives_an_answer(
    taught: dict[str, Taught], kind: str
) -> None:
    chat = VlmChat.open(settings(taught[kind].folder, grammar=True, answer_tokens=640), most=2)
    wrote = chat.complete(question(chat, budget=5), until=1e9)
    block = wrote.text.partition("<answer>")[2]
    assert block.startswith(("[", "{"))
    from streamseg.reasoning.language import answer

    if block.endswith("</answer>"):
        read = answer.parse(wrote.text)
        assert len(read.items) <= 2
        assert not read.cut
    else:
        assert "the model repeats itself" in wrote.notes


def test_the_whole_way_from_a_config(taught: dict[str, Taught], tmp_path: Path) -> None:
    held = taught["qwen3_vl"]
    held.chat._network.save_pretrained(held.folder)
    chosen = configs.parse(
        {
            "reasoning": {
                "max_targets": 4,
                "deep": {"backend": "vlm", "deadline_s": 300.0},
                "vlm": settings(held.folder).model_dump(),
            }
        }
    ).reasoning
    reasoning.prepare(chosen)
    reasoner = reasoning.build(chosen, Speed.DEEP)
    found = reasoner.ground(
        GroundingRequest("The mug.", FRAMES[1], tuple(FRAMES), (), token_budget=40)
    )
    assert found.targets[0].box == pytest.approx(BOXES["qwen3_vl"])


def test_any_other_model_goes_through_its_own_processor(tmp_path: Path) -> None:
    folder = vlm_layouts.write_llava(tmp_path)
    with pytest.raises(ConfigError, match="set convention"):
        VlmChat.open(settings(folder))
    chat = VlmChat.open(settings(folder, convention="thousand", grammar=True), most=1)
    inputs, begun = chat._composer.compose(question(chat))
    assert begun == "<think>"
    assert inputs["pixel_values"].shape == (2, 3, 56, 56)
    assert int((inputs["input_ids"] == chat._writing.encode("<image>")[0]).sum()) == 2 * 16
    wrote = chat.complete(question(chat, budget=5), until=1e9)
    assert "\n</think>\n<answer>" in wrote.text


def test_weights_that_do_not_fit_are_told_of(tmp_path: Path) -> None:
    folder = vlm_layouts.write(tmp_path / "a", "qwen2_5_vl")
    other = vlm_layouts.write(tmp_path / "b", "qwen3_vl")
    (folder / "model.safetensors").write_bytes((other / "model.safetensors").read_bytes())
    with pytest.raises(CheckpointError, match="missing or of another shape"):
        VlmChat.open(settings(folder))
    (folder / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match="does not load as a vision-language model"):
        VlmChat.open(settings(folder))
    (other / "tokenizer.json").write_text("{", "utf-8")
    with pytest.raises(CheckpointError, match="its tokenizer or processor"):
        VlmChat.open(settings(other))


@pytest.mark.parametrize(("size", "millions", "layers"), [("3B", 3754.6, 36), ("7B", 8292.2, 28)])
def test_the_full_size_layout_is_the_public_one(size: str, millions: float, layers: int) -> None:
    """On the meta device: the counts that the hub's pages of Qwen2.5-VL tell, and their names."""
    wide = {"3B": (2048, 11008, 16, 2, 151936), "7B": (3584, 18944, 28, 4, 152064)}[size]
    hidden, inner, heads, shared, words = wide
    config = transformers.Qwen2_5_VLConfig(
        text_config={
            "hidden_size": hidden,
            "intermediate_size": inner,
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
            "num_key_value_heads": shared,
            "vocab_size": words,
        },
        vision_config={"hidden_size": 1280, "out_hidden_size": hidden},
        tie_word_embeddings=size == "3B",
    )
    with torch.device("meta"):
        network = transformers.AutoModelForImageTextToText.from_config(config)
    count = sum(each.numel() for each in network.parameters()) / 1e6
    assert count == pytest.approx(millions, abs=0.1)
    names = set(network.state_dict())
    assert "model.visual.blocks.31.attn.qkv.weight" in names
    assert f"model.language_model.layers.{layers - 1}.self_attn.q_proj.bias" in names
