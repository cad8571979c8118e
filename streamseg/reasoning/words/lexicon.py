"""Which words the attribute reasoner understands, and as what; it knows no grammar.

A lexeme is the longest run of words that has one meaning: "upper left corner" is one place,
"moving to the left" one motion, "not moving" one stillness.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

from streamseg.vocabulary import COLOUR_WORDS


class Kind(Enum):
    """What a lexeme does in a sentence."""

    COLOUR = auto()
    TONE = auto()
    SIZE = auto()
    PLACE = auto()
    MOTION = auto()
    SHAPE = auto()
    TEXTURE = auto()
    SIDE = auto()
    SUPERLATIVE = auto()
    RELATION = auto()
    NOUN = auto()
    NOT = auto()
    EXCEPT = auto()
    WITH = auto()
    AND = auto()
    OR = auto()
    ALL = auto()
    NUMBER = auto()
    ORDINAL = auto()
    FROM_SIDE = auto()
    ARTICLE = auto()
    LINK = auto()
    FILLER = auto()
    COMMA = auto()
    OWNS = auto()
    AFTER = auto()
    HAPPENING = auto()
    UNKNOWN = auto()


@dataclass(frozen=True, slots=True)
class Lexeme:
    """`text` as written (lower case); `value` is its one canonical meaning within `kind`."""

    kind: Kind
    value: str
    text: str
    plural: bool = False


COLOURS = {name: "; ".join(words) for name, words in COLOUR_WORDS.items()} | {
    "colourful": "colourful; colorful; coloured; colored"
}

TONES = {
    "dark": "dark; darker; darkish; deep; dim",
    "light": "light; lighter; pale; faint",
    "bright": "bright; brighter; vivid; saturated; vibrant",
}

SIZES = {
    "big": "big; large; huge; giant; great; enormous; massive; sizable",
    "small": "small; little; tiny; mini; miniature; minuscule; wee",
    "medium": "medium; medium sized; middle sized; mid sized; average sized",
}

PLACES = {
    "left": "on the left; on left; at the left; to the left; on the left side; at the left side; "
    "on the left hand side; left side; left hand side; in the left half; in the left; left half; "
    "left part; on the left edge; at the left edge; left of the picture; left of the image; "
    "left of the frame; left of the screen; left of the scene; left of the video",
    "right": "on the right; on right; at the right; to the right; on the right side; "
    "at the right side; on the right hand side; right side; right hand side; in the right half; "
    "in the right; right half; right part; on the right edge; at the right edge; "
    "right of the picture; right of the image; right of the frame; right of the screen; "
    "right of the scene; right of the video",
    "top": "on the top; at the top; at top; on top; in the top; in the upper half; top half; "
    "in the top half; "
    "at the top edge; upper part; top part; at the upper edge; up high; high up",
    "bottom": "on the bottom; at the bottom; at bottom; in the bottom; in the lower half; "
    "in the bottom half; at the bottom edge; lower part; bottom part; at the lower edge; down low",
    "top left": "top left; upper left; top left corner; upper left corner; left upper; left top; "
    "top left hand corner; upper left hand corner",
    "top right": "top right; upper right; top right corner; upper right corner; right upper; "
    "right top; top right hand corner; upper right hand corner",
    "bottom left": "bottom left; lower left; bottom left corner; lower left corner; left lower; "
    "left bottom; lower left hand corner; bottom left hand corner",
    "bottom right": "bottom right; lower right; bottom right corner; lower right corner; "
    "lower right hand corner; bottom right hand corner; right lower; right bottom",
    "centre": "middle; centre; center; central; in the middle; in the centre; in the center; "
    "at the centre; at the center; in the middle of the picture; in the middle of the image; "
    "in the middle of the frame; in the middle of the screen; in the centre of the picture; "
    "in the center of the image; in the center of the frame; in the centre of the frame",
    "corner": "corner; in the corner; in a corner; at the corner",
    "edge": "at the edge; on the edge; near the edge; at the border; on the border; "
    "near the border",
}

_MOVE = "moving moves move going goes travelling traveling heading headed drifting sliding flying"
_MOVE += " running walking driving rolling floating travels heads drifts slides flies runs walks"
_MOVE += " drives rolls floats swimming gliding moved shifting"
_DIRECTIONS = {
    "left": "left; to the left; leftward; leftwards; towards the left; toward the left",
    "right": "right; to the right; rightward; rightwards; towards the right; toward the right",
    "up": "up; upward; upwards; to the top; towards the top; toward the top",
    "down": "down; downward; downwards; to the bottom; towards the bottom; toward the bottom",
}

MOTIONS = {
    "moving": "in motion; movement; mobile; bouncing; jumping; swinging; dancing; waving; "
    "that moves around; moving around; moves around; " + "; ".join(_MOVE.split()),
    "still": "still; static; stationary; motionless; parked; standing still; not moving; at rest; "
    "resting; unmoving; immobile; fixed; does not move; do not move; doesn't move; isn't moving; "
    "is not moving; staying still; stays still; stays put; staying put; standing; stay still; "
    "not in motion; aren't moving; never moves; keeps still",
    "fast": "fast; quick; quickly; rapid; speeding; rapidly; speedy; moving fast; moving quickly; "
    "moves fast; moves quickly",
    "slow": "slow; slowly; moving slowly; moves slowly; slow moving",
    "up": "rising; ascending; climbing; rises",
    "down": "falling; dropping; descending; sinking; falls",
    "entering": "entering; coming in; comes in; enters; entered; came in; coming into view; "
    "coming into the picture; coming into the frame; just came in; arriving; appearing; appears; "
    "comes into view; entering the scene; enters the scene; entering the picture; newcomer; "
    "walks in; walking in; walked in; goes in; going in; runs in; running in; steps in; "
    "stepping in; drives in; driving in; comes into the picture; comes back; coming back; "
    "arrived; just appeared",
    "leaving": "leaving; going out; goes out; exiting; exits; leaves; leaving the picture; "
    "leaving the frame; disappearing; disappears; going away; leaving the scene; "
    "leaves the scene; leaves the picture; goes away; departing; about to leave",
}

SHAPES = {
    "round": "round; circular; ball; balls; disc; discs; disk; disks; circle; circles; sphere; "
    "spheres; spherical; dot; dots; globe; globes; wheel; wheels; coin; coins; football; "
    "basketball; marble; marbles",
    "square": "square; squares; box; boxes; cube; cubes; squarish; tile; tiles; block; blocks; "
    "cubic; boxy",
    "rectangle": "rectangle; rectangles; rectangular; bar; bars; brick; bricks; oblong",
    "triangle": "triangle; triangles; triangular; pyramid; pyramids; cone; cones",
    "star": "star; stars; starry; star shaped",
    "ring": "ring; rings; donut; donuts; doughnut; doughnuts; hoop; hoops; annulus; torus; "
    "ring shaped; with a hole; hollow",
    "ellipse": "ellipse; ellipses; oval; ovals; elliptical; egg; eggs; oval shaped",
    "cross": "cross; crosses; plus sign; plus; plus shaped; cross shaped",
    "pentagon": "pentagon; pentagons; pentagonal",
    "hexagon": "hexagon; hexagons; hexagonal",
    "diamond": "diamond; diamonds; rhombus; lozenge",
    "heart": "heart; hearts; heart shaped",
    "crescent": "crescent; crescents; moon; moons; crescent shaped",
    "blob": "blob; blobs; irregular; cloud; clouds",
    "long": "long; elongated; stretched; stick; sticks; rod; rods",
    "tall": "tall; upright; vertical",
    "wide": "wide; broad; horizontal; flat",
    "thin": "thin; narrow; slim; slender",
}
_NOUN_SHAPES = (
    "ball disc disk circle sphere dot globe wheel coin football basketball marble square box cube "
    "tile block rectangle bar brick triangle pyramid cone star ring donut doughnut hoop annulus "
    "torus ellipse oval egg cross pentagon hexagon diamond rhombus lozenge heart crescent moon "
    "blob cloud stick rod"
)
NOUN_SHAPES = frozenset(_NOUN_SHAPES.split())
"""Shape words that also name the thing, and so carry its number."""

SHAPE_OF_NOUN = {
    word: shape
    for shape, words in SHAPES.items()
    for word in words.split("; ")
    if word in NOUN_SHAPES
}

_GEOMETRIC = (
    "disc disk circle sphere dot square cube rectangle triangle pyramid star ring hoop annulus "
    "torus ellipse oval cross pentagon hexagon diamond rhombus lozenge heart crescent blob"
)
GEOMETRIC = frozenset(_GEOMETRIC.split())
"""Shapes that are all there is to the thing: a ring is what looks like one, a wheel may not be."""

TEXTURES = {
    "striped": "striped; stripy; stripes; with stripes; banded; zebra",
    "dotted": "dotted; spotted; polka dot; with dots; with spots; speckled; spotty",
    "checkered": "checkered; chequered; checked; checkerboard; with a checkerboard",
    "plain": "plain; solid; uniform; single coloured; single colored; untextured",
    "textured": "textured; patterned; noisy; with a pattern",
}

SIDES = {
    "left": "left; lefthand; left hand",
    "right": "right; righthand; right hand",
    "top": "top; upper",
    "bottom": "bottom; lower",
}

SUPERLATIVES = {
    "+size": "biggest; largest; hugest; greatest",
    "-size": "smallest; littlest; tiniest",
    "-x": "leftmost; left most; farthest left; furthest left; far left; most left; "
    "furthest to the left; farthest to the left; extreme left",
    "+x": "rightmost; right most; farthest right; furthest right; far right; most right; "
    "furthest to the right; farthest to the right; extreme right",
    "-y": "topmost; uppermost; highest; top most; furthest up",
    "+y": "bottommost; lowest; lowermost; bottom most; furthest down",
    "+speed": "fastest; quickest; speediest; moving fastest; moves fastest; moves the fastest; "
    "moving the fastest; fastest moving; most active",
    "-speed": "slowest; moving slowest; moves slowest; moves the slowest; moving the slowest; "
    "slowest moving",
    "+near": "closest to the camera; nearest to the camera; nearest; closest; closest to us; "
    "nearest to us; closest to me; in the foreground; foreground; in front; frontmost; front",
    "-near": "farthest; furthest; in the background; farthest away; furthest away; farthest from "
    "the camera; furthest from the camera; furthest from us",
    "-centre": "closest to the centre; closest to the center; nearest to the centre; nearest the "
    "centre; nearest to the center; nearest the center; closest to the middle; most central; "
    "nearest the middle; nearest to the middle",
    "+centre": "farthest from the centre; furthest from the centre; furthest from the center; "
    "farthest from the center",
    "+light": "lightest; brightest; palest",
    "-light": "darkest",
    "+tall": "tallest",
    "+wide": "widest",
    "+long": "longest",
    "+round": "roundest",
    "+late": "last to appear; newest; latest; appeared last; came in last; most recent",
    "-late": "first to appear; appeared first; came in first; oldest",
}

RELATIONS = {
    "left": "left of; to the left of; on the left of; left from; on the left side of; "
    "to the left side of",
    "right": "right of; to the right of; on the right of; right from; on the right side of; "
    "to the right side of",
    "above": "above; over; on top of; higher than; atop",
    "below": "below; under; beneath; underneath; lower than",
    "near": "near; next to; close to; beside; by; nearby; near to; alongside; adjacent to; "
    "touching; with",
    "nearest": "closest to; nearest to; nearest; closest",
    "farthest": "farthest from; furthest from; farthest away from; furthest away from",
    "far": "far from; away from; far away from",
    "behind": "behind; at the back of; hidden by; occluded by; partly behind",
    "front": "in front of; occluding; covering; hiding; before",
    "inside": "inside; in; within; inside of; contained in; surrounded by",
    "on": "on; upon",
    "between": "between; in between; among",
    "held": "held by; in the hand of; carried by; worn by",
    "holds": "holds; hold; is holding; has hold of; carries; is carrying; has got; possesses",
    "wearing": "wearing; dressed in; who wears; clad in",
    "bigger": "bigger than; larger than; greater than",
    "smaller": "smaller than; littler than; tinier than",
    "faster": "faster than; quicker than; moving faster than",
    "slower": "slower than; moving slower than",
    "same colour": "the same colour as; same colour as; the same color as; same color as",
    "same shape": "the same shape as; same shape as",
    "towards": "towards; toward; moving towards; moving toward; approaching; moving to; "
    "heading towards; going towards; heading for",
}

NOUNS = {
    "thing": "object; thing; one; ones; item; element; something; anything; shape; figure; target; "
    "stuff; everything; piece; part; it; whoever; whichever; whatever; they",
    "picture": "picture; image; frame; screen; scene; video; view; photo; clip; stream; camera",
    "person": "person; people; man; men; woman; women; boy; girl; child; children; guy; lady; "
    "someone; somebody; human; kid; worker; player; pedestrian; he; she",
    "animal": "dog; cat; horse; cow; animal; puppy; bird; sheep; kitten; bear; elephant",
    "vehicle": "car; truck; bus; van; vehicle; bike; bicycle; motorbike; motorcycle; boat",
    "arm": "arm; robot arm; robotic arm; crane; robot; manipulator",
    "clothes": "shirt; t shirt; tshirt; jacket; coat; dress; jeans; trousers; pants; hat; sweater; "
    "skirt; hoodie; suit; vest",
    "cup": "mug; cup; glass; bottle; jar; kettle; bowl; plate; pot; jug",
}
"""Classes of nouns with weak priors; every other noun is ignored, and said to be."""

AFTER = "after; once; as soon as; when; since; the moment"
"""What comes next tells what must have happened."""

HAPPENINGS = {
    "moved": "starts moving; started moving; starts to move; started to move; begins to move; "
    "began to move; begins moving; began moving; starts rolling; started rolling; sets off; "
    "set off; takes off; took off; starts off",
    "stopped": "stops; stopped; stops moving; stopped moving; comes to a stop; came to a stop; "
    "comes to rest; came to rest; has stopped; halts; halted",
    "touched": "touches; touched; bumps into; bumped into; collides with; collided with; "
    "runs into; ran into",
}
_DOINGS = {
    "moved": "kicked kick kicks hit struck thrown pushed moved moves moving launched released "
    "dropped rolled rolls tossed shot starts started goes jumped jumps walked runs ran",
    "stopped": "halt rests",
    "touched": "hits reaches reached meets met",
}
DOINGS = {word: kind for kind, words in _DOINGS.items() for word in words.split()}
"""What words mean where a clause tells what happened; elsewhere they say how a thing is."""

NUMBERS = {
    "1": "one; single; a single; only; lone; sole",
    "2": "two; pair; pair of; a pair of; both; both of; couple of; a couple of",
    **{
        str(3 + i): word
        for i, word in enumerate(["three", "four", "five", "six", "seven", "eight", "nine", "ten"])
    },
}
ORDINALS = {
    "1": "first; 1st",
    "2": "second; 2nd",
    "3": "third; 3rd",
    "4": "fourth; 4th",
    "5": "fifth; 5th",
}
FROM_SIDES = {
    side: f"from the {side}; from {side}; counting from the {side}; from the {side} side"
    for side in ("left", "right", "top", "bottom")
}
FILLERS = (
    "that; which; who; whose; of; please; find; segment; show; me; track; follow; where; what; is "
    "there; there; i; want; see; look; for; at; to; get; give; select; highlight; detect; locate; "
    "can; you; could; would; and then; then; also; very; quite; really; just; now; currently; "
    "currently in; visible; exactly; shown; located; placed; lying; sitting; positioned; seen; "
    "more; most; rather; somewhat; slightly; kind; sort; type; colour; color; size; side; area; "
    "direction; its; their; his; her; my; your; while; as; have; has; had; having; been; "
    "was; were; be; being; in colour; in color; shaped; sized; motion; up to; into; out; away; "
    "sits; lies; stands; than; from; mask; masks; out of; the whole; whole; entire; do; does; did; "
    "all the time; throughout; always; ever; it's; that's; what's; who's; he's; she's; there's; "
    "here's; let's; where's; one's"
)
ARTICLES = "the; a; an; this; these; those; some; any"

_MEASURES = (
    "bunch group crowd flock herd pile heap stack slice row set bit batch cluster pack swarm team "
    "collection pieces slices"
)
MEASURES = frozenset(_MEASURES.split())
"""Before "of" they tell how many or how much of what follows: a bunch of bananas is bananas."""

_WORDS = re.compile(r"\w+(?:'\w+)?|[,;.!?&+§]")
_POSSESSIVE = re.compile(r"\b(?!(?:it|that|what|who|he|she|there|here|let|where|one)')(\w+)'s\b")
_OWNED = "§"
"""Stands for a possessive 's between two words."""
_BREAKS = frozenset(",;.!?")
MAX_CHARS = 1000


