"""Early stopping: a training ends when its validation loss has not fallen for some evaluations.

Imports transformers, so it is imported late.
"""

from typing import Any

from transformers import TrainerCallback


class EarlyStopping(TrainerCallback):
    """Stops a training when ``patience`` evaluations in a row brought no lower validation loss.

    It counts in the Trainer's log, which every checkpoint holds. A resumed training therefore stops where an unbroken
    one would; the EarlyStoppingCallback of transformers counts from zero again.
    """

    def __init__(self, patience: int) -> None:
        self.patience = patience

    def is_due(self, log: list[dict[str, Any]]) -> bool:
        """Whether the last ``patience`` validation losses of the log are no lower than one before them."""
        losses = [entry["eval_loss"] for entry in log if "eval_loss" in entry]
        return bool(losses) and len(losses) - 1 - losses.index(min(losses)) >= self.patience

    def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """End the training after this evaluation if it is due."""
        control.should_training_stop |= self.is_due(state.log_history)
