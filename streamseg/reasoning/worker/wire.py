"""What the worker process and its parent say to one another: JSON lines, checked on arrival.

Knows nothing of pipes or processes. What the process answers is not trusted: its lengths are
bounded, its numbers are finite and its boxes lie in the frame, or it is no answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from streamseg.errors import ReasoningError
from streamseg.reasoning import GroundingRequest
from streamseg.referents import Happening, Measure, Standing
from streamseg.types import (
    Box,
    Frame,
    Grounding,
    GroundingMode,
    Image,
    Point,
    Sighting,
    Target,
    WordSense,
    WordUse,
)

MAX_LINE_BYTES = 1024 * 1024
MAX_FRAMES = 256
MAX_POINTS = 64
MAX_LABEL_CHARS = 200
MAX_WORDS = 1000
MAX_SEEN = 64
MAX_CAST = 16
MAX_REASONING_CHARS = 20_000
MAX_MESSAGE_CHARS = 2_000

Natural = Annotated[int, Field(ge=0, le=2**62)]


class Message(BaseModel):
    """Base of every line: closed to unknown keys, no coercion, no NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class FramePlace(Message):
    """A frame, and where in the slab its pixels lie."""

    index: int
    pts_ns: int
    epoch: int
    height: Annotated[int, Field(ge=1, le=65536)]
    width: Annotated[int, Field(ge=1, le=65536)]
    offset: Natural


class Ask(Message):
    """Parent to child: one request; `target`, `segment` and `references` number `frames`."""

    serial: Natural
    text: str
    mode: Literal["fast", "reasoning", "witness", "segment", "frame"]
    token_budget: Natural
    frames: Annotated[list[FramePlace], Field(min_length=1, max_length=MAX_FRAMES)]
    target: Natural
    segment: list[Natural]
    references: list[Natural]


class Ready(Message):
    """Child to parent: the reasoner is loaded."""

    type: Literal["ready"] = "ready"


class Unable(Message):
    """Child to parent: the reasoner cannot be loaded; the process ends."""

    type: Literal["unable"] = "unable"
    message: Annotated[str, Field(max_length=MAX_MESSAGE_CHARS)]


class Refusal(Message):
    """Child to parent: no answer to this request."""

    type: Literal["refusal"] = "refusal"
    serial: Natural
    message: Annotated[str, Field(max_length=MAX_MESSAGE_CHARS)]


class AnswerTarget(Message):
    """One object of an answer."""

    box: tuple[float, float, float, float]
    positive: Annotated[list[tuple[float, float]], Field(max_length=MAX_POINTS)]
    negative: Annotated[list[tuple[float, float]], Field(max_length=MAX_POINTS)]
    score: float
    label: Annotated[str, Field(max_length=MAX_LABEL_CHARS)]
    lead: float = 1.0


class AnswerWord(Message):
    """One word of the question, and how far it was understood."""

    text: Annotated[str, Field(max_length=MAX_LABEL_CHARS)]
    use: Literal["understood", "coarse", "unknown"]
    taken_as: Annotated[str, Field(max_length=MAX_LABEL_CHARS)] = ""
    known_to: Annotated[str, Field(max_length=MAX_LABEL_CHARS)] = ""
    names: bool = False
    seen: bool = False


class AnswerSighting(Message):
    """One thing that is seen."""

    box: tuple[float, float, float, float]
    score: float
    label: Annotated[str, Field(max_length=MAX_LABEL_CHARS)]


class AnswerStanding(Message):
    """By what those meant are chosen: the fields of `Standing`."""

    measure: Literal["x", "y", "size", "speed", "near", "centre", "tall", "wide", "gap"] | None
    most: bool
    rank: Annotated[int, Field(ge=1, le=1000)]
    count: Annotated[int, Field(ge=1, le=1000)]
    reach: Annotated[float, Field(ge=0)] | None
    after: Literal["moved", "stopped", "touched"] | None
    by_anchor: bool


class Answer(Message):
    """Child to parent: a grounding."""

    type: Literal["answer"] = "answer"
    serial: Natural
    targets: list[AnswerTarget]
    reasoning: Annotated[str, Field(max_length=MAX_REASONING_CHARS)]
    tokens: Natural
    seconds: Annotated[float, Field(ge=0)]
    words: Annotated[list[AnswerWord], Field(max_length=MAX_WORDS)] = []
    cannot_tell: bool = False
    seen: Annotated[list[AnswerSighting], Field(max_length=MAX_SEEN)] | None = None
    where: Annotated[list[Annotated[float, Field(ge=0, le=1)]], Field(max_length=2)] = []
    cast: Annotated[list[AnswerTarget], Field(max_length=MAX_CAST)] = []
    anchors: Annotated[list[AnswerTarget], Field(max_length=MAX_CAST)] = []
    standing: AnswerStanding | None = None


