"""Says what is to be fetched before it is: each model's files, size, licence and home."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from streamseg.config import Config
    from streamseg.weights.needs import Need


def tell(wanted: Iterable[Need]) -> None:
    """A line on stderr for each that a fetch would bring."""
    for need in wanted:
        if need.fetched and not need.present:
            typer.echo(f"streamseg: to fetch: {need}", err=True)


def tell_of(config: Config, quiet: bool) -> None:
    """The same of what a run is about to fetch, and how to have it before."""
    from streamseg import config as configs
    from streamseg.weights import needs

    unable = quiet or needs.missing_packages(config)  # which the error to come names
    wanted = () if unable else needs.to_fetch(config)
    tell(wanted)
    if wanted:
        name = config.name if config.name in configs.available() else wanted[0].name
        typer.echo(
            f"streamseg: fetching them now; `streamseg models fetch {name}` does it beforehand",
            err=True,
        )
