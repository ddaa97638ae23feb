"""The Trainer of transformers as every training uses it: its arguments, its callbacks, and a run that can be resumed.

The Trainer walks through the batches of pipeline/training/batches.py once, in order, and goes on from the checkpoints
of pipeline/training/checkpoints.py.
"""

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pipeline.core.errors import UserError
from pipeline.core.params import Training
from pipeline.training.batches import TrainingData
from pipeline.training.checkpoints import latest_checkpoint

CURVE_POINTS = 200  # about so many points a curve, however long the training
LOADER_WORKERS = 4  # on a GPU, which would wait while words are hidden in Python; on a CPU they would take its cores


def build(
    model: Any,
    data: TrainingData,
    params: Training,
    folder: Path,
    *,
    optimizer: Any = None,
    evaluate_steps: int | None = None,
    patience: int | None = None,
    compute_metrics: Callable[[Any], dict[str, float]] | None = None,
    callbacks: Sequence[Any] = (),
    section: str | None = None,
) -> Any:
    """A Trainer for ``model``, whose forward returns its loss; ``folder`` is that of the checkpoints.

    ``compute_metrics`` takes the Trainer's predictions at each evaluation and returns further metrics. Without
    ``optimizer``, the Trainer makes an AdamW with ``params.lr`` for every weight. Files that ``callbacks`` add to a
    checkpoint are sealed with it. ``section`` is the place of ``params`` in params.yaml where it is not the stage's
    section. Raises UserError if this machine lacks what ``params`` ask for.
    """
    from transformers import PrinterCallback, Trainer
    from transformers.utils import logging

    from pipeline.training.callbacks import CheckpointSeal, Curves, Progress
    from pipeline.training.early_stopping import EarlyStopping

    section = section or folder.parent.name
    check_machine(params, section)
    set_tracker_folders(folder.parent)
    logging.set_verbosity_error()
    model.accepts_loss_kwargs = False  # the loss is the mean of a batch: the Trainer averages accumulated ones
    steps = -(-len(data.train) // params.gradient_accumulation)
    trainer = Trainer(
        model=model,
        args=training_arguments(params, folder, steps, evaluate_steps),
        train_dataset=data.train + data.train[: -len(data.train) % process_count()],  # as many for each process
        eval_dataset=data.evaluation,
        data_collator=lambda items: data.collate([pair for item in items for pair in item]),
        compute_metrics=compute_metrics,
        optimizers=(optimizer, None),
        callbacks=[Curves(folder.parent / "curves.jsonl", section), Progress(section), *callbacks, CheckpointSeal()],
    )
    if process_count() > 1:
        evaluate_all_rows(trainer)
    if patience is not None:
        trainer.add_callback(EarlyStopping(patience))
    trainer.remove_callback(PrinterCallback)
    return trainer


def process_count() -> int:
    """How many processes train this model together, this one included."""
    import torch

    return torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1


def evaluate_all_rows(trainer: Any) -> None:
    """Let every process of a training evaluate all rows, in the batches of a single process: its loss is the same.

    The Trainer would share them out, fill up the last batches with rows counted already, and weight batches otherwise.
    """
    from torch.utils.data import DataLoader

    def loader(*_: Any) -> Any:
        batch_size = trainer.args.per_device_eval_batch_size
        return DataLoader(trainer.eval_dataset, batch_size=batch_size, collate_fn=trainer.data_collator)

    trainer.get_eval_dataloader = loader


def check_machine(params: Training, section: str) -> None:
    """Check that trackers and compiler are installed. Raises UserError if one that ``params`` ask for is missing."""
    for tracker in params.trackers:
        if find_spec(tracker) is None:
            raise UserError(
                f"{section}.trackers: expected {tracker} to be installed, found none; pip install 'gleaner[{tracker}]'"
            )
    if params.compile and not shutil.which(os.environ.get("CXX", "g++")):
        raise UserError(f"{section}.compile: expected a C++ compiler, found none; install g++ or set it to false")


def set_tracker_folders(folder: Path) -> None:
    """Let TensorBoard and Weights & Biases write below ``folder``; they read that from the environment."""
    os.environ["TENSORBOARD_LOGGING_DIR"] = str(folder / "tensorboard")
    os.environ["WANDB_DIR"] = str(folder)
    os.environ.setdefault("WANDB_PROJECT", "gleaner")


def training_arguments(params: Training, folder: Path, steps: int, evaluate_steps: int | None) -> Any:
    """TrainingArguments of one run. With evaluations, each is also a checkpoint, so that the best can be kept."""
    import torch
    from transformers import TrainingArguments

    on_cpu = not torch.cuda.is_available()
    return TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=1,  # the batches are those of all epochs
        per_device_train_batch_size=1,  # one item of the dataset is a batch
        per_device_eval_batch_size=params.batch_size,
        gradient_accumulation_steps=params.gradient_accumulation // process_count(),
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
        remove_unused_columns=False,
        dataloader_num_workers=0 if on_cpu else LOADER_WORKERS,
        dataloader_pin_memory=not on_cpu,
        report_to=list(params.trackers) or "none",
        project="gleaner",
        disable_tqdm=True,
        **evaluation_arguments(params, evaluate_steps),
    )


