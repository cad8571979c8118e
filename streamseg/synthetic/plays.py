"""What happens in each named scene: the levels, and the scenes about one thing."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from streamseg.synthetic import backgrounds, casting
from streamseg.synthetic.casting import RULES, Director, Part, Rules
from streamseg.synthetic.endless import Endless
from streamseg.synthetic.motion import Camera
from streamseg.synthetic.sentences import expressions
from streamseg.synthetic.sentences.expressions import Expression, ExpressionKind
from streamseg.synthetic.sentences.words import COLOURS, alike_colours
from streamseg.synthetic.stage import SceneObject, Stage, margins
from streamseg.synthetic.textures import load_textures
from streamseg.types import Image, Labels

SPLITS = ("train", "val", "test")
_SHOT_S = 2.0


class Play(Protocol):
    """What happens in a scene, moment by moment."""

    @property
    def objects(self) -> Sequence[SceneObject]:
        """Those who are in it from the first frame on."""

    @property
    def expressions(self) -> tuple[Expression, ...]:
        """What can be said about its first second."""

    def draw(self, t_s: float, index: int) -> tuple[Image, Labels]:
        """The picture and the ids at a time."""


class Clip:
    """One stage and a fixed cast; the objects are drawn in an order of their own."""

    def __init__(
        self,
        stage: Stage,
        objects: Sequence[SceneObject],
        drawn: Sequence[SceneObject],
        sentences: Sequence[Expression],
    ) -> None:
        """Args:
        drawn: `objects`, the hindmost first.
        """
        self.objects = tuple(objects)
        self.expressions = tuple(sentences)
        self._stage = stage
        self._drawn = tuple(drawn)

    def draw(self, t_s: float, index: int) -> tuple[Image, Labels]:
        return self._stage.draw(self._drawn, t_s, index)


class Shots:
    """Clips one after another, each `seconds` long and each starting at its own time 0."""

    def __init__(self, clips: Sequence[Clip], seconds: float, told: Sequence[Expression]) -> None:
        self.objects = clips[0].objects
        self.expressions = tuple(told)
        self._clips = tuple(clips)
        self._seconds = seconds

    def draw(self, t_s: float, index: int) -> tuple[Image, Labels]:
        # The last clip stays on; a hair is added so that 2.0 s is not 1.9999 s.
        shot = min(int(t_s / self._seconds + 1e-6), len(self._clips) - 1)
        return self._clips[shot].draw(t_s - shot * self._seconds, index)


class Setting:
    """What every play is made from: the size, the seed's dice and perhaps pictures."""

    def __init__(
        self,
        name: str,
        size: tuple[int, int],
        seed: int,
        split: str,
        textures: Path | None,
        per_kind: int = 2,
    ) -> None:
        self.size = size
        self.per_kind = per_kind
        self.unit = min(size[0] / 640.0, size[1] / 360.0)
        self.rng = np.random.default_rng([SPLITS.index(split), zlib.crc32(name.encode()), seed])
        self.textures = load_textures(textures) if textures is not None else []

    def stage(self, rules: Rules, camera: Camera, ground: str) -> Stage:
        """Paint a ground and set the light."""
        around = margins(self.size, camera)
        width, height = self.size[0] + 2 * around[0], self.size[1] + 2 * around[1]
        if self.textures:
            picture = self.textures[int(self.rng.integers(len(self.textures)))]
            image = _covering(picture, width, height)
        else:
            image = backgrounds.paint(ground, height, width, self.unit, self.rng)
        lit = casting.light(rules, self.rng)
        return Stage(image, self.size, camera, lit, rules.noise, int(self.rng.integers(2**31)))

    def director(self, rules: Rules, camera: Camera, first_id: int = 1) -> Director:
        fills = self.textures if rules.rank else ()
        return Director(self.size, rules, camera, self.rng, fills, first_id)

    def shuffled(self, objects: Sequence[SceneObject]) -> list[SceneObject]:
        return [objects[k] for k in self.rng.permutation(len(objects))]


def _covering(picture: Image, width: int, height: int) -> Image:
    """Scale and crop a picture so that it fills width × height."""
    scale = max(width / picture.shape[1], height / picture.shape[0])
    big = (
        max(width, round(picture.shape[1] * scale)),
        max(height, round(picture.shape[0] * scale)),
    )
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.ascontiguousarray(cv2.resize(picture, big, interpolation=way)[:height, :width])


Cast = Callable[[Rules, Sequence[str], np.random.Generator], list[Part]]
"""Draws parts, given the colours that the ground would hide."""


def _clip(
    setting: Setting, rules: Rules, cast: Cast = casting.parts, about: int | None = None
) -> Clip:
    """One stage, a cast placed on it, and what can be said: of all of them, or of one id."""
    rng = setting.rng
    camera = casting.camera(rules, setting.unit, rng)
    ground = str(rng.choice(rules.grounds))
    stage = setting.stage(rules, camera, ground)
    director = setting.director(rules, camera)
    drawn = cast(rules, backgrounds.HIDDEN_COLOURS[ground], rng)
    objects = [item for part in drawn if (item := director.place(part)) is not None]
    told = expressions.write(
        objects, camera, setting.size, rules.rank, rng, setting.per_kind, about
    )
    return Clip(stage, objects, setting.shuffled(objects), told)


def _level(name: str) -> Callable[[Setting], Play]:
    return lambda setting: _clip(setting, RULES[name])


