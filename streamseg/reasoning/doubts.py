"""What a person should know of how far a sentence was understood; knows words' senses, no words.

Told once for a query, with what would understand it; a few words of it stand with every result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from streamseg.types import Event, Grounding, WordSense, WordUse


def in_words(words: Sequence[WordSense]) -> str:
    """What of the words is not known as people know it, in a line; empty when all is."""
    told = []
    for word in _doubtful(words):
        taken = f", taken as {word.taken_as}" if word.taken_as else ""
        told.append(f"{word.text!r} is {_how(word)}{taken}")
    return "; ".join(told)


def in_full(grounding: Grounding) -> str:
    """What an answer leaves in doubt, and what would help; empty when it leaves nothing."""
    if not grounding.cannot_tell:
        return "; ".join(filter(None, (in_words(grounding.words), *_helps(grounding))))
    # Nothing was taken as anything: which words are to blame is all there is to say of them.
    blamed = (f"{word.text!r} is {_how(word)}" for word in _doubtful(grounding.words))
    return "; ".join(("cannot tell which thing is meant", *blamed, *_helps(grounding)))


def in_brief(grounding: Grounding) -> str:
    """The same for a line on a picture."""
    told = ["cannot tell"] if grounding.cannot_tell else []
    for use, said in ((WordUse.UNKNOWN, "not understood"), (WordUse.COARSE, "known roughly")):
        texts = [word.text for word in grounding.words if word.use is use]
        if texts:
            told.append(f"{said}: {', '.join(texts)}")
    return "; ".join(told)


class Doubts:
    """Those of the query in force: told at the first answer that has any, and kept in brief."""

    def __init__(self, on_event: Callable[[Event], None]) -> None:
        self._on_event = on_event
        self._told_of: int | None = None
        self.brief = ""
        """Of the newest answer to the query in force; empty without doubt."""

    def forget(self) -> None:
        """Another query is in force."""
        self.brief = ""

    def hear(self, grounding: Grounding, query_id: int, at_ns: int, frame_index: int) -> None:
        """Take an answer to a query."""
        self.brief = in_brief(grounding)
        told = in_full(grounding)
        if told and query_id != self._told_of:
            self._told_of = query_id
            self._on_event(Event("words", told, at_ns, frame_index))


def _doubtful(words: Sequence[WordSense]) -> list[WordSense]:
    return [word for word in words if word.use is not WordUse.UNDERSTOOD]


def _how(word: WordSense) -> str:
    return "not understood" if word.use is WordUse.UNKNOWN else "known only roughly"


def _helps(grounding: Grounding) -> Iterator[str]:
    known: dict[str, list[str]] = {}
    for word in _doubtful(grounding.words):
        if word.known_to:
            known.setdefault(word.known_to, []).append(repr(word.text))
    for config, texts in known.items():
        listed = " and ".join(texts)
        yield f"--config {config} knows {listed} (streamseg models fetch {config})"
    if grounding.cannot_tell and not known:
        yield "say its colour, size or place, or point at it"
