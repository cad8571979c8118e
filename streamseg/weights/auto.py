"""Which config `auto` stands for: the best whose packages and files are all here.

Nothing is imported, loaded or fetched to find out.
"""

from __future__ import annotations

from dataclasses import dataclass

from streamseg.weights import needs

NAME = "auto"
ORDER = ("open", "everyday", "classical")
"""The best first; the last needs nothing."""
_GIVES = {"open": "any noun, by public models", "everyday": "eighty everyday things by name"}


@dataclass(frozen=True, slots=True)
class Choice:
    """What was taken and why.

    Attributes:
        config: Its name.
        better: By name of a config that would give more, what it lacks and what brings it; the
            best first.
    """

    config: str
    better: dict[str, str]

    def __str__(self) -> str:
        """One line for people."""
        more = [
            f"{name} would give more ({_GIVES[name]}): {lacks}"
            for name, lacks in reversed(self.better.items())
        ]
        return "; ".join([f"config auto took {self.config}", *more])


def choose() -> Choice:
    """Look, in turn, at what each config of `ORDER` needs.

    Raises:
        OutputError: The environment names a cache that can be no folder.
    """
    better: dict[str, str] = {}
    for name in ORDER[:-1]:
        lacks = _lacks(name)
        if not lacks:
            return Choice(name, better)
        better[name] = lacks
    return Choice(ORDER[-1], better)


def _lacks(name: str) -> str:
    """What a config lacks and what brings it, for people; empty where it lacks nothing."""
    from streamseg import config as configs

    config = configs.load(name)
    commands = [needs.missing_packages(config)]
    if absent := needs.to_fetch(config):
        size = needs.in_words(sum(need.nbytes for need in absent))
        commands.append(f"streamseg models fetch {name} ({size})")
    return " and ".join(filter(None, commands))
