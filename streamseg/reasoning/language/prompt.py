"""What a language model is asked, in our own words: pictures with their times, and a task.

The four tasks of VideoSeg-R1: a key segment, a frame in it (section 3.2), what is meant on that
frame (3.3), and how difficult that is (3.4). The paper's own templates are not public. Knows no
model and no tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from streamseg.reasoning.language.coordinates import Convention, Scale
from streamseg.types import Frame

_LONGEST_QUERY = 1000


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """One picture of a prompt.

    Attributes:
        target: Answers are about its pixels: it is shown finest.
    """

    frame: Frame
    target: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Prompt:
    """What is asked.

    Attributes:
        system: What the model is told of its part.
        parts: Texts and pictures in the order in which they are to be read.
        thinks: Whether a think block is asked for before the answer.
        budget: Tokens that the thinking may take.
        objects: The answer is a list of objects, which a schema may hold it to.
    """

    system: str
    parts: tuple[str | Shown, ...]
    thinks: bool
    budget: int = 0
    objects: bool = False

    @property
    def pictures(self) -> list[Shown]:
        """The pictures, in order."""
        return [part for part in self.parts if isinstance(part, Shown)]


_SYSTEM = (
    "You look at pictures from a camera and find in them what a sentence means. You answer in "
    "exactly the form asked for."
)
_COUNTED = {
    Convention.RESIZED: "in pixels of that picture, which is {0} wide and {1} high",
    Convention.SQUARE: "in pixels of that picture, which is {0} wide and {1} high",
    Convention.STRETCHED: "in pixels of that picture, which is {0} wide and {1} high",
    Convention.THOUSAND: "from 0 at its left and upper edge to 1000 at its right and lower edge",
}
_EXAMPLES = (((0.12, 0.31, 0.35, 0.77), (0.22, 0.52)), ((0.55, 0.08, 0.9, 0.4), (0.7, 0.25)))
"""Box and point as fractions of the picture's sides."""
_RATED = {
    "scene_complexity": "how crowded and cluttered the scene is",
    "segmentation_challenge": "how hard the object's outline is to tell (small, thin, occluded, "
    "blurred, like its surroundings)",
    "temporal_ambiguity": "how much has to be seen over time to know which object is meant",
    "motion_complexity": "how fast and irregularly things and the camera move",
    "linguistic_ambiguity": "how indirect, long or open to readings the sentence is",
}


def grounding(
    query: str,
    target: Frame,
    segment: Sequence[Frame],
    references: Sequence[Frame],
    scale: Scale,
    convention: Convention,
    thinks: bool,
    budget: int,
    as_json: bool = False,
) -> Prompt:
    """Ask for boxes and points of what a sentence means on the target frame.

    Args:
        segment: The key segment; the target among it is shown once, last.
        references: Frames from further away.
        scale: How the model counts in the target frame.
        budget: Tokens of thinking that the prompt allows, where it `thinks`.
        as_json: Ask for one JSON object as in `schema.whole`, rather than for blocks in tags.
    """
    others = _in_time(target, (*references, *segment))
    parts = _shown(others, target, "Earlier and later frames, for context only:")
    parts.append(f"The target frame, at {_time(target, target)}:")
    parts.append(Shown(target, target=True))
    counted = _COUNTED[convention].format(*scale.shown)
    listed = ", ".join(_example(scale, *example) for example in _EXAMPLES)
    form = _in_json if as_json else _in_tags
    parts.append(
        f"Sentence: {quoted(query)}\n"
        "Find every object that this sentence means on the target frame, and no other. Compare "
        "the things that might be meant and take those that fit best; the other frames tell what "
        "moved and what came before.\n"
        'For each object "bbox_2d" is [x0, y0, x1, y1] close around it, "point_2d" is [x, y] in '
        'the middle of its visible part, "negative_point_2d" is [x, y] close beside it and not on '
        f'it, "label" is two or three words. Count {counted}.\n{form(listed, thinks, budget)}'
    )
    return Prompt(_SYSTEM, tuple(parts), thinks, budget if thinks else 0, objects=True)


def segment(query: str, frames: Sequence[Frame], start_s: float, end_s: float) -> Prompt:
    """Ask for the interval of a video that a sentence speaks of.

    Args:
        frames: A sample of it, in time order.
        start_s: Time of its beginning, from which the frames' times are told.
        end_s: Time of its end.
    """
    parts: list[str | Shown] = ["Frames of a video, in order, each after its time:"]
    for frame in frames:
        parts += [f"{frame.pts_s - start_s:.2f} s:", Shown(frame)]
    length = end_s - start_s
    parts.append(
        f"The video is {length:.2f} s long. Sentence: {quoted(query)}\n"
        "Which part of the video has to be seen to find what the sentence means, and shows it? "
        "Take the shortest part that does.\n"
        f"Answer with its start and end in seconds: <answer>[{0.2 * length:.2f}, "
        f"{0.6 * length:.2f}]</answer> would be from {0.2 * length:.2f} s to {0.6 * length:.2f} s."
    )
    return Prompt(_SYSTEM, tuple(parts), thinks=False)


