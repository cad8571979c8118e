"""What a config needs from elsewhere: its models and packages, and which of them are not here.

Looks at files and at which packages are installed; imports none, loads and fetches nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from streamseg.borders.paths import trouble_with_path
from streamseg.weights import places
from streamseg.weights.registry import BUILT_IN, MODELS, REPOSITORIES, SHIPPED, Repository

if TYPE_CHECKING:
    from streamseg.config import Config

Origin = Literal["hub", "web", "shipped", "path", "export"]
WHOLE = "the whole repository"


@dataclass(frozen=True, slots=True)
class Need:
    """A model that a config names.

    Attributes:
        name: As the config has it.
        origin: Where it comes from: the hub, a plain address, streamseg itself, a path of the
            user's, or `streamseg export`.
        files: Names; for a repository that is fetched as a whole `WHOLE`.
        page: Its address, for people; a path for what is not fetched.
        goes_to: Folder in which it is looked for.
        nbytes: About what a fetch brings; 0 where it is not known.
        licence: A note for people, not legal advice.
        gated: Its licence has to be accepted on its page first.
        present: All of it is here.
        revision: Of the hub's repository; empty: the newest.
    """

    name: str
    origin: Origin
    files: tuple[str, ...]
    page: str
    goes_to: Path
    nbytes: int
    licence: str
    gated: bool
    present: bool
    revision: str = ""

    @property
    def fetched(self) -> bool:
        """Whether `streamseg models fetch` can bring it."""
        return self.origin in ("hub", "web")

    def __str__(self) -> str:
        """For people, on one line: what, how large, which licence, from where."""
        size = f"about {in_words(self.nbytes)}" if self.nbytes else "size as its page says"
        gate = "; gated: accept its licence there and log in (hf auth login)" if self.gated else ""
        return f"{self.name}: {', '.join(self.files)}, {size}, {self.licence}, {self.page}{gate}"


@dataclass(frozen=True, slots=True)
class Package:
    """A package that a config's stages import, and the extra that brings it."""

    name: str
    extra: str

    @property
    def present(self) -> bool:
        """Whether it is installed."""
        try:
            return find_spec(self.name) is not None
        except ValueError:  # shut out on purpose: its entry among the modules is None
            return False


def models(config: Config) -> tuple[Need, ...]:
    """Every model that a config's stages load, each once."""
    return tuple({need.name: need for need in _models(config)}.values())


def named(name: str) -> tuple[Need, ...]:
    """The models of a shipped config by its name, that are not built in; one of the registry's;
    none for any other name."""
    from streamseg import config as configs

    if name in MODELS:
        return (of_name(name),)
    if name not in configs.available():
        return ()
    return tuple(need for need in models(configs.load(name)) if need.page != BUILT_IN)


def packages(config: Config) -> tuple[Package, ...]:
    """Every optional package that a config's stages import, each once."""
    return tuple({package.name: package for package in _packages(config)}.values())


def missing_packages(config: Config) -> str:
    """The command that brings the packages that are not installed; empty where all are."""
    extras = sorted({package.extra for package in packages(config) if not package.present})
    return f'pip install "streamseg[{",".join(extras)}]"' if extras else ""


def to_fetch(config: Config) -> tuple[Need, ...]:
    """The models that a fetch would bring."""
    return tuple(need for need in models(config) if need.fetched and not need.present)


def in_words(nbytes: int) -> str:
    """A size for people."""
    megabytes = nbytes / 1e6
    return f"{megabytes / 1e3:.1f} GB" if megabytes >= 1000 else f"{max(megabytes, 0.1):.3g} MB"


def of_name(name: str) -> Need:
    """A model of the registry, a hub id, or a path."""
    for model in MODELS.values():
        if name in (model.name, model.home):
            return _of_registry(model.name)
    if not _is_path(name) and places.is_hub_id(name):
        return repository(name)
    place = Path(name).expanduser()
    here = not trouble_with_path(name) and place.exists()
    return Need(name, "path", (), str(place), place, 0, "your own", False, here)


