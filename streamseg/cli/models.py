"""`streamseg models`: list, fetch and verify model weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from streamseg.cli import fetching, terminal
from streamseg.cli.options import Debug, ModelName

if TYPE_CHECKING:
    from streamseg.weights.needs import Need

models = typer.Typer(help="List, fetch and verify model weights.", rich_markup_mode=None)


@models.callback()
def _models(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        list_models()


@models.command("list")
def list_models(debug: Debug = False) -> None:
    """List the models that configs name, where they are, and whether they are here."""
    from streamseg import weights

    for model in weights.list_models():
        size = f"{model.nbytes / 1e6:.0f} MB" if model.nbytes else ""
        state = "here" if model.present else "to fetch"
        typer.echo(f"{model.name:24} {state:9} {size:>7}  {model.where}  ({model.licence})")


@models.command("fetch")
def fetch_model(name: ModelName, debug: Debug = False) -> None:
    """Fetch a model's files, resuming where an earlier try broke off; all of a config's, by its
    name ("everyday", "open"). What is to come, its size, licence and home are told first."""
    from streamseg import weights
    from streamseg.reasoning.models import folder as folders
    from streamseg.weights import needs

    wanted = needs.named(name)
    fetching.tell(wanted)
    for member in [need.name for need in wanted] or [name]:
        if member in {need.name for need in wanted if need.files == (needs.WHOLE,)}:
            typer.echo(f"{member} is in {folders.find(member, _revision(wanted, member))}")
            continue
        with terminal.file_progress(terminal.stderr_console()) as progress:
            folder = weights.fetch(member, progress)
        here = str(folder) == member
        typer.echo(f"{member} is here" if here else f"{member} is in {folder}")


def _revision(wanted: Sequence[Need], name: str) -> str:
    return next(need.revision for need in wanted if need.name == name)


@models.command("verify")
def verify_model(name: ModelName, debug: Debug = False) -> None:
    """Check a model's files: checksums where known, and the shape of every tensor."""
    from streamseg import weights

    for member in weights.members(name):
        for file, checksum in weights.verify(member).items():
            typer.echo(f"{checksum}  {file}")
        typer.echo(f"{member} is whole")
