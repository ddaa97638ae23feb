"""What watches a training: its curve, its progress line, early stopping, and the seal on each checkpoint.

Imports transformers, so only pipeline/training/trainer.py imports this module, and late.
"""

import hashlib
import json
import math
import sys
from pathlib import Path
from typing import Any

from tqdm import tqdm
from transformers import TrainerCallback

from pipeline.core.errors import UserError
from pipeline.core.stage import write_json

SEAL = "complete.json"
CURVES = {"loss": "loss", "learning_rate": "lr", "eval_loss": "eval_loss", "eval_accuracy": "eval_accuracy"}


def points(entry: dict[str, Any]) -> dict[str, float]:
    """One entry of the Trainer's log as a point of the curves, without times; only ``step`` if it has none."""
    return {"step": entry["step"]} | {name: entry[key] for key, name in CURVES.items() if key in entry}


class Curves(TrainerCallback):
    """Writes each logged point to a JSON Lines file that others may follow while training goes on.

    A fresh start empties the file; a resumed one keeps it up to the checkpoint's step. Raises UserError as soon as
    the loss is no number, since no later step mends that; ``key`` is where the training's params stand.
    """

    def __init__(self, path: Path, key: str) -> None:
        self.path, self.key, self.training = path, key, False

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.training = True
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lines = [json.dumps(points(entry)) + "\n" for entry in state.log_history]
        self.path.write_text("".join(lines))

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        # The Trainer forgets the running mean of the loss in a checkpoint; logged first, the curve is the same
        # whether or not the training was killed there.
        control.should_log |= control.should_save

    def on_log(self, args: Any, state: Any, control: Any, **event: Any) -> None:
        point = points(event["logs"] | {"step": state.global_step})
        if not all(math.isfinite(value) for value in point.values()):
            raise UserError(
                f"{self.key}.lr: expected a finite loss, found none at step {state.global_step}; "
                "lower lr, or raise warmup"
            )
        if len(point) > 1 and self.training:  # not for an evaluation of its own, before or after
            with self.path.open("a") as file:
                file.write(json.dumps(point) + "\n")

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.training = False


class Progress(TrainerCallback):
    """A bar in a terminal, a line every few seconds in a log; the newest loss stands at its end."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.bar: Any = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        live = sys.stderr.isatty()
        self.bar = tqdm(
            desc=self.what,
            total=state.max_steps,
            initial=state.global_step,
            mininterval=0.1 if live else 5,
            bar_format=None if live else "{desc}: step {n_fmt}/{total_fmt} [{elapsed}<{remaining}{postfix}]\n",
            leave=live,
        )

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.bar.update(1)

    def on_log(self, args: Any, state: Any, control: Any, **event: Any) -> None:
        if self.bar is not None and "loss" in event["logs"]:
            self.bar.set_postfix(loss=f"{event['logs']['loss']:.4f}", refresh=False)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.bar.close()
        self.bar = None


class Patience(TrainerCallback):
    """Stops when so many evaluations in a row brought no lower validation loss.

    Counts in the log, which every checkpoint holds, so that a resumed training stops where an unbroken one would.
    """

    def __init__(self, evaluations: int) -> None:
        self.evaluations = evaluations

    def exhausted(self, log: list[dict[str, Any]]) -> bool:
        """Whether the last ``evaluations`` losses of the log are all no better than one before them."""
        losses = [entry["eval_loss"] for entry in log if "eval_loss" in entry]
        return bool(losses) and len(losses) - 1 - losses.index(min(losses)) >= self.evaluations

    def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        control.should_training_stop |= self.exhausted(state.log_history)


class Seal(TrainerCallback):
    """Writes the digests of a checkpoint's files when the last of them is there: without it, it isn't resumed from."""

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        write_json(digests(folder), folder / SEAL)


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of a checkpoint but the seal itself, by name."""
    found = {}
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.name != SEAL and not path.name.startswith("."):
            with path.open("rb") as file:
                found[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def sealed(folder: Path) -> bool:
    """Whether the checkpoint is whole: sealed, and every file as it was then."""
    try:
        return bool(json.loads((folder / SEAL).read_text()) == digests(folder))
    except (FileNotFoundError, ValueError):
        return False
