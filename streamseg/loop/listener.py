"""Who is told of events, from several threads, and must not end them by raising."""

from __future__ import annotations

import logging
from collections.abc import Callable

from streamseg.config import Config
from streamseg.errors import UsageError
from streamseg.types import Event

OnEvent = Callable[[Event], None]

_LOG = logging.getLogger(__name__)


def careful(on_event: OnEvent | None) -> OnEvent:
    """The listener, its exceptions logged; None for whoever does not listen.

    Raises:
        UsageError: It cannot be called.
    """
    if on_event is not None and not callable(on_event):
        raise UsageError(
            f"on_event: expected a function of one Event or None, got {type(on_event).__name__}"
        )

    def tell(event: Event) -> None:
        if on_event is None:
            return
        try:
            on_event(event)
        except Exception:  # noqa: BLE001 - the sinks, the reasoner and the source go on
            _LOG.exception("the listener for events raised at %r", event.kind)

    return tell


def tell_choice(config: Config, tell: OnEvent) -> None:
    """Say which config auto took, where it was asked."""
    if config.chosen:
        tell(Event("config", config.chosen))