def repository(name: str, revision: str = "") -> Need:
    """A repository of the hub, or a folder by path, that a reasoner reads as a whole."""
    from streamseg.reasoning.models import folder as folders

    if name in folders.SHIPPED:
        return _of_registry(name)
    if _is_path(name) or not places.is_hub_id(name):
        place = Path(name).expanduser()
        here = not trouble_with_path(name) and place.is_dir() and not folders.missing(place)
        return Need(name, "path", (WHOLE,), str(place), place, 0, "your own", False, here)
    known = REPOSITORIES.get(name, Repository(0, "licence as its page says"))
    found = places.hub_snapshot(name, revision)
    return Need(
        name,
        "hub",
        (WHOLE,),
        places.hub_page(name),
        found or places.hub_cache(),
        known.about_mb * 1_000_000,
        known.licence,
        known.gated,
        found is not None and not folders.missing(found),
        revision,
    )


def _of_registry(name: str) -> Need:
    model = MODELS[name]
    if model.home == BUILT_IN:
        return Need(name, "shipped", (), BUILT_IN, Path(), 0, model.licence, False, True)
    found = places.folder_of(model)
    on_hub = places.is_hub_id(model.home)
    shipped = model.home == SHIPPED
    return Need(
        name,
        "shipped" if shipped else "hub" if on_hub else "web",
        model.files,
        SHIPPED if shipped else places.page(model),
        found or places.own_folder(model),
        model.about_mb * 1_000_000,
        model.licence,
        False,
        found is not None,
    )


def _models(config: Config) -> Iterator[Need]:
    reasoning = config.reasoning
    backends = {reasoning.fast.backend, reasoning.deep.backend}
    if "objects" in backends:
        yield of_name(reasoning.objects.detector)
    if "concept" in backends:
        yield repository(reasoning.concept.model, reasoning.concept.revision)
    if "vlm" in backends:
        yield repository(reasoning.vlm.model, reasoning.vlm.revision)
    if config.segmentation.backend == "sam2":
        yield of_name(config.segmentation.sam2.checkpoint)
    if config.segmentation.backend == "salient":
        yield of_name(config.segmentation.salient.network)
    if config.propagation.backend == "xmem":
        yield of_name(config.propagation.xmem.checkpoint)
    if config.propagation.backend == "sam2":
        yield of_name(config.propagation.sam2.checkpoint)


def _packages(config: Config) -> Iterator[Package]:
    reasoning = config.reasoning
    backends = {reasoning.fast.backend, reasoning.deep.backend}
    neural = [Package(name, "neural") for name in ("torch", "transformers", "safetensors")]
    stages = {config.segmentation.backend, config.propagation.backend}
    if backends & {"concept", "vlm"} or stages & {"sam2", "xmem"}:
        yield from neural
    if "objects" in backends:
        on_file = reasoning.objects.detector.endswith(".onnx")
        yield from () if on_file else (Package(each.name, "everyday") for each in neural)
        yield from (Package("onnxruntime", "everyday"),) if on_file else ()
    if config.segmentation.backend == "salient":
        yield Package("onnxruntime", "everyday")
    if "exported" in backends:
        yield Package("onnxruntime", "everyday")
        yield Package("transformers", "neural")
    if "remote" in backends:
        yield Package("httpx2", "remote")
    grammar = ("vlm", reasoning.vlm.grammar), ("exported", reasoning.exported.grammar)
    if any(backend in backends and wanted for backend, wanted in grammar):
        yield Package("llguidance", "grammar")


def _is_path(name: str) -> bool:
    """As `reasoning.models.folder.find` tells a path from a hub id."""
    if trouble_with_path(name):
        return True
    return name.startswith((".", "~", "/")) or Path(name).exists()