_CALM = replace(
    RULES["medium"],
    rank=0,
    count=(3, 4),
    sizes=(0.0, 0.6, 0.4),
    motions=(0.5, 0.3, 0.1, 0.1, 0.0),
    crossing=False,
    noise=3.0,
)
"""Textured, but with a fixed camera and nobody in the way: for scenes about something else."""


def _reentry(setting: Setting) -> Play:
    """Object 1 leaves the picture for 1 to 3 s and comes back; the sentences are about it."""
    return _clip(setting, _CALM, _leaver_first, about=1)


def _leaver_first(rules: Rules, hidden: Sequence[str], rng: np.random.Generator) -> list[Part]:
    """Object 1 leaves; others may share its shape or its colour, but none shares both."""
    leaver, *others = casting.parts(rules, hidden, rng)
    leaver = replace(leaver, motion="leaving", size="medium")
    return [leaver, *_unlike(leaver, others)]


def _unlike(first: Part, others: Sequence[Part]) -> list[Part]:
    return [each for each in others if (each.shape, each.colour) != (first.shape, first.colour)]


def _lookalikes(setting: Setting) -> Play:
    """Several of one shape and colour, told apart by place, size and motion; they cross."""
    return _clip(setting, replace(RULES["medium"], count=(5, 6)), _twins)


def _twins(rules: Rules, hidden: Sequence[str], rng: np.random.Generator) -> list[Part]:
    cast = casting.parts(rules, hidden, rng)
    others = [part for part in cast if not alike_colours(part.colour, cast[0].colour)]
    alike = replace(cast[0], motion="slow")
    motions = ("slow", "fast", "still", "slow")[: int(rng.integers(3, 5))]
    sizes = [str(rng.choice(["medium", "medium", "large"])) for _ in motions]
    twins = [replace(alike, motion=m, size=s) for m, s in zip(motions, sizes, strict=True)]
    return twins + others[:2]


def _cut(setting: Setting) -> Play:
    """Three shots of 2 s: object 1 is in the first and the last, never in the middle one."""
    rng, rules = setting.rng, _CALM
    camera = Camera()
    clips: list[Clip] = []
    hero: SceneObject | None = None
    next_id = 1
    for shot in range(3):
        ground = rules.grounds[(shot + int(rng.integers(2)) * 3) % len(rules.grounds)]
        hidden = backgrounds.HIDDEN_COLOURS[ground]
        stage = setting.stage(rules, camera, ground)
        director = setting.director(rules, camera, next_id)
        shunned = _ever_hidden(rules) if hero is None else (*hidden, *_alike(hero.colour))
        cast = casting.parts(rules, shunned, rng)
        if hero is None:
            cast = [cast[0], *_unlike(cast[0], cast)]
        objects = [] if hero is None or shot == 1 else [director.place_again(hero, "slow")]
        objects += [director.place(part) for part in cast]
        here = [item for item in objects if item is not None]
        hero = hero or here[0]
        next_id = max(next_id, *(item.id + 1 for item in here)) if here else next_id
        clips.append(Clip(stage, here, setting.shuffled(here), ()))
    everybody = [item for clip in clips for item in clip.objects if item.id != 1]
    assert hero is not None
    told = _about(hero, everybody, setting)
    return Shots(clips, _SHOT_S, told)


def _alike(colour: str) -> tuple[str, ...]:
    return tuple(name for name in COLOURS if alike_colours(name, colour))


def _ever_hidden(rules: Rules) -> tuple[str, ...]:
    """Colours that some ground of the rules would hide."""
    return tuple(
        dict.fromkeys(c for ground in rules.grounds for c in backgrounds.HIDDEN_COLOURS[ground])
    )


def _about(hero: SceneObject, others: Sequence[SceneObject], setting: Setting) -> list[Expression]:
    """What stays true of `hero` whoever of `others` is there, and what is never there."""
    return [
        each
        for each in expressions.write(
            [hero, *others], Camera(), setting.size, 0, setting.rng, about=hero.id
        )
        if each.kind in (ExpressionKind.PLAIN, ExpressionKind.ABSENT)
    ]


def _endless(setting: Setting) -> Play:
    """Object 1 comes and goes for ever; others, never of its colour, pass by."""
    rng, rules = setting.rng, _CALM
    ground = str(rng.choice(rules.grounds))
    hidden = backgrounds.HIDDEN_COLOURS[ground]
    stage = setting.stage(rules, Camera(), ground)
    hero_part = casting.parts(rules, hidden, rng)[0]
    shunned = (*hidden, *_alike(hero_part.colour))
    passing = casting.parts(replace(rules, count=(12, 12)), shunned, rng)
    hero = setting.director(rules, Camera()).place(replace(hero_part, motion="still"))
    assert hero is not None
    pool = [setting.director(rules, Camera(), 2 + k).place(part) for k, part in enumerate(passing)]
    known = [item for item in pool if item is not None]
    told = _about(hero, known, setting)
    return Endless(stage, hero, known, told, setting.size, int(rng.integers(2**31)))


PLAYS: dict[str, Callable[[Setting], Play]] = {
    "easy": _level("easy"),
    "medium": _level("medium"),
    "hard": _level("hard"),
    "reentry": _reentry,
    "lookalikes": _lookalikes,
    "cut": _cut,
    "endless": _endless,
}
"""The levels, then the special scenes."""
