"""A reasoning model's folder to one that runs without torch: graphs, hashes, tokenizer, agreement.

Made out of sight, judged, and only then put in its place. A precision that is exported later joins
those that are there of the same weights.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

from streamseg.engines.files import cannot_write
from streamseg.engines.manifest import versions, weights_sha256
from streamseg.errors import ConfigError, EngineError
from streamseg.export.build import Made
from streamseg.export.fingerprint import reasoner_sha256
from streamseg.export.reasoner.decoder import write_decoder
from streamseg.export.reasoner.judge import (
    LIMIT,
    PICTURES,
    PROMPTS,
    Judgement,
    Reference,
    judge,
    prompts,
    reference,
)
from streamseg.export.reasoner.sheet import OPSET, Bits, Written
from streamseg.export.reasoner.vision import levels, sight, write_vision
from streamseg.reasoning.language.coordinates import family_in
from streamseg.reasoning.loading import load_whole
from streamseg.reasoning.models import folder as folders
from streamseg.reasoning.models.composing import QwenComposer
from streamseg.reasoning.models.exported import record as records
from streamseg.reasoning.models.exported.graphs import Graphs
from streamseg.reasoning.models.exported.record import Graph, Record, Rounded

NAME = "reasoner"
Precision = Literal["fp32", "int8", "int4"]
Step = Callable[[str, int, int], None]
_BESIDE = ("*.json", "*.jinja", "*.txt", "*.model")
"""What a tokenizer and a processor are made of."""
_BITS: dict[str, tuple[Bits, Bits, Bits]] = {
    "fp32": (32, 32, 32), "int8": (8, 8, 8), "int4": (8, 4, 8)
}  # fmt: skip
"""Of the vision tower, of the decoder's layers, and of its words and head: what is looked at once a
picture or token loses more than it weighs in four bits."""
_STEPS = 5


@dataclass(frozen=True, slots=True)
class Reasoner:
    """A reasoning model to export.

    Attributes:
        model: A hub id, or the path of a folder.
        revision: Of the hub's repository.
    """

    model: str
    revision: str = ""

    @property
    def part_names(self) -> tuple[str, ...]:
        """It is exported whole."""
        return (NAME,)

    def export(
        self, precision: Precision, staging: Path, output: Path, step: Step, count: int = PROMPTS
    ) -> list[Made]:
        """Export it into `output`/reasoner, where it passes.

        Args:
            staging: An empty folder on the same file system.
            count: Prompts that it is judged on.

        Raises:
            CheckpointError: Files are missing or damaged, or are those of another kind of model.
            ConfigError: The folder holds another model's reasoner.
            EngineError: A layer of it cannot be exported.
            MissingDependencyError: A package is not installed.
            OutputError: The folder cannot be written.
        """
        place = folders.find(self.model, self.revision)
        told = folders.described(place)
        kind = str(told["model_type"])
        if kind not in records.FAMILIES:
            raise ConfigError(
                f"--parts reasoner: expected a model_type of {', '.join(records.FAMILIES)}, got "
                f"{kind[:60]!r} in {place}"
            )
        source = Path(self.model).name or place.resolve().name
        making = _Making(place, told, source, precision, staging, step)
        described = making.record(output / records.FOLDER)
        return making.finish(described, output / records.FOLDER, count)


class _Making:
    """One export's course."""

    def __init__(
        self,
        place: Path,
        told: Mapping[str, Any],
        source: str,
        precision: Precision,
        staging: Path,
        step: Step,
    ) -> None:
        self._place = place
        self._source = source
        self._kind = str(told["model_type"])
        self._precision = precision
        self._staging = staging
        self._step = step
        self._family = family_in(told, source)
        step("reasoner: reading weights", 0, _STEPS)
        self._composer = QwenComposer(place, self._family, PICTURES)
        whole = load_whole(
            "AutoModelForImageTextToText",
            place,
            "a vision-language model",
            "neural",
            dtype="float32",
        )
        self._network = cast(Any, whole)
        self._sight = sight(self._network.model.visual)

    def record(self, folder: Path) -> Record:
        """What the folder says of this network so far, or would.

        Raises:
            ConfigError: It speaks of another.
        """
        weights = weights_sha256(self._network)
        if (folder / records.RECORD).is_file():
            known = records.read(folder)
            if known.weights_sha256 != weights:
                raise ConfigError(
                    f"{folder} holds a reasoner made of other weights ({known.source}): choose "
                    "another --output, or delete it"
                )
            return known
        return Record(
            model_type=self._kind,
            source=self._source,
            image_id=self._composer.image_id,
            ends=_ends(self._network, self._composer.tokenizer),
            merge=self._sight.merge,
            window=self._sight.window,
            table=self._sight.table,
            opset=OPSET,
            weights_sha256=weights,
            code_sha256=reasoner_sha256(),
            versions=versions(),
            files={},
        )

    def finish(self, described: Record, output: Path, count: int) -> list[Made]:
        """Make, judge, publish; the rows of the table."""
        begun_s = time.perf_counter()
        made = self._written("fp32")
        self._step("reasoner: torch's own tokens", 1, _STEPS)
        known = [
            reference(self._network, inputs)
            for inputs in prompts(self._composer, self._family, count)
        ]
        found = exact = self._judged(made, known, described.image_id)
        if self._precision != "fp32" and exact.exact:
            for file in (file for each in made for file in each.files):
                file.unlink()
            made = self._written(self._precision)
            found = self._judged(made, known, described.image_id)
        build_s = round(time.perf_counter() - begun_s, 3)
        rows = self._rows(made, exact, found, build_s)
        if exact.exact:
            self._publish(described, made, found, build_s, output)
        return rows

    def _written(self, precision: Precision) -> tuple[Written, Written]:
        """Vision and decoder in so many bits."""
        self._step(f"reasoner: writing graphs in {precision}", 2, _STEPS)
        network, image_id = self._network, self._composer.image_id
        seen, inner, outer = _BITS[precision]
        paths = [
            self._staging / f"reasoner_{part}.{precision}.onnx" for part in ("vision", "decoder")
        ]
        visual = network.model.visual
        return (
            write_vision(visual, paths[0], seen),
            write_decoder(network, paths[1], levels(visual), image_id, inner, outer),
        )

    def _judged(
        self, made: Sequence[Written], known: Sequence[Reference], image_id: int
    ) -> Judgement:
        self._step("reasoner: its tokens against torch's", 4, _STEPS)
        vision, decoder = made
        return judge(Graphs(vision.files[0], decoder.files[0], self._sight, image_id), known)

    def _rows(
        self, made: Sequence[Written], exact: Judgement, found: Judgement, build_s: float
    ) -> list[Made]:
        told = found.agreement
        words = f"{told}, {told.whole} of {told.prompts} answers whole"
        if not exact.exact:
            words = f"FAILED: in float32 expected all, and differences ≤ {LIMIT:.0e}, got {told}"
        names = ("reasoner_vision", "reasoner_decoder")
        differences = (found.vision, found.decoder)
        return [
            Made(name, None, build_s if at else 0.0, apart, words, _nbytes(each))
            for at, (name, apart, each) in enumerate(zip(names, differences, made, strict=True))
        ]

    def _publish(
        self,
        described: Record,
        made: Sequence[Written],
        found: Judgement,
        build_s: float,
        output: Path,
    ) -> None:
        graphs = [
            Graph(tuple(path.name for path in each.files), each.inputs, each.outputs, apart)
            for each, apart in zip(made, (found.vision, found.decoder), strict=True)
        ]
        beside = _copied(self._place, self._staging)
        names = [*beside, *(name for graph in graphs for name in graph.files)]
        held = records.hashes(self._staging, names)
        rounded_ = Rounded(graphs[0], graphs[1], found.agreement, build_s)
        described = replace(
            described,
            files={**described.files, **held},
            precisions={**described.precisions, self._precision: rounded_},
        )
        try:
            output.mkdir(exist_ok=True)
            for name in names:
                (self._staging / name).replace(output / name)
        except OSError as error:
            raise cannot_write(output, error) from None
        records.write(output, described)


def _copied(place: Path, staging: Path) -> list[str]:
    """Copy what the tokenizer and the processor need; their names.

    Raises:
        OutputError: There is no room.
    """
    names = sorted(
        path.name
        for pattern in _BESIDE
        for path in place.glob(pattern)
        if path.is_file() and not path.name.endswith(".index.json") and path.name != records.RECORD
    )
    try:
        for name in names:
            shutil.copyfile(place / name, staging / name)
    except OSError as error:
        raise cannot_write(staging, error) from None
    return names


def _ends(network: Any, tokenizer: Any) -> tuple[int, ...]:
    """Tokens that end an answer.

    Raises:
        EngineError: None is known.
    """
    ends = network.generation_config.eos_token_id
    ends = tokenizer.eos_token_id if ends is None else ends
    if ends is None:
        raise EngineError("the reasoner: expected an eos_token_id in its folder, got none")
    return (ends,) if isinstance(ends, int) else tuple(ends)


def _nbytes(written: Written) -> int:
    return sum(file.stat().st_size for file in written.files)
