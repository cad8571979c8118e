"""What this machine can run: its parts, each engine family, what a config needs, the cache."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from streamseg.config import Config
from streamseg.doctor.families import FAMILIES
from streamseg.doctor.machine import gpus
from streamseg.doctor.machine import machine as describe_machine
from streamseg.doctor.parts import parts
from streamseg.doctor.stores import auto_choice, cache, hub
from streamseg.doctor.wants import endpoint, models, packages
from streamseg.version import __version__

Report = dict[str, Any]


def examine(config: Config | None = None) -> Report:
    """Look at the machine; builds nothing, and loads networks only to find their engines' files.

    Args:
        config: Also say which engine its parts would run on.

    Returns:
        Plain values, by keys that stay:
        streamseg: version.
        machine: python, system, processor, cores, features, memory_gib, free_gib.
        gpus: found (name, target, memory_gib, driver) and, where none is, the reason.
        families: by name, usable, detail, and the command that would mend it.
        cache: folder, files (part, file, format, precision, target, nbytes, and its state:
            whole, damaged or missing), mib in all, problem.
        auto: config, which it would take, and said, why not a better one.
        hub: cache, endpoint, offline, and token: whether there is one, never its value.
        With a config, config: its name; parts: per network, part, engine, family, reason,
            objects (buckets), files (by part: folder, cache, to be built, or what is wrong)
            and problem, "" where it can run; models: name, state (here, to fetch, missing),
            where, problem; packages: name, extra, problem; endpoint: url, said, problem, or None.
    """
    families = {name: check() for name, check in FAMILIES.items()}
    found: Report = {
        "streamseg": __version__,
        "machine": describe_machine(),
        "gpus": gpus(),
        "families": families,
        "cache": cache(),
        "auto": auto_choice(),
        "hub": hub(),
    }
    if config is not None:
        found["config"] = config.name
        found["parts"] = parts(config, families)
        found["models"] = models(config)
        found["packages"] = packages(config)
        found["endpoint"] = endpoint(config)
    return found


def can_run(found: Report) -> bool:
    """Whether all that the config needs is here; true without a config."""
    kinds = (found.get(kind) or () for kind in ("parts", "models", "packages"))
    rows = [row for kind in kinds for row in kind]
    asked = found.get("endpoint")
    return not any(row["problem"] for row in [*rows, *([asked] if asked else [])])


def to_json(found: Report) -> str:
    """One object, indented."""
    return json.dumps(found, indent=2, ensure_ascii=False)


def to_text(found: Report) -> str:
    """For people: a line each."""
    return "\n".join(_lines(found))


def _lines(found: Report) -> Iterator[str]:
    machine = found["machine"]
    yield f"streamseg {found['streamseg']}, Python {machine['python']}, {machine['system']}"
    yield f"processor  {machine['processor']}, {machine['cores']} cores"
    yield f"           {', '.join(machine['features']) or 'no vector features known'}"
    yield f"memory     {machine['memory_gib']} GiB, {machine['free_gib']} GiB free"
    if not found["gpus"]["found"]:
        yield f"GPU        none: {found['gpus']['reason']}"
    for gpu in found["gpus"]["found"]:
        yield (
            f"GPU        {gpu['name']}, {gpu['target']}, {gpu['memory_gib']} GiB, "
            f"driver {gpu['driver']}"
        )
    yield "engines"
    for name, family in found["families"].items():
        state = "usable" if family["usable"] else "not usable"
        mend = f"; {family['mend']}" if family["mend"] else ""
        yield f"  {name:22} {state}: {family['detail']}{mend}"
    for part in found.get("parts", ()):
        yield from _part_lines(part)
    yield from _want_lines(found)
    cache = found["cache"]
    yield f"cache      {cache['folder']}: {len(cache['files'])} engines, {cache['mib']} MiB"
    for file in cache["files"]:
        kind = " ".join(w for w in (file["format"], file["precision"], file["target"]) if w)
        size = f"{file['nbytes'] / 2**20:.1f} MiB"
        yield f"  {file['part']:30} {kind:24} {size:>10}  {file['state']}"
    if cache["problem"]:
        yield f"           {cache['problem']}"
    hub = found["hub"]
    token = "a token" if hub["token"] else "no token (gated models want one: hf auth login)"
    yield f"hub        {hub['endpoint']}{', offline' if hub['offline'] else ''}, {token}"
    yield f"           its cache is {hub['cache']}"
    yield f"auto       {found['auto']['said']}"


def _want_lines(found: Report) -> Iterator[str]:
    for row in found.get("models", ()):
        yield f"model      {row['name']}: {row['problem'] or row['where']}"
    for row in found.get("packages", ()):
        if row["problem"]:
            yield f"package    {row['name']}: {row['problem']}"
    if asked := found.get("endpoint"):
        yield f"endpoint   {asked['url'] or 'none named'}: {asked['problem'] or asked['said']}"


def _part_lines(part: Report) -> Iterator[str]:
    yield f"{part['part']}"
    yield f"  runs on {part['engine']} ({part['reason']})"
    if part["objects"]:
        yield f"  for {', '.join(str(count) for count in part['objects'])} objects"
    for origin, count in Counter(part["files"].values()).items():
        yield f"  {count} of {len(part['files'])} engines: {_ORIGIN_WORDS.get(origin, origin)}"
    if part["problem"]:
        yield f"  cannot run: {part['problem']}"


_ORIGIN_WORDS = {"folder": "from the folder named", "cache": "from the cache"}
