"""Any checkpoint that `vlm` loads, of Qwen-VL's families, paid for its own answers through trl.

trl's `GRPOTrainer` draws, scores and moves it, on as many cards as accelerate finds; ours are the
rewards, the prompts, the processor and what is left behind.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamseg.errors import CheckpointError, OutputError, UsageError
from streamseg.masking import legible
from streamseg.reasoning.language.coordinates import FAMILIES, family_in
from streamseg.reasoning.loading import is_installed, load_whole, one_line, quiet, require_packages
from streamseg.reasoning.models import folder as folders
from streamseg.training import curves
from streamseg.training.grpo import examples as asking
from streamseg.training.grpo.examples import Example
from streamseg.training.grpo.processor import open_processor
from streamseg.training.nano.course import Told

if TYPE_CHECKING:
    from streamseg.training.grpo.command import Asked

PIXELS = 840 * 840
"""Most that a picture is shown with: the paper's."""
_ANSWER_TOKENS = 256
"""Beside the thinking, which may take twice its budget."""
_MOST_EXAMPLES = 20_000
_SAVED = 50
_WHOLE = ("trainer_state.json", "optimizer.pt", "scheduler.pt")
"""Files of a checkpoint of which the first is written last: where one lacks, it is half."""


def train(asked: Asked, found: Path, told: Told, longest: int = 0) -> Path:
    """Train, or go on with; the new model's folder.

    Args:
        found: The model's folder.
        longest: Tokens of an answer; 0: by the budget.

    Raises:
        CheckpointError, MissingDependencyError, OutputError, UsageError: As `command.run`.
    """
    needed = [(name, "training") for name in ("trl", "accelerate", "datasets")]
    require_packages([*needed, *([("peft", "training")] if asked.lora else [])])
    described = folders.described(found)
    kind = str(described["model_type"])
    if kind not in FAMILIES:
        raise UsageError(
            f"{legible(str(found))}: expected one of {', '.join(sorted(FAMILIES))}, got {kind!r}"
        )
    if asked.minutes or asked.length != "own":
        raise UsageError("--minutes and --length are the small reasoner's; leave them out")
    family = family_in(described, found.name)
    processor = open_processor(found)
    told("reading pictures", 0, 0, {})
    penalty = asked.penalty()
    count = min(_MOST_EXAMPLES, asked.steps * asked.prompts)
    known = asking.examples(asked.data, asked.levels, family, PIXELS, penalty, asked.seed, count)
    tokenizer = processor.tokenizer

    def tokens(text: str) -> int:
        return len(tokenizer(text, add_special_tokens=False)["input_ids"])

    paid = asking.paid(known, penalty, tokens)
    network: Any = load_whole("AutoModelForImageTextToText", found, "a model", "neural")
    network.requires_grad_(True)
    most = longest or round(2 * penalty.at_10) + _ANSWER_TOKENS
    with _hushed():
        trainer = _trainer(asked, network, processor, known, paid, most, told)
        _run(trainer, asked.output)
        return _left(trainer, asked, processor)


