"""What every training shares around transformers.Trainer: batches, arguments, checkpoints, curves.

A stage lays out all its batches beforehand (``schedule``), so that step n trains on the same rows however often the
process was killed before, and the plain Trainer walks through them once, in order. Checkpoints are kept in
``data/scratch/<stage>/<fingerprint>/``: a changed parameter, input or line of code never picks up a stale one.
"""

import hashlib
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.core.errors import UserError
from pipeline.core.params import Section, Training
from pipeline.core.stage import Paths

Batch = list[tuple[int, int]]  # (place in the schedule, row number): the place seeds whatever is drawn for the row
PIPELINE = Path(__file__).parents[1]
CODE = (  # what shapes any training, below PIPELINE
    "mitigation/group_codes.py",
    "mitigation/reweighing.py",
    "models/adapters.py",
    "models/encoder.py",
    "models/network.py",
    "text/scripts.py",
    "training/callbacks.py",
    "training/mlm_masking.py",
    "training/supervised.py",
    "training/trainer.py",
)
POOL = 50  # batches that are sorted by length together: enough to save padding, few enough to stay mixed
CURVE_POINTS = 200  # about so many points a curve, however long the training


@dataclass(frozen=True)
class Data:
    """What a training walks through; ``collate`` makes the model's inputs from the rows of one batch."""

    train: list[Batch]
    held_out: list[Batch]  # one row each: the Trainer groups them
    collate: Callable[[Batch], dict[str, Any]]


def schedule(rows: list[int], lengths: list[int], params: Training) -> list[Batch]:
    """All batches of a training on ``rows``: ``params.epochs`` of them (maybe a fraction), or ``params.max_steps``.

    ``lengths`` holds the tokens of every row: rows of like length share a batch; which ones, and in which order the
    batches come, is drawn with the seed. No batch reaches over the end of an epoch, so no row meets itself in one.
    """
    rng = np.random.default_rng(params.seed)
    size, wanted = params.batch_size, planned(len(rows), params)
    batches: list[list[int]] = []
    while len(batches) < wanted:
        shuffled = rng.permutation(rows).tolist()
        for start in range(0, len(shuffled), POOL * size):
            pool = sorted(shuffled[start : start + POOL * size], key=lengths.__getitem__)
            cut = [pool[i : i + size] for i in range(0, len(pool), size)]
            batches.extend(cut[i] for i in rng.permutation(len(cut)))
    places = iter(range(wanted * size))
    return [[(next(places), row) for row in batch] for batch in batches[:wanted]]


def planned(rows: int, params: Training) -> int:
    """How many batches a training on so many rows has."""
    wanted = max(1, round(params.epochs * -(-rows // params.batch_size)))
    return wanted if params.max_steps is None else min(wanted, params.max_steps * params.gradient_accumulation)


def steps(rows: int, params: Training) -> int:
    """How many optimizer steps a training on so many rows takes, if nothing stops it early."""
    return -(-planned(rows, params) // params.gradient_accumulation)


def held_out(rows: list[int], lengths: list[int]) -> list[Batch]:
    """Rows to evaluate on, one a batch, short ones first so that little is spent on padding."""
    return [[(place, row)] for place, row in enumerate(sorted(rows, key=lengths.__getitem__))]


def pad(rows: list[list[int]], value: int) -> Any:
    """Rows of token ids as one tensor (rows, longest), filled up with ``value`` on the right."""
    import torch

    return torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=value)


def inputs(rows: list[list[int]], pad_token: int | None) -> dict[str, Any]:
    """``input_ids`` and ``attention_mask`` of a batch of token ids, both (rows, longest)."""
    return {"input_ids": pad(rows, pad_token or 0), "attention_mask": pad([[1] * len(row) for row in rows], 0)}


def fingerprint(sections: list[Section], files: list[Path]) -> str:
    """Hash of what a training depends on: the sections of params.yaml, and the content of the files it is made from.

    Those are its inputs and the stage's own code, which the stage names; the code that all trainings share is added.
    """
    total = hashlib.sha256(json.dumps([section.model_dump() for section in sections], sort_keys=True).encode())
    for path in (*files, *(PIPELINE / name for name in CODE)):
        with path.open("rb") as file:
            total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()[:16]


def checkpoints(paths: Paths, stage: str, key: str) -> Path:
    """The folder for this training's checkpoints. Those of other configs go: each takes gigabytes."""
    folder = paths.scratch(stage) / key
    folder.mkdir(parents=True, exist_ok=True)
    for other in folder.parent.iterdir():
        if other != folder and re.fullmatch("[0-9a-f]{16}", other.name):
            shutil.rmtree(other)
    return folder


def latest(folder: Path) -> Path | None:
    """The newest checkpoint that is whole; broken ones are removed and named on stderr."""
    from pipeline.training.callbacks import sealed

    for path in sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]), reverse=True):
        if sealed(path):
            return path
        print(f"{path.name} was not written to its end: skipped", file=sys.stderr)
        shutil.rmtree(path)
    return None


