"""The small reasoner's language: text and tokens and back, and prompts as `vlm` writes them."""

from __future__ import annotations

import numpy as np
import pytest

from streamseg.reasoning.language import answer, prompt
from streamseg.reasoning.language.coordinates import Convention, Scale
from streamseg.training.groundings.reasons import Length
from streamseg.training.nano import lessons, words
from streamseg.training.nano.pictures import scale_of
from streamseg.types import Frame

SCALE = Scale((640, 360), (160, 100), (160, 100))


@pytest.fixture(scope="module")
def tokenizer():
    return words.tokenizer()


def asked(thinks, budget, query="The red ball left of the blue square."):
    frame = Frame(0, 0, 0, np.zeros((360, 640, 3), np.uint8))
    return prompt.grounding(
        query, frame, [], [], SCALE, Convention.STRETCHED, thinks=thinks, budget=budget
    )


def chat(prompt_):
    parts = [
        {"type": "text", "text": part} if isinstance(part, str) else {"type": "image"}
        for part in prompt_.parts
    ]
    return [{"role": "system", "content": prompt_.system}, {"role": "user", "content": parts}]


def test_every_lesson_is_made_of_words_and_reads_back(pictures, tokenizer):
    unknown = words.IDS[words.UNKNOWN]
    for view in pictures.views:
        for sentence in view.sentences:
            for length in Length:
                tokens = lessons.lesson(view, sentence, length).tokens
                text = "".join(words.TOKENS[id_] for id_ in tokens)
                assert unknown not in tokens, text
                assert tuple(tokenizer(text)["input_ids"]) == tokens
                assert tokenizer.decode(tokens, skip_special_tokens=False) == text


def test_what_is_to_be_written_is_what_the_reasoner_reads(pictures):
    for view in pictures.views:
        scale = scale_of(view)
        for sentence in view.sentences:
            each = lessons.lesson(view, sentence, Length.MIDDLE)
            text = words.decode(each.tokens[each.begin :])
            targets = answer.targets(answer.parse(text), scale, 16)
            assert len(targets) == len(sentence.ids)
            for target, thing in zip(targets, view.meant(sentence), strict=True):
                assert np.abs(np.subtract(target.box, thing.box)).max() < 1.0


@pytest.mark.parametrize(
    ("budget", "length"), [(16, Length.BRIEF), (60, Length.MIDDLE), (128, Length.FULL)]
)
def test_the_template_keeps_the_sentence_and_how_long_to_think(tokenizer, budget, length):
    text = tokenizer.apply_chat_template(
        chat(asked(True, budget)), tokenize=False, add_generation_prompt=True
    )
    picture = f"{words.VISION_START}{words.IMAGE}{words.VISION_END}"
    assert text == picture + words.prompt("the red ball left of the blue square", length)


def test_without_thinking_nothing_is_said_of_it(tokenizer):
    text = tokenizer.apply_chat_template(
        chat(asked(False, 0)), tokenize=False, add_generation_prompt=True
    )
    assert text.endswith(words.prompt("the red ball left of the blue square", None))


def test_other_tasks_are_refused(tokenizer):
    frame = Frame(0, 0, 0, np.zeros((9, 9, 3), np.uint8))
    with pytest.raises(Exception, match="only finds objects"):
        tokenizer.apply_chat_template(
            chat(prompt.segment("the ball", [frame], 0.0, 1.0)), tokenize=False
        )


def test_a_plain_chat_is_a_sentence(tokenizer):
    """As data sets for reinforcement learning have it."""
    turns = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "A ball"}]}]
    text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    assert text.endswith(words.prompt("a ball", None))


def test_a_steered_model_goes_on_in_tokens_that_it_knows(tokenizer):
    ids = tokenizer.encode("\n</think>\n<answer>", add_special_tokens=False)
    assert [words.TOKENS[id_] for id_ in ids] == ["</think>", "<answer>"]
