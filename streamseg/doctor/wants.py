"""What a config needs besides engines: models, packages, and an endpoint that answers."""

from __future__ import annotations

from typing import Any

from streamseg import config as configs
from streamseg.config import Config, RemoteConfig
from streamseg.errors import StreamSegError
from streamseg.masking import mask
from streamseg.weights import needs
from streamseg.weights.needs import Need

Report = dict[str, Any]
_PATIENCE_S = 3.0


def models(config: Config) -> list[Report]:
    """Each model that the config names: name, state (here, to fetch or missing), where, and the
    problem, "" where it is here."""
    return [_model(need, config.name) for need in needs.models(config)]


def packages(config: Config) -> list[Report]:
    """Each optional package that its stages import: name, extra and problem."""
    return [
        {
            "name": package.name,
            "extra": package.extra,
            "problem": ""
            if package.present
            else f'not installed: run pip install "streamseg[{package.extra}]"',
        }
        for package in needs.packages(config)
    ]


def endpoint(config: Config) -> Report | None:
    """The chat endpoint: url, what it said, and problem; None where the config asks none.

    Lists its models, which costs nothing; no picture and no sentence leaves the machine.
    """
    if "remote" not in (config.reasoning.fast.backend, config.reasoning.deep.backend):
        return None
    section = config.reasoning.remote
    row: Report = {"url": mask(section.url), "said": "", "problem": ""}
    try:
        said = _answer_of(section)
    except StreamSegError as error:
        return {**row, "problem": str(error)}
    answers = said.startswith("answers")
    return {**row, "said": said if answers else "", "problem": "" if answers else said}


def _model(need: Need, config: str) -> Report:
    row: Report = {"name": mask(need.name), "state": "here", "where": need.page, "problem": ""}
    if need.present:
        return row | {"where": str(need.goes_to) if need.fetched else need.page}
    if not need.fetched:
        return row | {"state": "missing", "problem": f"nothing whole is at {need.goes_to}"}
    fetched_as = config if config in configs.available() else need.name
    size = f"about {needs.in_words(need.nbytes)}, " if need.nbytes else ""
    problem = f"not here ({size}{need.licence}): run streamseg models fetch {fetched_as}"
    return row | {"state": "to fetch", "problem": problem}


def _answer_of(section: RemoteConfig) -> str:
    """What it says to a request for its list of models. Raises what `remote.prepare` raises."""
    from streamseg.reasoning.models import remote

    remote.prepare(section)
    import httpx2

    base = section.url.rstrip("/").removesuffix("/chat/completions")
    try:
        with httpx2.Client(headers=remote.authorization(section), timeout=_PATIENCE_S) as client:
            status = client.get(f"{base}/models").status_code
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        return f"does not answer within {_PATIENCE_S:g} s ({type(error).__name__})"
    if status in (401, 403):
        return f"refuses the key (HTTP {status}): see reasoning.remote.key_env"
    return f"fails (HTTP {status})" if status >= 500 else f"answers (HTTP {status})"
