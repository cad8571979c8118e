"""What the stages say to one another: frames, targets, masks, results; knows no stage."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from streamseg.referents import Role, Standing

if TYPE_CHECKING:
    from supervision import Detections

Image = NDArray[np.uint8]
"""(H, W, 3) uint8, RGB."""
Mask = NDArray[np.bool_]
"""(H, W) bool."""
Labels = NDArray[np.uint16]
"""(H, W) uint16 index map: the track id at each pixel, 0 = background."""
Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 in pixels; x1 and y1 lie one past the last pixel."""
Point = tuple[float, float]
"""x, y in pixels."""

T = TypeVar("T")


class TrackState(StrEnum):
    """How far a mask can be believed; a frame's state is that of its best track."""

    SEARCHING = "searching"
    TRACKING = "tracking"
    UNCERTAIN = "uncertain"
    LOST = "lost"


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One decoded picture.

    Attributes:
        index: Position among the frames that the source produced, from 0; gaps are drops.
        pts_ns: Presentation time in nanoseconds, growing within an epoch.
        epoch: Grows when the picture breaks: a reconnect, a new resolution, a jump in time.
            Nothing is carried across epochs.
        image: (H, W, 3) uint8 RGB, C-contiguous, never written to.
        arrived_ns: Clock time at which the source had it.
    """

    index: int
    pts_ns: int
    epoch: int
    image: Image
    arrived_ns: int = 0
    _memo: dict[Hashable, object] = field(default_factory=dict, repr=False)

    @property
    def height(self) -> int:
        return int(self.image.shape[0])

    @property
    def width(self) -> int:
        return int(self.image.shape[1])

    @property
    def pts_s(self) -> float:
        return self.pts_ns / 1e9

    def memo(self, key: Hashable, compute: Callable[[], T]) -> T:
        """Return what `compute` made for `key` on this frame, computing it at most once.

        For what derives from pictures alone (a smaller copy, optical flow, network features),
        so that a replay through the buffer does not pay for it again. Two threads that race
        both compute and one result is kept: callers must not write to what they get.
        """
        try:
            return cast(T, self._memo[key])
        except KeyError:
            value = compute()
            return cast(T, self._memo.setdefault(key, value))

    def forget(self) -> None:
        """Drop everything memoised; the buffer calls it when the frame leaves."""
        self._memo.clear()

    @property
    def nbytes(self) -> int:
        """Bytes of the picture and of everything memoised that says its size."""
        held = sum(_nbytes(value) for value in tuple(self._memo.values()))
        return int(self.image.nbytes) + held


def _nbytes(value: object) -> int:
    if isinstance(value, tuple | list):
        return sum(_nbytes(item) for item in value)
    return int(getattr(value, "nbytes", 0))


@dataclass(frozen=True, slots=True)
class Query:
    """What to find. `id` grows with every `set_query`: an answer to an older one is dropped."""

    text: str
    id: int = 0


class WordUse(StrEnum):
    """How far a reasoner understands a word: as people do, as something like it, or not at all."""

    UNDERSTOOD = "understood"
    COARSE = "coarse"
    UNKNOWN = "unknown"


COARSE_WORTH = 0.6
"""What a word known only roughly counts for."""
KIND_WORTH = 0.75
"""What a word counts for whose wider class a detector saw ("girl", a person). On the sentences of
ten real clips, over a small detector, it lets such a thing be sure where nothing rivals it."""


@dataclass(frozen=True, slots=True)
class WordSense:
    """What became of one word of the sentence.

    Attributes:
        text: As written.
        taken_as: What it was taken for, where that is not the word itself.
        known_to: The config whose reasoner would understand it, empty where none is known.
        names: It says what the thing is, rather than how it looks or where it is.
        seen: What it was taken for is a class that was seen, not guessed from looks.
    """

    text: str
    use: WordUse
    taken_as: str = ""
    known_to: str = ""
    names: bool = False
    seen: bool = False

    @property
    def worth(self) -> float:
        """What it counts for, in [0, 1]."""
        if self.use is WordUse.COARSE:
            return KIND_WORTH if self.seen else COARSE_WORTH
        return float(self.use is WordUse.UNDERSTOOD)


@dataclass(frozen=True, slots=True)
class Target:
    """One object as the reasoning model points at it, in pixels of the frame it was asked about.

    Attributes:
        box: Around the object.
        positive: Points on the object (VideoSeg-R1's central point), may be empty.
        negative: Points just off it, may be empty.
        score: In [0, 1], how well it answers to the words.
        label: A few words on what it is, for people.
        lead: In [0, 1], how far the best thing not chosen stays behind it; 0 for a tie.
    """

    box: Box
    positive: tuple[Point, ...] = ()
    negative: tuple[Point, ...] = ()
    score: float = 1.0
    label: str = ""
    lead: float = 1.0


@dataclass(frozen=True, slots=True)
class Sighting:
    """A thing of a kind that the sentence means, be it the one meant or another.

    Attributes:
        box: Around it, in pixels of the frame looked at.
        score: In [0, 1], how surely it is of that kind; 0.6 where a detector counts as seeing.
        label: Its kind.
    """

    box: Box
    score: float
    label: str = ""


@dataclass(frozen=True, slots=True)
class Grounding:
    """A reasoner's whole answer about one frame. No targets means "no such object here", or, where
    `cannot_tell` says so, that the words are not understood well enough to say.

    Attributes:
        targets: Best first.
        reasoning: The chain of thought, or of reasons, in words.
        tokens: Length of the reasoning in the model's tokens.
        seconds: What the answer cost inside the reasoner.
        words: The words that matter, and how far each was understood; empty where a reasoner does
            not say.
        cannot_tell: The words do not decide what is meant: nothing was guessed.
        seen: All that is seen of the kinds that the sentence means; None where whoever answers
            cannot see them by kind, which says nothing of any track.
        cast: Where who is meant may change: what may be meant next, and is not now.
        anchors: What those are compared with, where that is a thing.
        standing: By what those meant are chosen among them all, on every frame anew; None where the
            answer stays.
        where: For the two modes that ask for it, in [0, 1] from the first frame shown to the last:
            start and end, or one place; empty where whoever answers cannot say.
    """

    targets: tuple[Target, ...]
    reasoning: str = ""
    tokens: int = 0
    seconds: float = 0.0
    words: tuple[WordSense, ...] = ()
    cannot_tell: bool = False
    seen: tuple[Sighting, ...] | None = None
    where: tuple[float, ...] = ()
    cast: tuple[Target, ...] = ()
    anchors: tuple[Target, ...] = ()
    standing: Standing | None = None

    @property
    def pointed(self) -> tuple[tuple[Target, Role], ...]:
        """Everything pointed at, and what each is to the sentence."""
        groups = ((self.targets, Role.MEANT), (self.cast, Role.CAST), (self.anchors, Role.ANCHOR))
        return tuple((target, role) for targets, role in groups for target in targets)

    @property
    def understood(self) -> float:
        """Share of the words understood, in [0, 1], a coarse one counted in part; 1 when not said.

        Nouns count as much as all other words together: any number of attributes does not make
        up for not knowing what the thing is.
        """
        nouns = [word.worth for word in self.words if word.names]
        others = [word.worth for word in self.words if not word.names]
        shares = [sum(group) / len(group) for group in (nouns, others) if group]
        return sum(shares) / len(shares) if shares else 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Segmented:
    """One target cut out: `mask` (H, W) bool at the frame's resolution, `score` in [0, 1]."""

    mask: Mask
    score: float


@dataclass(frozen=True, slots=True, eq=False)
class Propagated:
    """Where every known object is on one frame.

    Attributes:
        labels: (H, W) uint16 at the frame's resolution.
        scores: For every id held, also those without a pixel: confidence in [0, 1] that the
            mask shown is this object. Near 0 means the propagator does not see it.
    """

    labels: Labels
    scores: Mapping[int, float]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a track's score rests on, each in [0, 1].

    Attributes:
        words: How far what was pointed at answers to the sentence, and how far the sentence was
            understood; 1 for what was pointed at by hand.
        cut: How well the keyframe's mask fits what was pointed at.
        carried: How far propagation takes what is shown on this frame for the object.
        by_kind: Whoever answered sees things by the kind that the words name, and was not left to
            their looks. Says what the three are worth, and speaks for no mask by itself.
    """

    words: float = 1.0
    cut: float = 1.0
    carried: float = 1.0
    by_kind: bool = False

    @property
    def belief(self) -> float:
        """In [0, 1]: the weakest witness, lowered by what the other two leave in doubt. None can
        stand in for another: a mask that is carried well may be of the wrong thing."""
        weakest, middle, best = sorted((self.words, self.cut, self.carried))
        return float(weakest * (middle * best) ** 0.5)


CERTAIN = Evidence()
"""Nothing speaks against it."""


@dataclass(frozen=True, slots=True)
class TrackView:
    """One object as a result shows it.

    Attributes:
        score: How likely this mask is what was meant, in [0, 1]: of many with 0.8 some eight in
            ten are.
        box: In pixels, None when it has none.
        label: A few words on what it is, for people.
        evidence: What the score rests on.
    """

    id: int
    score: float
    state: TrackState
    box: Box | None
    label: str = ""
    evidence: Evidence = CERTAIN


@dataclass(frozen=True, slots=True, eq=False)
class MaskSet:
    """The masks of one frame: `labels` (H, W) uint16 at the source's resolution, and who is who."""

    labels: Labels
    objects: tuple[TrackView, ...] = ()

    def mask(self, track_id: int) -> Mask:
        """The (H, W) bool mask of one id."""
        mask: Mask = self.labels == track_id
        return mask


class TriggerReason(StrEnum):
    """Why the reasoner was asked."""

    NO_TARGET = "no target yet"
    NEW_QUERY = "new query"
    LOST = "target lost"
    SCENE_CUT = "scene cut"
    DRIFT = "drift"
    RELEVANCE = "relevance peak"
    REFRESH = "refresh due"
    SHIFT = "referent may shift"
    WITNESS = "witness due"
    """No question: a look at what is there of the kinds meant, to hold the tracks against."""


class Speed(StrEnum):
    """The two reasoners: one that answers at once, and one that considers."""

    FAST = "fast"
    DEEP = "deep"


class DeepReason(StrEnum):
    """Why the deep reasoner was asked besides the fast one."""

    NO_ANSWER = "the fast one did not answer"
    CANNOT_TELL = "the fast one cannot tell"
    TORN = "the fast one is torn between two"
    HARD = "the question is hard"
    DISAGREES = "the fast one names another"


class Spared(StrEnum):
    """Why the deep reasoner was not asked."""

    ANSWERED_WELL = "the fast one answered well"
    CONSIDERED = "its last answer stands"
    IN_FLIGHT = "it is considering already"
    WAITING = "it was asked not long ago"


class GroundingMode(StrEnum):
    """How much the reasoner may think: none (easy), or a chain of thought within a budget; or that
    it is not to choose at all, only to say what it sees of the kinds meant (`Grounding.seen`), or
    where in the key segment's frames the words apply (`Grounding.where`): in which part of them
    (SEGMENT), or on which frame what they mean is seen best (FRAME)."""

    FAST = "fast"
    REASONING = "reasoning"
    WITNESS = "witness"
    SEGMENT = "segment"
    FRAME = "frame"


@dataclass(frozen=True, slots=True)
class Difficulty:
    """VideoSeg-R1's task difficulty: five dimensions in [1, 10]; D is their mean."""

    scene_complexity: float
    segmentation_challenge: float
    temporal_ambiguity: float
    motion_complexity: float
    linguistic_ambiguity: float

    @property
    def value(self) -> float:
        return (
            self.scene_complexity
            + self.segmentation_challenge
            + self.temporal_ambiguity
            + self.motion_complexity
            + self.linguistic_ambiguity
        ) / 5.0


class ReasonerState(StrEnum):
    """Whether the reasoner can be asked. Only while it is `READY` does a frame without masks mean
    that nothing matches."""

    STARTING = "starting"
    """It is being loaded, for the first time."""
    READY = "ready"
    RESTARTING = "restarting"
    """It crashed or hung, and is being started again."""
    DEGRADED = "degraded"
    """It did so too often: it is tried again now and then, masks go on meanwhile."""
    CLOSED = "closed"
    """It cannot be asked any more."""


@dataclass(frozen=True, slots=True, eq=False)
class FrameResult:
    """What the stream says about one frame, and where it has it from.

    Attributes:
        frame: The picture it is about.
        state: The best state among the tracks; `searching` when there are none.
        masks: The masks and the tracks.
        mask_age_frames: Frames since the newest grounding that a live track rests on; None
            without one.
        grounded_frame: Index of that grounding's frame.
        query: The sentence in force, empty where only hand-given targets are followed.
        difficulty: D in [1, 10].
        trigger: Why the reasoner was asked on this frame, None where it was not.
        deep: Why the deep reasoner was asked besides the fast one on this frame, None where not.
        timings_ms: Milliseconds per stage; "latency" is arrival to result.
        reasoner: Whether the reasoner could be asked; a mask's absence means less where it could
            not.
        doubt: What of the query is not understood, in a few words; empty when all is.
    """

    frame: Frame
    state: TrackState
    masks: MaskSet
    mask_age_frames: int | None = None
    grounded_frame: int | None = None
    query: str = ""
    difficulty: float = 1.0
    trigger: TriggerReason | None = None
    deep: DeepReason | None = None
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    reasoner: ReasonerState = ReasonerState.READY
    doubt: str = ""

    def to_supervision(self) -> Detections:
        """The objects with a mask, as `supervision.Detections`.

        `xyxy` (n, 4) float32 in pixels, `mask` (n, H, W) bool, `confidence` (n,) float32,
        `tracker_id` (n,) int, `class_id` (n,) int, all 0, and `data["class_name"]` (n,) the labels.

        Raises:
            MissingDependencyError: The package supervision is not installed.
        """
        from streamseg.interop import to_supervision

        return to_supervision(self)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened besides a frame: `kind` for machines, `message` for people."""

    kind: str
    message: str
    at_ns: int = 0
    frame_index: int | None = None


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What a source knows of itself once open.

    Attributes:
        name: For people; never holds a password.
        live: Frames come when they come: the newest is kept, older ones are dropped and counted.
        fps: Nominal frames per second, None when unknown.
        frame_count: Frames to come, None when unknown.
        width, height: Of the first epoch, 0 when not known before the first frame.
        pixel_aspect: Width of a pixel through its height as the picture is meant to be shown.
            Masks and boxes are in the pixels themselves.
    """

    name: str
    live: bool
    fps: float | None = None
    frame_count: int | None = None
    width: int = 0
    height: int = 0
    pixel_aspect: float = 1.0
