"""The networks of a config: which engine family runs each, and where its engines' files are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from streamseg.config import Config, NetworkSection
from streamseg.errors import StreamSegError

Report = dict[str, Any]


def parts(config: Config, families: Report) -> list[Report]:
    """Per stage of a config that runs a network: which family runs it, and where its files are."""
    stages: dict[str, tuple[str, Any]] = {}
    if config.propagation.backend == "xmem":
        stages["xmem"] = ("propagation.xmem", config.propagation.xmem)
    if config.propagation.backend == "sam2":
        stages["sam2_video"] = ("propagation.sam2", config.propagation.sam2)
    if config.segmentation.backend == "sam2":
        stages["sam2_image"] = ("segmentation.sam2", config.segmentation.sam2)
    rows = {
        network: _choice(name, section, families) for network, (name, section) in stages.items()
    }
    if any(row["family"] not in (None, "torch") and not row["problem"] for row in rows.values()):
        _add_files(config, rows, {network: section for network, (_, section) in stages.items()})
    return [*rows.values(), *_exported_reasoner(config)]


def _exported_reasoner(config: Config) -> Iterator[Report]:
    """The same of a reasoner that was exported, its files held against their hashes."""
    if "exported" not in (config.reasoning.fast.backend, config.reasoning.deep.backend):
        return
    from streamseg.reasoning.models.exported import chat, record

    section = config.reasoning.exported
    row: Report = {"part": "reasoning.exported", "engine": "nothing", "family": None}
    row |= {"reason": f"folder {section.folder or 'not named'}", "objects": [], "files": {}}
    try:
        place, described, precision = chat.prepare(section)
        row |= {"engine": f"onnxruntime {section.provider}", "family": "onnxruntime"}
        chosen = described.precisions[precision]
        row["reason"] = f"{described.source} in {precision}, {chosen.agreement}"
        graphs = (chosen.vision.files[0], chosen.decoder.files[0])
        row["files"] = dict.fromkeys(graphs, "folder")
        record.check_hashes(place, described, precision)
    except StreamSegError as error:
        yield {**row, "problem": str(error)}
        return
    yield {**row, "problem": ""}


def _choice(part: str, section: NetworkSection, families: Report) -> Report:
    engine = section.engine
    refused: list[str] = []
    row: Report = {"part": part, "engine": "nothing", "family": None, "files": {}}
    row["objects"] = [] if engine.is_plain else list(engine.objects)
    row["problem"] = _missing_weights(section) or _missing_device(section, families)
    for family in engine.families:
        name = f"onnxruntime {engine.providers[0]}" if family == "onnxruntime" else family
        if families[name]["usable"]:
            reason = "; ".join([*refused, f"{name} in {engine.precision}"])
            return {**row, "engine": name, "family": family, "reason": reason}
        refused.append(f"{name} is not usable: {families[name]['detail']}")
    reason = "; ".join(refused)
    return {**row, "reason": reason, "problem": row["problem"] or f"nothing runs it: {reason}"}


def _missing_weights(section: Any) -> str:
    from streamseg.weights import list_models

    for model in list_models():
        if model.name == section.checkpoint and not model.present:
            return f"its weights are not here: run streamseg models fetch {model.name}"
    return ""


def _missing_device(section: NetworkSection, families: Report) -> str:
    if not families["torch"]["usable"]:
        return ""  # said by the families
    from streamseg.engines.torch import pick_device

    try:
        pick_device(section.device)
    except StreamSegError as error:
        return str(error)
    return ""


def _add_files(config: Config, rows: dict[str, Report], sections: dict[str, Any]) -> None:
    """Say of each part where its file is; loads the networks, whose hash is part of its name."""
    from streamseg.engines.torch import pick_device
    from streamseg.export.inventory import inventory
    from streamseg.export.networks import sources
    from streamseg.weights import cache_dir

    try:
        networks = sources(config)
    except StreamSegError as error:
        for row in rows.values():
            row["problem"] = row["problem"] or str(error)
        return
    for source in networks:
        row, section = rows[source.name], sections[source.name]
        if row["family"] in (None, "torch"):
            continue
        try:
            device = pick_device(section.device)
            folder = cache_dir() / "engines"
            row["files"] = inventory(source, section.engine, row["family"], device, folder)
        except StreamSegError as error:
            row["problem"] = str(error)
            continue
        wrong = [said for said in row["files"].values() if said not in _ORIGINS]
        row["problem"] = wrong[0] if wrong else ""


_ORIGINS = ("folder", "cache", "to be built", "needs no file")
