"""How far a track is to be believed: three witnesses joined into one number; knows no pictures.

The words (does what was pointed at answer to the sentence, and was that understood?), the cut (does
the keyframe's mask fit what was pointed at?), and propagation (is what is shown now still that?).
None can stand in for another: a mask that is carried well may be of the wrong thing.
"""

from __future__ import annotations

import math

from streamseg.types import Grounding, Target

_TIED = 0.75
"""What an answer that leads no other thing keeps of its score."""
_RENEWED = 0.5
"""Weight of a newer answer about the same object against what the older ones said."""
_UNNAMED = 0.5
"""What an answer that does not name an object leaves of how far it answers to the words."""
_SAME_CUT_IOU = 0.9
"""Two cuts of one object on one frame differ so far without either being wrong."""
_LEAST_S = 0.1
"""Fresh cuts closer than this say little of how fast a mask drifts."""


def words_fit(grounding: Grounding, target: Target) -> float:
    """In [0, 1]: how far one target of an answer can be what the sentence means."""
    return target.score * grounding.understood * (_TIED + (1.0 - _TIED) * target.lead)


def renewed(old: float, new: float) -> float:
    """What several answers about one object say together, the newer ones more."""
    return old + _RENEWED * (new - old)


def unnamed(words: float, misses: int) -> float:
    """How far an object answers to the words after so many answers in a row without it."""
    return float(words * _UNNAMED**misses)


def faded(held: float, age_s: float, halves_in_s: float) -> float:
    """What a mask carried for `age_s` seconds is worth against one cut out just now."""
    return float(held * 0.5 ** (max(0.0, age_s) / halves_in_s))


def drift_seen(overlap: float, age_s: float) -> float:
    """How fast a mask left its object, a second: its logarithm's fall, from its IoU with a fresh
    cut `age_s` seconds after the last one."""
    kept = min(1.0, max(overlap, 0.01) / _SAME_CUT_IOU)
    return -math.log(kept) / max(age_s, _LEAST_S)


def steady(drift: float, age_s: float) -> float:
    """The IoU to be expected of a mask that drifts so fast, `age_s` seconds after a fresh cut."""
    return math.exp(-drift * max(0.0, age_s))