def evaluation_arguments(params: Training, evaluate_steps: int | None) -> dict[str, Any]:
    """The TrainingArguments that say when to evaluate and to save; None evaluates never."""
    return {
        "eval_strategy": "steps" if evaluate_steps else "no",
        "eval_steps": evaluate_steps,
        "save_steps": evaluate_steps or params.checkpoint_steps,
        "save_total_limit": 2,
        "metric_for_best_model": "eval_loss" if evaluate_steps else None,
        "greater_is_better": False if evaluate_steps else None,
        "label_names": ["targets"] if evaluate_steps else None,
        "prediction_loss_only": not evaluate_steps,
    }


def train(trainer: Any, patience: int | None = None) -> list[dict[str, float]]:
    """Train to the end, from the last whole checkpoint if there is one, and leave the best weights in the model.

    Returns the curves, one dict a logged step. The best weights are those of the lowest validation loss; without
    evaluations, those of the last step.
    """
    from safetensors.torch import load_model

    folder = Path(trainer.args.output_dir)
    start = find_start(folder)
    take_steps(trainer, start, patience)
    if trainer.args.metric_for_best_model:
        load_model(trainer.model, folder / f"checkpoint-{trainer.state.best_global_step}" / "model.safetensors")
    return curves(trainer)


def find_start(folder: Path) -> Path | None:
    """The checkpoint that a training goes on from, which is named on stderr; None where it starts anew."""
    start = latest_checkpoint(folder)
    if start is not None:
        print(f"{folder.parent.name}: goes on from step {start.name.split('-')[1]}", file=sys.stderr)
    return start


def take_steps(trainer: Any, start: Path | None, patience: int | None) -> None:
    """Train to the end from the checkpoint ``start``, or from the first step where it is None."""
    if start is None or patience is None or not had_stopped_early(trainer, start, patience):
        trainer.train(resume_from_checkpoint=str(start) if start else None)


def curves(trainer: Any) -> list[dict[str, float]]:
    """The curves of a training that has ended, one dict a logged step."""
    from pipeline.training.callbacks import curve_point

    return [point for point in map(curve_point, trainer.state.log_history) if len(point) > 1]


def had_stopped_early(trainer: Any, checkpoint: Path, patience: int) -> bool:
    """Whether the training was killed after it had stopped early at ``checkpoint``, so that no step is left to take.

    The Trainer's state is then the checkpoint's, with its log and its best step.
    """
    from transformers import TrainerState

    from pipeline.training.early_stopping import EarlyStopping

    trainer.state = TrainerState.load_from_json(str(checkpoint / "trainer_state.json"))
    return EarlyStopping(patience).is_due(trainer.state.log_history)