Reply = Ready | Unable | Refusal | Answer
_REPLY: TypeAdapter[Reply] = TypeAdapter(Annotated[Reply, Field(discriminator="type")])


def frames_of(request: GroundingRequest) -> list[Frame]:
    """Every picture of a request once, the target first."""
    frames = {(frame.epoch, frame.index): frame for frame in request.references + request.segment}
    target = request.target
    frames.pop((target.epoch, target.index), None)
    return [target, *frames.values()]


def encode_request(serial: int, request: GroundingRequest, offsets: Sequence[int]) -> bytes:
    """One line for a request whose `frames_of` lie at `offsets` in the slab."""
    frames = frames_of(request)
    number = {(frame.epoch, frame.index): at for at, frame in enumerate(frames)}
    ask = Ask(
        serial=serial,
        text=request.text,
        mode=request.mode.value,
        token_budget=request.token_budget,
        frames=[
            FramePlace(
                index=frame.index,
                pts_ns=frame.pts_ns,
                epoch=frame.epoch,
                height=frame.height,
                width=frame.width,
                offset=offset,
            )
            for frame, offset in zip(frames, offsets, strict=True)
        ],
        target=0,
        segment=[number[frame.epoch, frame.index] for frame in request.segment],
        references=[number[frame.epoch, frame.index] for frame in request.references],
    )
    return encode(ask)


def decode_request(
    line: bytes, picture: Callable[[int, int, int], Image]
) -> tuple[int, GroundingRequest]:
    """A line back to its serial number and request; `picture(offset, height, width)` reads pixels.

    Raises:
        ReasoningError: The line is not a request.
    """
    try:
        ask = Ask.model_validate_json(line)
    except ValidationError as error:
        raise ReasoningError(f"expected a request, got {_first(error)}") from None
    if max([ask.target, *ask.segment, *ask.references]) >= len(ask.frames):
        raise ReasoningError(f"expected frame numbers below {len(ask.frames)}, got a higher one")
    frames = [
        Frame(
            index=place.index,
            pts_ns=place.pts_ns,
            epoch=place.epoch,
            image=picture(place.offset, place.height, place.width),
        )
        for place in ask.frames
    ]
    return ask.serial, GroundingRequest(
        text=ask.text,
        target=frames[ask.target],
        segment=tuple(frames[at] for at in ask.segment),
        references=tuple(frames[at] for at in ask.references),
        mode=GroundingMode(ask.mode),
        token_budget=ask.token_budget,
    )


def encode_grounding(serial: int, grounding: Grounding) -> bytes:
    """One line for an answer; over-long texts are cut, numpy's numbers become plain ones.

    Raises:
        ReasoningError: The reasoner's answer cannot be said: not finite, negative, too many points.
    """
    try:
        answer = Answer(
            serial=serial,
            targets=[_to_wire(target) for target in grounding.targets],
            reasoning=grounding.reasoning[:MAX_REASONING_CHARS],
            tokens=int(grounding.tokens),
            seconds=float(grounding.seconds),
            words=[_word_to_wire(word) for word in grounding.words[:MAX_WORDS]],
            cannot_tell=grounding.cannot_tell,
            seen=None if grounding.seen is None else _seen_to_wire(grounding.seen),
            where=[float(place) for place in grounding.where],
            cast=[_to_wire(target) for target in grounding.cast],
            anchors=[_to_wire(target) for target in grounding.anchors],
            standing=None if grounding.standing is None else _rule_to_wire(grounding.standing),
        )
    except ValidationError as error:
        raise ReasoningError(f"the reasoner's answer is not valid: {_first(error)}") from None
    return encode(answer)


def encode(message: Message) -> bytes:
    """Any message as one line."""
    return message.model_dump_json().encode() + b"\n"


def decode_reply(line: bytes) -> Reply:
    """A line from the process.

    Raises:
        ReasoningError: It is none of the replies.
    """
    try:
        return _REPLY.validate_json(line)
    except ValidationError as error:
        raise ReasoningError(f"the reasoner's line is not a reply: {_first(error)}") from None


