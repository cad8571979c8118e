"""Any noun: networks of true layouts against transformers' own calls, and the grammar over them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import concept_layouts
import numpy as np
import pytest
import torch
import transformers
from PIL import Image as Pillow
from safetensors.torch import save_file

from streamseg import config as configs
from streamseg import reasoning
from streamseg.config import ConceptConfig
from streamseg.errors import CheckpointError
from streamseg.reasoning import GroundingRequest
from streamseg.reasoning.detection import Detections
from streamseg.reasoning.models import concept
from streamseg.reasoning.models.concept import ConceptReasoner, concepts_of
from streamseg.reasoning.models.finders import NetworkFinder, Sam3Finder, open_finder
from streamseg.reasoning.words import grammar
from streamseg.types import Frame, Image, WordUse

IMAGE = np.random.default_rng(0).integers(0, 255, (90, 120, 3), np.uint8)
CONCEPTS = ("mug", "police car")
every_kind = pytest.mark.parametrize("kind", concept_layouts.KINDS)
Opened = dict[str, tuple[Path, NetworkFinder]]


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    before = torch.get_num_threads()
    made = {}
    for kind in concept_layouts.KINDS:
        folder = concept_layouts.write(tmp_path_factory.mktemp(kind), kind)
        config = ConceptConfig(model=str(folder), device="cpu", threads=1, threshold=0.02)
        made[kind] = (folder, open_finder(concept.prepare(config), config))
    yield made
    torch.set_num_threads(before)


@every_kind
def test_what_is_found_lies_in_the_picture_best_first(opened: Opened, kind: str) -> None:
    found = opened[kind][1].find(IMAGE, CONCEPTS)
    assert len(found) > 0
    assert (np.diff(found.scores) <= 0).all()
    assert found.scores.min() >= 0.01
    assert set(found.classes.tolist()) <= {0, 1}
    assert found.boxes.min() >= 0
    assert (found.boxes[:, 2:] <= (120, 90)).all()
    assert (found.boxes[:, 2:] - found.boxes[:, :2] >= 1).all()


@pytest.mark.parametrize("kind", ["grounding-dino", "mm-grounding-dino"])
def test_grounding_dino_is_called_as_transformers_calls_it(opened: Opened, kind: str) -> None:
    _, finder = opened[kind]
    processors: Any = transformers.GroundingDinoProcessor
    own = processors(image_processor=finder.processor, tokenizer=finder.tokenizer)  # type: ignore[attr-defined]
    inputs = own(images=Pillow.fromarray(IMAGE), text="mug. police car.", return_tensors="pt")
    with torch.inference_mode():
        answer = finder.network(**inputs)
        boxes, scores = finder.look(IMAGE, CONCEPTS)
    (told,) = own.post_process_grounded_object_detection(
        answer, inputs["input_ids"], threshold=0.0, target_sizes=[(90, 120)]
    )
    np.testing.assert_allclose(boxes, told["boxes"].numpy(), atol=1e-3)
    # [CLS] mug . police car . [SEP]: its threshold looks at all tokens, ours at each concept's.
    tokens = answer.logits[0].sigmoid().numpy()
    np.testing.assert_allclose(scores[:, 0], tokens[:, 1], atol=1e-6)
    np.testing.assert_allclose(scores[:, 1], tokens[:, 3:5].max(axis=1), atol=1e-6)
    assert (scores.max(axis=1) <= told["scores"].numpy() + 1e-6).all()


def test_owl_is_called_as_transformers_calls_it(opened: Opened) -> None:
    _, finder = opened["owlv2"]
    processors: Any = transformers.Owlv2Processor
    own = processors(image_processor=finder.processor, tokenizer=finder.tokenizer)  # type: ignore[attr-defined]
    texts = [[f"a photo of a {each}" for each in CONCEPTS]]
    inputs = own(
        text=texts, images=Pillow.fromarray(IMAGE), return_tensors="pt",
        padding="max_length", max_length=16, truncation=True,
    )  # fmt: skip
    with torch.inference_mode():
        answer = finder.network(**inputs)
        boxes, scores = finder.look(IMAGE, CONCEPTS)
    (told,) = own.image_processor.post_process_object_detection(
        answer, threshold=0.0, target_sizes=[(90, 120)]
    )
    np.testing.assert_allclose(boxes, told["boxes"].numpy(), atol=1e-2)
    np.testing.assert_allclose(scores.max(axis=1), told["scores"].numpy(), atol=1e-6)
    np.testing.assert_array_equal(scores.argmax(axis=1), told["labels"].numpy())


def test_sam_3_is_called_as_transformers_calls_it(opened: Opened) -> None:
    """Its processor cannot be had without torchvision: its formula is repeated here."""
    _, finder = opened["sam3"]
    assert isinstance(finder, Sam3Finder)
    with torch.inference_mode():
        boxes, scores = finder.look(IMAGE, CONCEPTS)
        for at, each in enumerate(CONCEPTS):
            words = finder.tokenizer(each, return_tensors="pt", padding="max_length", max_length=32)
            answer = finder.network(
                pixel_values=finder.pixels(IMAGE),
                input_ids=words["input_ids"],
                attention_mask=words["attention_mask"],
            )
            rows = slice(10 * at, 10 * at + 10)
            told = answer.pred_logits.sigmoid() * answer.presence_logits.sigmoid()
            np.testing.assert_allclose(scores[rows, at], told[0].numpy(), atol=1e-6)
            assert (scores[rows, 1 - at] == 0).all()
            expected = answer.pred_boxes[0].numpy() * (120, 90, 120, 90)
            np.testing.assert_allclose(boxes[rows], expected, atol=1e-3)


def test_sam_3_comes_out_of_the_public_folder_which_holds_its_video_network(
    opened: Opened, tmp_path: Path
) -> None:
    """facebook/sam3 is a `sam3_video`: our part of it stands under detector_model."""
    folder, finder = opened["sam3"]
    for name in ("tokenizer.json", "tokenizer_config.json", "processor_config.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    configs_of: Any = transformers.Sam3VideoConfig
    whole = configs_of(detector_config=finder.network.config.to_dict())
    (tmp_path / "config.json").write_text(json.dumps(whole.to_dict(), default=str), "utf-8")
    state = {f"detector_model.{key}": value for key, value in finder.network.state_dict().items()}
    state["tracker_model.something"] = torch.zeros(2)
    save_file(state, tmp_path / "model.safetensors", metadata={"format": "pt"})
    config = ConceptConfig(model=str(tmp_path), device="cpu", threads=1, threshold=0.02)
    found = open_finder(concept.prepare(config), config).find(IMAGE, CONCEPTS)
    np.testing.assert_array_equal(found.scores, finder.find(IMAGE, CONCEPTS).scores)


def test_sam_3_is_shown_pictures_as_they_are_for_it(opened: Opened) -> None:
    _, finder = opened["sam3"]
    assert isinstance(finder, Sam3Finder)
    smooth = np.linspace(0, 255, 90 * 120 * 3).reshape(90, 120, 3).astype(np.uint8)
    resized = Pillow.fromarray(smooth).resize((112, 112), Pillow.Resampling.BILINEAR)
    expected = (np.asarray(resized, np.float32) / 255.0 - 0.5) / 0.5
    mine = finder.pixels(smooth)[0].permute(1, 2, 0).numpy()
    assert mine.shape == (112, 112, 3)
    assert np.abs(mine - expected).max() <= 2.1 / 255 / 0.5


@every_kind
def test_a_concept_with_words_that_nobody_knows_is_no_error(opened: Opened, kind: str) -> None:
    _, finder = opened[kind]
    finder.find(IMAGE, ("zyzzyva " * 30, "é", "."))


@every_kind
def test_the_whole_way_from_a_config(opened: Opened, kind: str) -> None:
    chosen = configs.parse(
        {
            "reasoning": {
                "fast": {"backend": "concept"},
                "concept": {"model": str(opened[kind][0]), "device": "cpu", "threads": 1},
            }
        }
    ).reasoning
    reasoning.prepare(chosen)
    frame = Frame(0, 0, 0, IMAGE)
    answer = reasoning.build(chosen).ground(GroundingRequest("the mug", frame, (frame,)))
    assert answer.understood == 1.0


def test_a_folder_of_another_kind_is_refused(opened: Opened, tmp_path: Path) -> None:
    for name in ("tokenizer.json", "preprocessor_config.json", "model.safetensors"):
        (tmp_path / name).write_text("{}", "utf-8")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "d_fine"}), "utf-8")
    config = ConceptConfig(model=str(tmp_path))
    with pytest.raises(CheckpointError, match="expected model_type grounding-dino"):
        concept.prepare(config)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "owlv2"}), "utf-8")
    with pytest.raises(CheckpointError, match="does not load as a detector of phrases"):
        open_finder(concept.prepare(config), config)


@pytest.mark.parametrize(
    ("text", "concepts"),
    [
        ("the mugs left of the red kettle", ("mug", "kettle")),
        ("the tennis player in white", ("tennis player",)),
        ("all dogs except the big dog", ("dog",)),
        ("the red thing", ()),
        ("", ()),
    ],
)
def test_the_nouns_of_a_sentence(text: str, concepts: tuple[str, ...]) -> None:
    assert concepts_of(grammar.parse(text)) == concepts


class ScriptedFinder:
    """Finds what it is told to, where a test says."""

    threshold = 0.3

    def __init__(self, **places: tuple[tuple[float, float, float, float], float]) -> None:
        self.places = {name.replace("_", " "): place for name, place in places.items()}
        self.asked: list[tuple[str, ...]] = []

    def find(self, image: Image, concepts: Sequence[str]) -> Detections:
        self.asked.append(tuple(concepts))
        seen = [
            (box, score, at)
            for at, each in enumerate(concepts)
            for name, (box, score) in self.places.items()
            if name.rstrip("0123456789") == each
        ]
        return Detections(
            np.asarray([each[0] for each in seen], np.float32).reshape(-1, 4),
            np.asarray([each[1] for each in seen], np.float32),
            np.asarray([each[2] for each in seen], np.int64),
        )


LEFT, RIGHT, MIDDLE = (
    (10.0, 40.0, 50.0, 80.0),
    (250.0, 40.0, 290.0, 80.0),
    (140.0, 30.0, 190.0, 90.0),
)


def asked(finder: ScriptedFinder, text: str, **more: Any) -> Any:
    image = np.full((180, 320, 3), 128, np.uint8)
    image[40:80, 10:50] = (20, 20, 220)
    image[40:80, 250:290] = (220, 20, 20)
    frame = Frame(0, 0, 0, image)
    return ConceptReasoner(finder, **more).ground(GroundingRequest(text, frame, (frame,)))


def test_nouns_that_no_list_of_classes_has_are_understood() -> None:
    finder = ScriptedFinder(samovar1=(LEFT, 0.8), samovar2=(RIGHT, 0.8), harpsichord=(MIDDLE, 0.9))
    for text, box in (
        ("the blue samovar", LEFT),
        ("the samovar to the right of the harpsichord", RIGHT),
        ("the left samovar", LEFT),
        ("the harpsichord", MIDDLE),
    ):
        answer = asked(finder, text)
        assert [target.box for target in answer.targets] == [pytest.approx(box, abs=2)], text
        assert all(word.use is WordUse.UNDERSTOOD for word in answer.words)
    assert finder.asked[1] == ("samovar", "harpsichord")
    assert len(asked(finder, "the samovars").targets) == 2


def test_what_is_not_there_is_not_there() -> None:
    answer = asked(ScriptedFinder(samovar=(LEFT, 0.8)), "the harpsichord")
    assert answer.targets == ()
    assert not answer.cannot_tell


def test_a_sentence_without_a_noun_asks_no_network() -> None:
    finder = ScriptedFinder()
    answer = asked(finder, "the blue thing")
    assert finder.asked == []
    assert len(answer.targets) == 1
    assert answer.targets[0].box == pytest.approx(LEFT, abs=4)


def test_concepts_are_bounded() -> None:
    finder = ScriptedFinder()
    asked(finder, "the mug, the kettle, the dog and the spoon", most_concepts=2)
    assert finder.asked == [("mug", "kettle")]


def test_the_witness_sees_all_of_the_kind() -> None:
    finder = ScriptedFinder(samovar1=(LEFT, 0.8), samovar2=(RIGHT, 0.5), dog=(MIDDLE, 0.9))
    frame = Frame(0, 0, 0, np.zeros((180, 320, 3), np.uint8))
    told = ConceptReasoner(finder).witness(GroundingRequest("the blue samovar", frame, (frame,)))
    assert told.seen is not None
    assert [sighting.box for sighting in told.seen] == [LEFT, RIGHT]
    assert isinstance(ConceptReasoner(finder), reasoning.Witness)
