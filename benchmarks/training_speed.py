"""How fast a training is: its clock, the operations that its steps need, and the memory that it takes.

The operations of a step are those that the model needs, after Kaplan et al. 2020 ("Scaling Laws for Neural Language
Models", 2.1) and appendix B of Chowdhery et al. 2022 ("PaLM"): for each token 6 for each weight of a matrix that all
tokens are multiplied with, and 12 x layers x width x length for its attention in a text of that length; that is two
operations a multiplication, once forward and twice backward. Padding and the attention between packed texts are work
that no text needs: they take time and are not counted. Looking up a vector is no operation.
"""

import resource
import time
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Speed:
    """What one training came to; a token is one of a text, never padding."""

    steps: int  # that were timed
    tokens_per_second: float
    tflops: float
    padding: float  # share of the places in the tensors that hold no token, 0 to 1
    memory_gib: float  # of the GPU at its highest; on a CPU that of the process


def training_speed(model: Any, lengths: list[list[int]], places: list[int], timer: Any) -> Speed:
    """The speed of a training after its warm-up.

    ``lengths`` holds the tokens of each text by batch, ``places`` those of the tensor of each batch, and ``timer`` is
    the `step_timer` of the training.
    """
    timed = lengths[timer.warmup :]
    tokens = sum(map(sum, timed))
    return Speed(
        steps=len(timed),
        tokens_per_second=round(tokens / timer.seconds, 1),
        tflops=round(sum(step_operations(model, batch) for batch in timed) / timer.seconds / 1e12, 4),
        padding=round(1 - tokens / sum(places[timer.warmup :]), 4),
        memory_gib=round(peak_memory(), 2),
    )


def step_operations(model: Any, lengths: list[int]) -> int:
    """The operations that a training step of ``model`` on texts of these lengths needs, forward and backward."""
    config = model.config
    attention = 12 * config.num_hidden_layers * config.hidden_size * sum(length**2 for length in lengths)
    return int(6 * matrix_weights(model) * sum(lengths) + attention)


def matrix_weights(model: Any) -> int:
    """The weights of the matrices that every token is multiplied with; the pooler's sees one token of a text."""
    import torch

    return sum(
        module.weight.numel()
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and "pooler" not in name
    )


def step_timer(warmup: int) -> Any:
    """A callback of the Trainer; ``seconds`` is the time from the end of step ``warmup`` to that of the last one.

    The steps before compile and find their memory. Imports transformers.
    """
    from transformers import TrainerCallback

    class StepTimer(TrainerCallback):
        """Reads the clock twice: a GPU that had to wait at every step would be slower."""

        def __init__(self) -> None:
            self.warmup, self.started, self.seconds = warmup, 0.0, 0.0

        def on_train_begin(self, *_: Any, **__: Any) -> None:
            """Forget the memory of an earlier training, and start at once where there is no warm-up."""
            forget_memory()
            self.started = now()

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            """Start after the warm-up; read the time after the last step."""
            if state.global_step == warmup:
                self.started = now()
            if state.global_step == state.max_steps:
                self.seconds = now() - self.started

    return StepTimer()


def now() -> float:
    """The time in seconds, when the GPU has finished its work."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def forget_memory() -> None:
    """Let `peak_memory` of a GPU begin anew."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def peak_memory() -> float:
    """The most memory in GiB that tensors held on the GPU; without one, that the process ever had."""
    import torch

    if torch.cuda.is_available():
        return float(torch.cuda.max_memory_allocated() / 2**30)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # Linux counts in KiB