def to_grounding(answer: Answer, frame: Frame, max_targets: int) -> Grounding:
    """A checked answer about `frame`: boxes clipped to it, points outside it left out.

    Raises:
        ReasoningError: More targets than `max_targets`, or none of them lies in the frame (which
            is not the same as "no such object").
    """
    if len(answer.targets) > max_targets:
        raise ReasoningError(
            f"expected at most {max_targets} targets (reasoning.max_targets), "
            f"got {len(answer.targets)}"
        )
    targets = _to_targets(answer.targets, frame)
    if answer.targets and not targets:
        raise ReasoningError(
            f"expected boxes within {frame.width}x{frame.height}, got {answer.targets[0].box}"
        )
    return Grounding(
        targets,
        answer.reasoning,
        answer.tokens,
        answer.seconds,
        tuple(
            WordSense(
                word.text, WordUse(word.use), word.taken_as, word.known_to, word.names, word.seen
            )
            for word in answer.words
        ),
        answer.cannot_tell,
        None if answer.seen is None else tuple(_to_seen(answer.seen, frame)),
        tuple(answer.where),
        _to_targets(answer.cast, frame),
        _to_targets(answer.anchors, frame),
        None if answer.standing is None else _to_rule(answer.standing),
    )


def _word_to_wire(word: WordSense) -> AnswerWord:
    return AnswerWord(
        text=word.text[:MAX_LABEL_CHARS],
        use=word.use.value,
        taken_as=word.taken_as[:MAX_LABEL_CHARS],
        known_to=word.known_to[:MAX_LABEL_CHARS],
        names=word.names,
        seen=word.seen,
    )


def _to_wire(target: Target) -> AnswerTarget:
    x0, y0, x1, y1 = target.box
    return AnswerTarget(
        box=(float(x0), float(y0), float(x1), float(y1)),
        positive=[(float(x), float(y)) for x, y in target.positive],
        negative=[(float(x), float(y)) for x, y in target.negative],
        score=float(target.score),
        label=target.label[:MAX_LABEL_CHARS],
        lead=float(target.lead),
    )


def _seen_to_wire(seen: Sequence[Sighting]) -> list[AnswerSighting]:
    return [
        AnswerSighting(
            box=(float(x0), float(y0), float(x1), float(y1)),
            score=float(each.score),
            label=each.label[:MAX_LABEL_CHARS],
        )
        for each in seen[:MAX_SEEN]
        for x0, y0, x1, y1 in (each.box,)
    ]


def _to_seen(items: Sequence[AnswerSighting], frame: Frame) -> Iterator[Sighting]:
    for item in items:
        box = _clip(item.box, frame)
        if box[2] - box[0] >= 1 and box[3] - box[1] >= 1:
            yield Sighting(box, min(max(item.score, 0.0), 1.0), item.label)


def _rule_to_wire(rule: Standing) -> AnswerStanding:
    return AnswerStanding(
        measure=None if rule.measure is None else rule.measure.value,
        most=rule.most,
        rank=rule.rank,
        count=rule.count,
        reach=rule.reach,
        after=None if rule.after is None else rule.after.value,
        by_anchor=rule.by_anchor,
    )


def _to_rule(item: AnswerStanding) -> Standing:
    return Standing(
        None if item.measure is None else Measure(item.measure),
        item.most,
        item.rank,
        item.count,
        item.reach,
        None if item.after is None else Happening(item.after),
        item.by_anchor,
    )


def _to_targets(items: Sequence[AnswerTarget], frame: Frame) -> tuple[Target, ...]:
    found = (_to_target(item, frame) for item in items)
    return tuple(target for target in found if target is not None)


def _to_target(item: AnswerTarget, frame: Frame) -> Target | None:
    box = _clip(item.box, frame)
    if box[2] - box[0] < 1 or box[3] - box[1] < 1:
        return None
    return Target(
        box=box,
        positive=_inside(item.positive, frame),
        negative=_inside(item.negative, frame),
        score=min(max(item.score, 0.0), 1.0),
        label=item.label,
        lead=min(max(item.lead, 0.0), 1.0),
    )


def _clip(box: Box, frame: Frame) -> Box:
    width, height = float(frame.width), float(frame.height)
    x0, x1 = (min(max(x, 0.0), width) for x in box[0::2])
    y0, y1 = (min(max(y, 0.0), height) for y in box[1::2])
    return x0, y0, x1, y1


def _inside(points: Sequence[Point], frame: Frame) -> tuple[Point, ...]:
    return tuple((x, y) for x, y in points if 0 <= x < frame.width and 0 <= y < frame.height)


def _first(error: ValidationError) -> str:
    """The first complaint in words, without the input: it may be long, or hostile."""
    item = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in item["loc"])
    return f"{where}: {item['msg']}"[:300] if where else item["msg"][:300]
