"""The small network computes what transformers computes, in a folder that `vlm` loads."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch

from streamseg import synthetic
from streamseg.config import VlmConfig
from streamseg.errors import CheckpointError
from streamseg.reasoning.language import prompt
from streamseg.reasoning.models.chat import scale_for
from streamseg.reasoning.models.vlm import VlmChat
from streamseg.training.groundings.reasons import Length
from streamseg.training.nano import folder as folders
from streamseg.training.nano import lessons, words
from streamseg.training.nano.language import loss_of
from streamseg.training.nano.network import CELLS, SIZE, Grid, look, patches, shown
from streamseg.training.nano.optimisers import Both, orthogonal
from streamseg.training.nano.packing import Packed, hidden
from streamseg.training.nano.writing import write
from streamseg.types import Frame

GRID = [[1, SIZE[1] // 10, SIZE[0] // 10]]


def whole(network, image, tokens):
    """transformers' own way through the whole model."""
    marks = [words.IDS[words.VISION_START], words.IDS[words.VISION_END]]
    ids = [marks[0], *[words.IDS[words.IMAGE]] * CELLS, marks[1], *tokens]
    given = torch.tensor([ids])
    states = network.model(
        input_ids=given,
        attention_mask=torch.ones_like(given),
        mm_token_type_ids=(given == words.IDS[words.IMAGE]).int(),
        pixel_values=patches(image[None])[0],
        image_grid_thw=torch.tensor(GRID),
    ).last_hidden_state
    return states[0, CELLS + 2 :]


@torch.no_grad()
def test_a_batch_is_seen_as_transformers_sees_each(network, pictures):
    images = np.stack([pictures.picture(at) for at in (0, 4, len(pictures) - 1)])
    seen = look(network, Grid.of(network), images)
    for image, cells in zip(images, seen, strict=True):
        own = network.model.visual(patches(image[None])[0], grid_thw=torch.tensor(GRID))
        torch.testing.assert_close(cells, own.pooler_output, rtol=0, atol=1e-5)


@torch.no_grad()
def test_packed_texts_are_read_as_if_each_were_alone(network, pictures):
    random = np.random.default_rng(0)
    images = np.stack([pictures.picture(at) for at in (0, 1)])
    rows = [lessons.lessons(pictures.views[at], 5, random) for at in (0, 1)]
    packed = Packed.of([[each.tokens for each in row] for row in rows])
    states = hidden(network, look(network, Grid.of(network), images), packed)
    flat = [(at, each) for at, row in enumerate(rows) for each in row]
    for begin, (at, each) in zip(packed.begins, flat, strict=True):
        own = whole(network, images[at], each.tokens)
        found = states[begin : begin + len(each.tokens)]
        torch.testing.assert_close(found, own, rtol=0, atol=1e-4)


def test_only_what_is_to_be_written_is_paid_for(network, pictures):
    """The loss is cross-entropy on those tokens; numbers may be near misses."""
    random = np.random.default_rng(1)
    rows = [lessons.lessons(pictures.views[0], 3, random)]
    with torch.no_grad():
        features = look(network, Grid.of(network), pictures.picture(0)[None])
        _, figures = loss_of(network, features, rows)
        losses = []
        for each in rows[0]:
            states = whole(network, pictures.picture(0), each.tokens)
            logits = network.lm_head(states[each.begin - 1 : -1])
            wanted = torch.tensor(each.tokens[each.begin :])
            number = (wanted >= words.FIRST_NUMBERS[0]) & (wanted < words.IDS[";"])
            every = torch.nn.functional.cross_entropy(logits, wanted, reduction="none")
            losses.append(every[~number])
    assert figures["word_loss"] == pytest.approx(float(torch.cat(losses).mean()), abs=1e-4)


def test_the_folder_is_a_checkpoint_like_any_other(network, tmp_path):
    """`vlm` shows it the same pixels and tokens, and it writes what it writes in training."""
    place = tmp_path / "small"
    folders.save(network, place)
    assert sum(file.stat().st_size for file in place.glob("*.safetensors")) <= 12_000_000
    assert not list(tmp_path.glob(".*"))
    loaded = folders.load(place)
    few = VlmConfig(
        model=str(place), device="cpu", context_frames=0, answer_tokens=8, most_thinking=12
    )
    chat = VlmChat.open(few)
    image, _ = synthetic.scene("medium", 7).frame(0)
    frame = Frame(0, 0, 0, image)
    scale = scale_for(chat, frame)
    assert scale.span == SIZE
    for thinks, begun in ((True, "<think>"), (False, "<answer>")):
        convention = chat.family.convention
        asked = prompt.grounding(
            "the red ball", frame, [], [], scale, convention, thinks=thinks, budget=16
        )
        wrote = chat.complete(asked, time.monotonic() + 60)
        with torch.no_grad():
            features = look(loaded, Grid.of(loaded), shown([image]))
        told = words.prompt("the red ball", Length.BRIEF if thinks else None) + begun
        (own,) = write(loaded, features, [words.encode(told)], 6)
        assert wrote.text.startswith(begun + words.decode(own))


def test_another_model_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match=r"has no config\.json"):
        folders.load(tmp_path)


def test_answers_side_by_side_are_those_of_each_alone(network, pictures):
    """Padding, the cache and sharing a picture change nothing."""
    grid = Grid.of(network)
    images = np.stack([pictures.picture(at) for at in (0, 1)])
    prompts = [
        words.encode(words.prompt(text, None) + "<think>")
        for text in ("the red ball", "the ball to the left of the blue square")
    ]
    with torch.no_grad():
        features = look(network, grid, images)
    together = write(network, features, prompts, 10)
    for at in (0, 1):
        alone = write(network, features[at : at + 1], [prompts[at]], 10, repeats=2)
        assert alone == [together[at], together[at]]


def test_muon_steps_along_orthogonal_matrices():
    torch.manual_seed(0)
    for shape in ((3, 8, 8), (2, 12, 6), (2, 6, 12)):
        values = torch.linalg.svdvals(orthogonal(torch.randn(shape)))
        assert values.min() > 0.3
        assert values.max() < 1.4


def test_every_parameter_is_stepped(network):
    weights = torch.nn.ParameterDict({"a": torch.randn(4, 6), "embed": torch.randn(5, 4)})
    before = {name: value.detach().clone() for name, value in weights.items()}
    both = Both(weights.items(), 0.1)
    both.step(sum(value.square().sum() for value in weights.values()), 1.0)
    assert all((weights[name] != before[name]).all() for name in before)