def _table() -> dict[tuple[str, ...], tuple[Kind, str]]:
    table: dict[tuple[str, ...], tuple[Kind, str]] = {}

    def add(kind: Kind, entries: dict[str, str]) -> None:
        for value, words in entries.items():
            for phrase in words.split(";"):
                table[tuple(phrase.split())] = (kind, value)

    add(Kind.FILLER, {"": FILLERS})
    add(Kind.ARTICLE, {"": ARTICLES})
    add(Kind.LINK, {"": "is; are; isn't a; looks; remains; stays; keeps"})
    for kind, entries in (
        (Kind.NOUN, NOUNS),
        (Kind.RELATION, RELATIONS),
        (Kind.SUPERLATIVE, SUPERLATIVES),
        (Kind.SIDE, SIDES),
        (Kind.PLACE, PLACES),
        (Kind.MOTION, MOTIONS),
        (Kind.SHAPE, SHAPES),
        (Kind.TEXTURE, TEXTURES),
        (Kind.SIZE, SIZES),
        (Kind.TONE, TONES),
        (Kind.COLOUR, COLOURS),
        (Kind.NUMBER, NUMBERS),
        (Kind.ORDINAL, ORDINALS),
        (Kind.FROM_SIDE, FROM_SIDES),
        (Kind.HAPPENING, HAPPENINGS),
        (Kind.MOTION, _directed_motions()),
    ):
        add(kind, entries)
    add(Kind.NOUN, {"thing": "one; ones"})
    add(Kind.PLACE, _places_in_the_picture())
    add(Kind.ALL, {"": "all; every; each; all of; every one of; each of"})
    add(Kind.AND, {"": "and; &; as well as; plus also; together with"})
    add(Kind.OR, {"": "or"})
    add(Kind.AFTER, {"": AFTER})
    add(Kind.COMMA, {"": "but"})
    add(Kind.NOT, {"": "not; isn't; aren't; non; never; no; doesn't; don't; neither; nor; without"})
    add(
        Kind.EXCEPT,
        {"": "except; except for; other than; but not; apart from; excluding; besides; and not"},
    )
    return table


