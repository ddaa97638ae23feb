"""What follows a training step by step: its curves, its progress line, and the seal on each checkpoint.

Imports torch and transformers, so it is imported late.
"""

import json
import math
import sys
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm
from transformers import TrainerCallback

from pipeline.core.errors import UserError
from pipeline.core.stage import write_json
from pipeline.training.checkpoints import SEAL, file_digests

CURVE_NAMES = {"loss": "loss", "learning_rate": "lr", "eval_loss": "eval_loss", "eval_accuracy": "eval_accuracy"}


def curve_point(entry: dict[str, Any]) -> dict[str, float]:
    """One entry of the Trainer's log as a point of the curves, without times; only ``step`` if it has no curve."""
    return {"step": entry["step"]} | {name: entry[key] for key, name in CURVE_NAMES.items() if key in entry}


class Curves(TrainerCallback):
    """Writes each logged point to a JSON Lines file, which can be followed while the training runs.

    A fresh start empties the file; a resumed one keeps it up to the checkpoint's step. ``section`` is the place of the
    training's params in params.yaml, for error messages.
    """

    def __init__(self, path: Path, section: str) -> None:
        self.path, self.section, self.training = path, section, False

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Write the points up to the checkpoint that the training goes on from; without one, an empty file."""
        self.training = state.is_world_process_zero
        if not self.training:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lines = [json.dumps(curve_point(entry)) + "\n" for entry in state.log_history]
        self.path.write_text("".join(lines))

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Log before a checkpoint is saved.

        The Trainer forgets the running mean of the loss in a checkpoint. Logged first, the curve is the same whether or
        not the training was killed there.
        """
        control.should_log |= control.should_save

    def on_log(self, args: Any, state: Any, control: Any, **event: Any) -> None:
        """Append the point. Raises UserError as soon as a value is not finite, since no later step mends that."""
        point = curve_point(event["logs"] | {"step": state.global_step})
        if not all(math.isfinite(value) for value in point.values()):
            raise UserError(
                f"{self.section}.lr: expected a finite loss, found none at step {state.global_step}; "
                "lower lr, or raise warmup"
            )
        if len(point) > 1 and self.training:  # an evaluation before or after the training is no point of the curves
            with self.path.open("a") as file:
                file.write(json.dumps(point) + "\n")

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Append no more points."""
        self.training = False


class Progress(TrainerCallback):
    """Shows a bar in a terminal, a line every few seconds in a log; the newest loss stands at its end."""

    def __init__(self, description: str) -> None:
        self.description = description
        self.bar: Any = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Show the bar, from the step that the training goes on from."""
        live = sys.stderr.isatty()
        self.bar = tqdm(
            desc=self.description,
            total=state.max_steps,
            initial=state.global_step,
            mininterval=0.1 if live else 5,
            bar_format=None if live else "{desc}: step {n_fmt}/{total_fmt} [{elapsed}<{remaining}{postfix}]\n",
            leave=live,
        )

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Advance the bar by one step."""
        self.bar.update(1)

    def on_log(self, args: Any, state: Any, control: Any, **event: Any) -> None:
        """Show the newest loss."""
        if self.bar is not None and "loss" in event["logs"]:
            self.bar.set_postfix(loss=f"{event['logs']['loss']:.4f}", refresh=False)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Close the bar."""
        self.bar.close()
        self.bar = None


class CheckpointSeal(TrainerCallback):
    """Seals each checkpoint with the digests of its files; a checkpoint without a seal is never resumed from.

    It has to be the last callback, so that the files that other callbacks add are sealed, too.
    """

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Write the seal of the checkpoint that was just saved, once every process has added its files."""
        if torch.distributed.is_initialized():
            torch.distributed.barrier()
        if state.is_world_process_zero:
            folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            write_json(file_digests(folder), folder / SEAL)
