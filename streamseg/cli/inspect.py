"""`streamseg doctor` and `streamseg configs`: what this machine and this package offer."""

from __future__ import annotations

from typing import Annotated

import typer

from streamseg.cli.options import Debug, Overrides


def list_configs(debug: Debug = False) -> None:
    """List the configs that --config knows by name."""
    from streamseg import config as configs

    names = configs.available()
    width = max(len(name) for name in names)
    for name in names:
        here = f"; here it takes {configs.load(name).name}" if name == configs.AUTO else ""
        typer.echo(f"{name.ljust(width)}  {configs.described(name)}{here}")


def doctor(
    config: Annotated[
        str | None, typer.Option("--config", "-c", metavar="NAME|FILE", help="Its engines too.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for machines.")] = False,
    overrides: Overrides = None,
    debug: Debug = False,
) -> None:
    """Say what this machine can run, and what would mend what it cannot.

    \b
    Examples:
      streamseg doctor
      streamseg doctor --config rtx
      streamseg doctor --config jetson-orin --json

    Exit code 1 when something that the config needs is missing.
    """
    from streamseg import config as configs
    from streamseg import doctor as examine

    settings = None if config is None else configs.load(config, overrides or [])
    found = examine.examine(settings)
    typer.echo(examine.to_json(found) if as_json else examine.to_text(found))
    if not examine.can_run(found):
        raise typer.Exit(1)