def arguments(params: Training, folder: Path, steps: int, evaluate_steps: int | None) -> Any:
    """TrainingArguments of one run. With evaluations, each is also a checkpoint, so that the best can be kept."""
    import torch
    from transformers import TrainingArguments

    on_cpu = not torch.cuda.is_available()
    return TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=1,  # the schedule holds all epochs
        per_device_train_batch_size=1,  # of the schedule's batches
        per_device_eval_batch_size=params.batch_size,
        gradient_accumulation_steps=params.gradient_accumulation,
        train_sampling_strategy="sequential",
        learning_rate=params.lr,
        weight_decay=params.weight_decay,
        warmup_steps=round(params.warmup * steps),
        bf16=params.precision == "bfloat16",
        torch_compile=params.compile,
        use_cpu=on_cpu,
        seed=params.seed,
        full_determinism=on_cpu,  # some kernels of a GPU have no deterministic form
        logging_steps=max(1, steps // CURVE_POINTS),
        logging_nan_inf_filter=False,
        eval_strategy="steps" if evaluate_steps else "no",
        eval_steps=evaluate_steps,
        save_steps=evaluate_steps or params.checkpoint_steps,
        save_total_limit=2,
        metric_for_best_model="eval_loss" if evaluate_steps else None,
        greater_is_better=False if evaluate_steps else None,
        remove_unused_columns=False,
        label_names=["targets"] if evaluate_steps else None,
        prediction_loss_only=not evaluate_steps,
        dataloader_num_workers=0,  # rows are tokenised already; a fork would only cost memory
        dataloader_pin_memory=not on_cpu,
        report_to=list(params.trackers) or "none",
        project="gleaner",
        disable_tqdm=True,
    )


def build(
    model: Any,
    data: Data,
    params: Training,
    folder: Path,
    *,
    optimizer: Any = None,
    evaluate_steps: int | None = None,
    patience: int | None = None,
    measure: Callable[[Any], dict[str, float]] | None = None,
    callbacks: Sequence[Any] = (),
    key: str | None = None,
) -> Any:
    """A Trainer for ``model``, whose forward returns its own loss; ``folder`` is that of ``checkpoints``.

    ``measure`` gets the Trainer's predictions at each evaluation and returns further metrics. Without ``optimizer``,
    it is the Trainer's own AdamW with ``params.lr`` for every weight. What ``callbacks`` add to a checkpoint is sealed
    with it. ``key`` is where ``params`` stand in params.yaml, if not in the section of the stage.
    """
    from transformers import PrinterCallback, Trainer
    from transformers.utils import logging

    from pipeline.training.callbacks import Curves, Patience, Progress, Seal

    key = key or folder.parent.name
    check(params, key)
    os.environ["TENSORBOARD_LOGGING_DIR"] = str(folder.parent / "tensorboard")
    os.environ["WANDB_DIR"] = str(folder.parent)
    os.environ.setdefault("WANDB_PROJECT", "gleaner")
    logging.set_verbosity_error()
    model.accepts_loss_kwargs = False  # the loss is the mean of a batch: the Trainer averages accumulated ones
    steps = -(-len(data.train) // params.gradient_accumulation)
    trainer = Trainer(
        model=model,
        args=arguments(params, folder, steps, evaluate_steps),
        train_dataset=data.train,
        eval_dataset=data.held_out,
        data_collator=lambda items: data.collate([pair for item in items for pair in item]),
        compute_metrics=measure,
        optimizers=(optimizer, None),
        callbacks=[Curves(folder.parent / "curves.jsonl", key), Progress(key), *callbacks, Seal()],
    )
    if patience is not None:
        trainer.add_callback(Patience(patience))
    trainer.remove_callback(PrinterCallback)
    return trainer


def check(params: Training, key: str) -> None:
    """Raise UserError when this machine lacks what params ask for."""
    for tracker in params.trackers:
        if find_spec(tracker) is None:
            raise UserError(
                f"{key}.trackers: expected {tracker} to be installed, found none; pip install 'gleaner[{tracker}]'"
            )
    if params.compile and not shutil.which(os.environ.get("CXX", "g++")):
        raise UserError(f"{key}.compile: expected a C++ compiler, found none; install g++ or set it to false")


def train(trainer: Any, patience: int | None = None) -> list[dict[str, float]]:
    """Train to the end, from the last whole checkpoint if there is one, and leave the best weights in the model.

    Returns the curves, one dict a logged step. Best is the lowest validation loss; without evaluations, the last step.
    """
    from safetensors.torch import load_model
    from transformers import TrainerState

    from pipeline.training.callbacks import Patience, points

    folder = Path(trainer.args.output_dir)
    start = latest(folder)
    ended = False
    if start is not None and patience is not None:  # killed after it had stopped early: no step is left to take
        trainer.state = TrainerState.load_from_json(str(start / "trainer_state.json"))
        ended = Patience(patience).exhausted(trainer.state.log_history)
    if start is not None:
        print(f"{folder.parent.name}: goes on from step {start.name.split('-')[1]}", file=sys.stderr)
    if not ended:
        trainer.train(resume_from_checkpoint=str(start) if start else None)
    if trainer.args.metric_for_best_model:
        load_model(trainer.model, folder / f"checkpoint-{trainer.state.best_global_step}" / "model.safetensors")
    return [point for point in map(points, trainer.state.log_history) if len(point) > 1]


def clear(folder: Path) -> None:
    """Remove the checkpoints of a training whose outputs are written; the curves stay."""
    shutil.rmtree(folder)
