"""LoRA and AdaLoRA, by way of peft: low-rank changes learn beside frozen weights and are merged into them in the end.

Imports torch and transformers, so it is imported late; peft, which takes seconds more, only where it is used.
"""

import math
import warnings
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import TrainerCallback

from pipeline.core.params import Finetune

METHODS = ("lora", "adalora")
# AdaLoRA (Zhang et al. 2023) starts with 1.5 times the final rank and keeps it for the first steps. Then it takes rank
# from the weights that need it least, and leaves the last steps to the ranks that remain.
INITIAL_RANK_FACTOR = 1.5
FIRST_SHARE, LAST_SHARE = 0.1, 0.3  # of the steps
ORTHOGONALITY_WEIGHT = 0.1  # of `orthogonality` in the loss, the paper's γ
STATE = "adalora.safetensors"


def add_low_rank(encoder: Any, params: Finetune, steps: int) -> Any:
    """The encoder with its weights frozen and a low-rank change, at first zero, to those of `target_modules`.

    For ``params.method`` lora that is LoRA (Hu et al. 2022), for adalora it is AdaLoRA (Zhang et al. 2023).
    """
    import peft

    shared: dict[str, Any] = {
        "target_modules": target_modules(encoder),
        "lora_alpha": params.peft.alpha,
        "lora_dropout": params.peft.dropout,
    }
    if params.method == "lora":
        return to_peft_model(encoder, peft.LoraConfig(r=params.peft.rank, **shared))
    config = peft.AdaLoraConfig(
        target_r=params.peft.rank,
        init_r=math.ceil(INITIAL_RANK_FACTOR * params.peft.rank),
        tinit=int(FIRST_SHARE * steps),
        tfinal=int(LAST_SHARE * steps),
        total_step=steps,
        **shared,
    )
    return to_peft_model(encoder, config)


def to_peft_model(encoder: Any, config: Any) -> Any:
    """peft's model of the encoder, without its warning that transformers will drop a name that peft asks for."""
    import peft

    with warnings.catch_warnings(action="ignore", category=FutureWarning):
        return peft.get_peft_model(encoder, config)


def target_modules(encoder: Any) -> list[str]:
    """The query and value weights of attention where peft knows their names; else every linear layer but the pooler."""
    from peft.utils import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING as KNOWN

    linear = [name for name, module in encoder.named_modules() if isinstance(module, torch.nn.Linear)]
    known = KNOWN.get(encoder.config.model_type, [])
    chosen = [name for name in linear if name.split(".")[-1] in known]
    return chosen or [name for name in linear if "pooler" not in name]


def merge_into_weights(encoder: Any) -> Any:
    """The plain encoder, with the low-rank changes added to its weights."""
    return encoder.merge_and_unload()


def orthogonality(encoder: Any) -> torch.Tensor:
    """How far the directions of AdaLoRA's changes are from right angles, a scalar float (Zhang et al. 2023).

    It is the mean Frobenius norm of PPᵀ - I, where P is (rank, width). peft adds it to the loss only where the encoder
    itself returns one.
    """
    norms = []
    for name, weight in encoder.named_parameters():
        if "lora_A" in name or "lora_B" in name:
            gram = weight @ weight.T if "lora_A" in name else weight.T @ weight
            norms.append(torch.linalg.matrix_norm(gram - torch.eye(len(gram), device=gram.device)))
    return torch.stack(norms).mean()


class RankAllocation(TrainerCallback):
    """Lets AdaLoRA take rank away after each step, and keeps the state of its allocator in every checkpoint.

    The allocator ranks directions by their importance, a running mean that is in no weight. Without it, a resumed
    training would take away other directions than an unbroken one.
    """

    def __init__(self, encoder: Any) -> None:
        self.model = encoder.base_model

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Restore the allocator's state from the checkpoint that the training goes on from."""
        if state.global_step:
            self.restore(load_file(Path(args.output_dir) / f"checkpoint-{state.global_step}" / STATE))

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Take rank away."""
        self.model.update_and_allocate(state.global_step + 1)  # the Trainer counts the step a little later

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Add the allocator's state to the checkpoint; it is the same in every process of a training."""
        if state.is_world_process_zero:
            save_file(self.state(), Path(args.output_dir) / f"checkpoint-{state.global_step}" / STATE)

    def state(self) -> dict[str, torch.Tensor]:
        """The allocator's running means by weight, float32 of the weight's shape, and the ranks it has left.

        The ranks of a weight are a tensor (initial rank,), bool: whether each direction is kept.
        """
        allocator = self.model.rankallocator
        tensors = {f"mean/{name}": value for name, value in allocator.exp_avg_ipt.items()}
        tensors |= {f"spread/{name}": value for name, value in allocator.exp_avg_unc.items()}
        ranks = self.model.peft_config["default"].rank_pattern or {}
        return tensors | {f"rank/{name}": torch.tensor(kept) for name, kept in ranks.items()}

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        """Continue from ``state``, as `state` returned it: means, float32, and ranks (initial rank,), bool."""
        allocator, weights = self.model.rankallocator, dict(self.model.model.named_parameters())
        ranks: dict[str, list[bool]] = {}
        for key, value in state.items():
            kind, name = key.split("/")
            if kind == "rank":
                ranks[name] = value.tolist()
                continue
            means = allocator.exp_avg_ipt if kind == "mean" else allocator.exp_avg_unc
            means[name] = value.to(weights[name].device)
            allocator.ipt[name] = torch.zeros_like(means[name])  # computed in each step; its key marks it as known
        self.model.peft_config["default"].rank_pattern = ranks or None