def position(query: str, frames: Sequence[Frame]) -> Prompt:
    """Ask where in a key segment the frame is on which the object is seen best.

    Args:
        frames: The key segment, in time order.
    """
    parts: list[str | Shown] = ["Frames of a short part of a video, in order:"]
    for number, frame in enumerate(frames):
        place = number / max(len(frames) - 1, 1)
        parts += [f"at {place:.2f} of the part:", Shown(frame)]
    parts.append(
        f"Sentence: {quoted(query)}\n"
        "At which moment is what the sentence means seen best: whole, large, sharp, apart from "
        "what resembles it, and while the sentence is true of it?\n"
        "Answer with that moment as a fraction of the part, 0 at its first frame and 1 at its "
        "last: <answer>0.40</answer> would be a little before its middle."
    )
    return Prompt(_SYSTEM, tuple(parts), thinks=False)


def difficulty(query: str, frames: Sequence[Frame]) -> Prompt:
    """Ask for the five dimensions of a task's difficulty.

    Args:
        frames: A sample of the video, in time order.
    """
    first = frames[0]
    parts: list[str | Shown] = ["Frames of a video, in order, each after its time:"]
    for frame in frames:
        parts += [f"{_time(frame, first)}:", Shown(frame)]
    asked = "\n".join(f"- {name}: {words}" for name, words in _RATED.items())
    form = ", ".join(f'"{name}": {rating}' for name, rating in zip(_RATED, "35243", strict=True))
    parts.append(
        f"Sentence: {quoted(query)}\n"
        "How difficult is it to find and outline, throughout the video, what this sentence means? "
        f"Rate each of these from 1 (no difficulty) to 10 (hardly possible):\n{asked}\n"
        f"Form: <answer>{{{form}}}</answer>"
    )
    return Prompt(_SYSTEM, tuple(parts), thinks=False)


def quoted(query: str) -> str:
    """A sentence in quotation marks, on one line, without what models take for their own marks.

    Lower case and without a full stop at its end, as models are trained on.
    """
    line = " ".join(query[:_LONGEST_QUERY].split()).lower().rstrip(".").rstrip()
    for mark, other in (("<", "‹"), (">", "›"), ("[", "("), ("]", ")"), ('"', "'")):
        line = line.replace(mark, other)
    return f'"{line}"'


def _shown(frames: Sequence[Frame], target: Frame, title: str) -> list[str | Shown]:
    parts: list[str | Shown] = [title] if frames else []
    for frame in frames:
        parts += [f"{_time(frame, target)}:", Shown(frame)]
    return parts


def _in_time(target: Frame, frames: Sequence[Frame]) -> list[Frame]:
    """The frames other than the target, each once, in time order."""
    others = {(frame.epoch, frame.index): frame for frame in frames}
    others.pop((target.epoch, target.index), None)
    return sorted(others.values(), key=lambda frame: (frame.epoch, frame.pts_ns))


def _time(frame: Frame, origin: Frame) -> str:
    """Seconds from another frame, with a sign: times of a stream grow without a bound."""
    return f"{(frame.pts_ns - origin.pts_ns) / 1e9:+.2f} s"


def _in_tags(listed: str, thinks: bool, budget: int) -> str:
    way = "Answer at once, without explaining, between <answer> and </answer>."
    if thinks:
        way = (
            f"First think between <think> and </think>, in at most {_words(budget)} words; then "
            "answer between <answer> and </answer>."
        )
    return (
        f"{way} The answer is a JSON list with an entry for each object. Form, for two objects: "
        f"<answer>[{listed}]</answer>\n"
        "When nothing on the target frame is meant: <answer>[]</answer>. When the sentence does "
        'not decide which thing is meant: <answer>{"cannot_tell": true}</answer>'
    )


def _in_json(listed: str, thinks: bool, budget: int) -> str:
    way = "an empty text" if not thinks else f"how you decide, in at most {_words(budget)} words"
    return (
        f'Answer with JSON alone: "thinking" is {way}; "objects" is a list with an entry for each '
        'object, empty when nothing on the target frame is meant; "cannot_tell" is true when the '
        "sentence does not decide which thing is meant. Form, for two objects: "
        f'{{"thinking": "…", "objects": [{listed}], "cannot_tell": false}}'
    )


def _words(tokens: int) -> int:
    """English takes some four tokens for three words."""
    return max(8, round(0.75 * tokens))


def _example(
    scale: Scale, box: tuple[float, float, float, float], point: tuple[float, float]
) -> str:
    across, down = scale.span
    x0, x1 = (round(box[at] * across) for at in (0, 2))
    y0, y1 = (round(box[at] * down) for at in (1, 3))
    inside = [round(point[0] * across), round(point[1] * down)]
    beside = [round((box[2] + 0.03) * across), inside[1]]
    return (
        f'{{"bbox_2d": {[x0, y0, x1, y1]}, "point_2d": {inside}, "negative_point_2d": {beside}, '
        '"label": "…"}'
    )
