"""The small reasoner's language: its tokens, a tokenizer of them, a template for its prompts.

A word is a token, with the space before it; so is a number, with the comma behind it or without;
so is each piece of an answer's JSON between the numbers. Tokens joined are the text itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from streamseg.synthetic.sentences.words import COLOURS, plural
from streamseg.training.groundings.reasons import NAME_OF, SHAPE_OF, THINGS, Length

PAD, UNKNOWN, BEGIN, END = "<|pad|>", "<|unknown|>", "<|im_start|>", "<|im_end|>"
VISION_START, VISION_END = "<|vision_start|>", "<|vision_end|>"
IMAGE, VIDEO = "<|image_pad|>", "<|video_pad|>"
SPECIAL = (PAD, UNKNOWN, BEGIN, END, VISION_START, VISION_END, IMAGE, VIDEO)
TAGS = ("<think>", "</think>", "<answer>", "</answer>")
LENGTHS = {length: f"<|{length}|>" for length in (Length.BRIEF, Length.MIDDLE, Length.FULL)}
"""Marks of a prompt that say how long to think; without one the model chooses."""
PIECES = (
    *('[{"bbox_2d": [', '], "point_2d": [', '], "negative_point_2d": ['),
    *(']}, {"bbox_2d": [', "]}]", "[]"),
)
MOST = 160
"""Numbers go from 0 to this, the picture's longer side."""
MATERIALS = ("plain", "speckled", "striped", "dotted", "checked")
_OTHERS = (
    *("the", "all", "every", "is", "isn't", "not", "that", "which", "of", "to", "in"),
    *("largest", "biggest", "large", "smallest", "small"),
    *("leftmost", "rightmost", "topmost", "highest", "lowest", "bottommost", "furthest"),
    *("left", "right", "middle", "above", "below", "under", "near", "next", "closest"),
    *("so", "candidates", "anchor", "none", "scene", "size"),
)
_NOUNS = dict.fromkeys((*SHAPE_OF, *THINGS, *NAME_OF.values()))
WORDS = tuple(dict.fromkeys((*COLOURS, *MATERIALS, *_NOUNS, *map(plural, _NOUNS), *_OTHERS)))
TOKENS = (
    *SPECIAL,
    *TAGS,
    *LENGTHS.values(),
    *PIECES,
    *(f" {number}," for number in range(MOST + 1)),
    *(f" {number}" for number in range(MOST + 1)),
    *(";", "."),
    *(f" {word}" for word in WORDS),
)
IDS = {token: id_ for id_, token in enumerate(TOKENS)}
FIRST_NUMBERS = (IDS[" 0,"], IDS[" 0"])
"""Of the numbers with a comma behind them, and of those without; each is followed by the next."""

_PATTERN = "|".join(
    (
        r'\[\{"bbox_2d": \[|\], "point_2d": \[|\], "negative_point_2d": \[',
        r'\]\}, \{"bbox_2d": \[|\]\}\]|\[\]',
        r"</?(?:think|answer)>|<\|[a-z_]+\|>",
        r" ?\d+,?| ?[a-z']+|[;.]",
    )
)

_PIECE = re.compile(_PATTERN)

_LEAST_WORDS = {Length.MIDDLE: 36, Length.FULL: 72}
"""Words that a prompt allows for thinking, from which the longer kinds of reasons fit: of a hundred
scenes of test, levels easy and medium, none takes more tokens than a budget of so many words."""

TEMPLATE = (
    "{%- macro asked(text) -%}"
    "{%- if 'Sentence: \"' in text -%}"
    "{%- if 'Find every object' not in text -%}"
    "{{ raise_exception('this model only finds objects on one picture; it cannot say where in a "
    "video something happens, or how hard that is') }}"
    "{%- endif -%}"
    "{{ ' ' ~ (text.split('Sentence: \"')[1].split('\"')[0] | lower | trim) }}"
    "{%- if 'in at most ' in text -%}"
    "{%- set words = text.split('in at most ')[1].split(' ')[0] | int -%}"
    f"{{%- if words >= {_LEAST_WORDS[Length.FULL]} -%}}{LENGTHS[Length.FULL]}"
    f"{{%- elif words >= {_LEAST_WORDS[Length.MIDDLE]} -%}}{LENGTHS[Length.MIDDLE]}"
    f"{{%- else -%}}{LENGTHS[Length.BRIEF]}{{%- endif -%}}"
    "{%- endif -%}"
    "{%- elif text[-1:] != ':' -%}{{ ' ' ~ (text | lower | trim) }}"
    "{%- endif -%}"
    "{%- endmacro -%}"
    "{%- for message in messages -%}"
    "{%- if message['role'] == 'user' -%}"
    "{%- if message['content'] is string -%}{{ asked(message['content']) }}"
    "{%- else -%}{%- for part in message['content'] -%}"
    "{%- if part['type'] == 'image' -%}"
    f"{VISION_START}{IMAGE}{VISION_END}"
    "{%- else -%}{{ asked(part['text']) }}{%- endif -%}"
    "{%- endfor -%}{%- endif -%}"
    "{%- elif message['role'] == 'assistant' -%}"
    f"{BEGIN}{{{{ message['content'] if message['content'] is string else "
    f"message['content'][0]['text'] }}}}{END}"
    "{%- endif -%}"
    "{%- endfor -%}"
    f"{{%- if add_generation_prompt -%}}{BEGIN}{{%- endif -%}}"
)
"""Of a chat it keeps pictures and sentences: the small model never learned to read a task. A text
that ends with a colon introduces a picture and is left out."""


def tokenizer() -> Any:
    """A `PreTrainedTokenizerFast`, with the template.

    Raises:
        ImportError: transformers or tokenizers is not installed.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.WordLevel(IDS, unk_token=UNKNOWN))
    made.pre_tokenizer = pre_tokenizers.Split(Regex(_PATTERN), behavior="removed", invert=True)
    made.decoder = decoders.Fuse()
    made.add_special_tokens(list(SPECIAL))
    fast: Any = PreTrainedTokenizerFast
    return fast(
        tokenizer_object=made,
        unk_token=UNKNOWN,
        pad_token=PAD,
        eos_token=END,
        padding_side="left",
        clean_up_tokenization_spaces=False,
        chat_template=TEMPLATE,
    )


def encode(text: str) -> list[int]:
    """Text to tokens, as the tokenizer does, without it."""
    return [IDS.get(piece, IDS[UNKNOWN]) for piece in _PIECE.findall(text)]


def decode(ids: Iterable[int]) -> str:
    """Tokens to text, up to the end of what was written."""
    written = []
    for id_ in ids:
        if TOKENS[id_] in (END, PAD):
            break
        written.append(TOKENS[id_])
    return "".join(written)


def prompt(text: str, length: Length | None) -> str:
    """What follows a picture: the sentence as the template writes it.

    Args:
        length: To think for; None leaves it to the model, and so does `Length.NONE`, after which
            the answer's tag follows.
    """
    mark = LENGTHS.get(length, "") if length is not None else ""
    return f" {text.lower().strip()}{mark}{BEGIN}"