@contextmanager
def _hushed() -> Iterator[None]:
    """Without what trl and transformers tell of each other's coming versions."""
    with quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _trainer(
    asked: Asked, network: Any, processor: Any, known: Any, paid: Any, most: int, told: Told
) -> Any:
    import torch
    from transformers import PrinterCallback

    trl: Any = import_module("trl")
    on_board = is_installed("tensorboard") or is_installed("tensorboardX")
    card = torch.cuda.is_available()
    chosen = trl.GRPOConfig(
        output_dir=str(asked.output),
        per_device_train_batch_size=asked.group,
        gradient_accumulation_steps=asked.prompts,
        num_generations=asked.group,
        max_completion_length=most,
        max_steps=asked.steps,
        learning_rate=asked.rate,
        lr_scheduler_type="cosine",
        weight_decay=0.01,
        beta=asked.kl,
        scale_rewards="group",
        temperature=asked.temperature,
        reward_weights=[1.0] + [0.0] * (len(paid) - 1),
        save_steps=_SAVED,
        save_total_limit=2,
        logging_steps=1,
        report_to=["tensorboard"] if on_board else [],
        seed=asked.seed,
        use_cpu=not card,
        bf16=card,
        disable_tqdm=True,
        remove_unused_columns=False,
        activation_checkpointing=card,
    )
    lora = None
    if asked.lora:
        from peft import LoraConfig

        lora = LoraConfig(
            r=asked.lora, lora_alpha=2 * asked.lora, target_modules=["q_proj", "v_proj", "o_proj"]
        )
    trainer = trl.GRPOTrainer(
        model=network,
        reward_funcs=paid,
        args=chosen,
        train_dataset=_rows(known),
        processing_class=processor,
        peft_config=lora,
        callbacks=[_log(asked.output, told)],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _rows(known: Sequence[Example]) -> Any:
    """The examples' numbers; a prompt, with its picture, is put in when a row is read."""
    from datasets import Dataset

    rows: Any = Dataset.from_list([{"number": at} for at in range(len(known))])

    def filled(batch: dict[str, list[int]]) -> dict[str, list[Any]]:
        return {**batch, "prompt": [known[at].messages for at in batch["number"]]}

    rows.set_transform(filled)
    return rows


def _log(output: Path, told: Told) -> Any:
    """Writes trl's figures as lines of `metrics.jsonl`, and tells them."""
    from transformers import TrainerCallback

    base: Any = TrainerCallback

    class Log(base):  # type: ignore[misc]
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            row = {"stage": "grpo", "step": state.global_step, "what": "train"}
            figures = {k: float(v) for k, v in (logs or {}).items() if isinstance(v, int | float)}
            if "reward" not in figures or not state.is_world_process_zero:
                return
            try:
                with (output / "metrics.jsonl").open("a", encoding="utf-8") as log:
                    log.write(json.dumps(row | figures) + "\n")
            except OSError as error:
                raise OutputError(f"{legible(str(output))}: {error.strerror}") from None
            told("grpo", state.global_step, state.max_steps, figures)

    return Log()


def last_whole(output: Path) -> Path | None:
    """The newest checkpoint that was written to its end."""
    found = [
        path
        for path in output.glob("checkpoint-*")
        if path.name.partition("-")[2].isdigit() and all((path / name).is_file() for name in _WHOLE)
    ]
    return max(found, key=lambda path: int(path.name.partition("-")[2]), default=None)


def _run(trainer: Any, output: Path) -> None:
    """Train from the last whole checkpoint.

    Raises:
        CheckpointError: It does not fit this model.
        OutputError: The disk is full, or cannot be written.
    """
    last = last_whole(output)
    try:
        trainer.train(resume_from_checkpoint=str(last) if last else None)
    except OutputError:
        raise
    except (OSError, RuntimeError) as error:
        told = one_line(error)
        full = isinstance(error, OSError) or "writing" in told or "No space" in told
        if full:
            raise OutputError(
                f"{legible(str(output))}: a checkpoint cannot be written ({told}); the last whole "
                "one stays: make room and give the same command to go on from it"
            ) from None
        if last and ("size mismatch" in told or "state_dict" in told):
            raise CheckpointError(
                f"{legible(str(last))} is of another model ({told}): give another --output"
            ) from None
        raise


def _left(trainer: Any, asked: Asked, processor: Any) -> Path:
    """Write the model's folder and the curves, once among all processes."""
    made = asked.output / "model"
    try:
        if not asked.lora:
            trainer.save_model(str(made))  # gathers what lies on several cards
        if trainer.is_world_process_zero():
            if asked.lora:
                network = trainer.accelerator.unwrap_model(trainer.model)
                network.merge_and_unload().save_pretrained(made)
            processor.save_pretrained(made)
            (made / "training_args.bin").unlink(missing_ok=True)
            curves.draw(asked.output / "metrics.jsonl", asked.output / "curves.png")
    except OSError as error:
        raise OutputError(f"{legible(str(made))}: {error.strerror}") from None
    return made