def _directed_motions() -> dict[str, str]:
    return {
        way: "; ".join(f"{verb} {word}" for verb in _MOVE.split() for word in words.split("; "))
        for way, words in _DIRECTIONS.items()
    }


def _places_in_the_picture() -> dict[str, str]:
    """Every way of putting a side or a corner: "in the top left corner of the frame"."""
    places: dict[str, str] = {}
    corners = [key for key in PLACES if " " in key]
    for value in corners:
        words = [word.strip() for word in PLACES[value].split(";")]
        places[value] = "; ".join(
            f"{lead} the {word}" for lead in ("in", "at", "on") for word in words
        )
    return places


_TABLE = _table()
_LONGEST = max(len(words) for words in _TABLE)
_PLURALS = frozenset(("men", "women", "people", "children", "ones", "these", "those", "everything"))


def lexemes(text: str) -> Iterator[Lexeme]:
    """Split a sentence into its longest meaningful runs; never raises, whatever the text."""
    clean = text[:MAX_CHARS].lower().replace("’", "'").replace("-", " ")
    words = _WORDS.findall(_POSSESSIVE.sub(rf"\1 {_OWNED}", clean))
    at = 0
    while at < len(words):
        length, lexeme = _longest(words, at)
        yield lexeme
        at += length


def _longest(words: list[str], at: int) -> tuple[int, Lexeme]:
    if words[at] == _OWNED:
        return 1, Lexeme(Kind.OWNS, "", "'s")
    if words[at] in _BREAKS:
        return 1, Lexeme(Kind.COMMA, "", words[at])
    for length in range(min(_LONGEST, len(words) - at), 0, -1):
        run = tuple(words[at : at + length])
        entry = _TABLE.get(run)
        if entry is not None:
            text = " ".join(run)
            return length, Lexeme(entry[0], entry[1], text, _is_plural(entry[0], run[-1]))
        if length == 1 and (lexeme := _inflected(run[0])) is not None:
            return 1, lexeme
    word = words[at]
    if word.isdecimal():
        return 1, Lexeme(Kind.NUMBER, str(min(int(word[:3]), 99)), word)
    return 1, Lexeme(Kind.UNKNOWN, word, word, _looks_plural(word))


def _inflected(word: str) -> Lexeme | None:
    """A known noun or shape with a plural ending."""
    for ending in ("s", "es"):
        entry = _TABLE.get((word.removesuffix(ending),)) if word.endswith(ending) else None
        if entry is not None and entry[0] in (Kind.NOUN, Kind.SHAPE):
            return Lexeme(entry[0], entry[1], word, plural=True)
    return None


def _is_plural(kind: Kind, word: str) -> bool:
    if kind is Kind.SHAPE:
        stems = {word.removesuffix("s"), word.removesuffix("es")}
        return word not in NOUN_SHAPES and bool(stems & NOUN_SHAPES)
    return kind is Kind.NOUN and word in _PLURALS


def _looks_plural(word: str) -> bool:
    return len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is", "'s"))
