"""Small inputs of the finetune stage for its tests, runs of the stage, and runs that are killed."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from pipeline.core import table
from pipeline.core.params import Params
from pipeline.core.stage import Paths, write_json
from pipeline.models import network
from pipeline.stages import finetune
from pipeline.stages.finetune.task import Task
from pipeline.training import callbacks

LABELS = ["account", "delivery", "refund"]
QUICK = {"epochs": 6, "lr": 3e-3, "head_lr": 0.05, "evaluate_steps": 6, "checkpoint_steps": 3, "patience": 9}
PEFT = {"rank": 4, "alpha": 16, "dropout": 0.0, "prefix_tokens": 5, "width": 8}
PARTIAL_METHODS = ("lora", "adalora", "prefix", "bottleneck")
Change = Callable[..., Params]
Rows = Callable[..., pd.DataFrame]


def write_inputs(root: Path, tiny_encoder: Path, rows: Rows, pairs: list[tuple[str, str]]) -> Paths:
    """Write all inputs of the stage and of export: 60 gold, 20 pseudo-labelled and 30 validation rows, and a head."""
    paths = Paths(root)
    parts = {"ingest": pairs[:60], "synonyms": [], "back_translate": [], "swaps": [], "pseudo_label": pairs[60:80]}
    for stage, part in parts.items():
        origin = "gold" if stage == "ingest" else "pseudo"
        table.write(rows(part, origin), paths.data(stage) / "train.parquet")
    table.write(rows(pairs[96:]), paths.data("ingest") / "validation.parquet")
    table.write(rows([(text, None) for text, _ in pairs[80:96]], "unlabelled"), unlabelled_file(paths))
    write_json({"labels": LABELS, "descriptions": {}}, paths.data("ingest") / "labels.json")
    write_json({"held_out_rows": 0, "ships_teacher": False}, paths.data("pseudo_label") / "metrics.json")
    shutil.copytree(tiny_encoder, paths.data("pretrain") / "encoder")
    torch.manual_seed(3)
    head = {"weight": torch.randn(3, 32), "bias": torch.zeros(3)}
    save_file(head, paths.data("pseudo_label") / "head.safetensors")
    return paths


def unlabelled_file(paths: Paths) -> Path:
    """The table of unlabelled rows."""
    return paths.data("ingest") / "unlabelled.parquet"


def remove_validation_rows(paths: Paths) -> None:
    """Leave an empty validation split."""
    file = paths.data("ingest") / "validation.parquet"
    table.write(table.empty_like(table.read(file)), file)


def finetune_params(params: Change, **changes: Any) -> Params:
    """Params of a short fine-tuning, with ``changes`` to the section finetune."""
    return params({"finetune": QUICK | {"peft": PEFT} | changes})


def run_finetune(paths: Paths, params: Params) -> dict[str, Any]:
    """Run the stage and return its metrics."""
    return finetune.run(params.finetune, params.encoder, params.mitigation, paths)


def model_files(paths: Paths) -> dict[str, bytes]:
    """The content of each file of the model that the stage wrote, by its path."""
    model = paths.data("finetune") / "model"
    return {path.relative_to(model).as_posix(): path.read_bytes() for path in model.rglob("*") if path.is_file()}


def read_task(paths: Paths, params: Params) -> Task:
    """What every student of this project starts from and learns."""
    train = [labelled_rows(paths, stage) for stage in ("ingest", "pseudo_label")]
    return Task(
        params.encoder,
        LABELS,
        paths.data("pretrain") / "encoder",
        paths.data("pseudo_label") / "head.safetensors",
        pd.concat(train, ignore_index=True),
        labelled_rows(paths, "ingest", "validation"),
        penalty=None,
        compute=params.compute,
        workers=1,
    )


def labelled_rows(paths: Paths, stage: str, name: str = "train") -> pd.DataFrame:
    """The rows of a table with the index of their class as ``target``."""
    rows = table.read(paths.data(stage) / f"{name}.parquet")
    return rows.assign(target=rows["label"].map(LABELS.index).astype(int))


def torch_logits(model: Path, texts: list[str]) -> torch.Tensor:
    """Logits (texts, classes), float32, of the network in the folder ``model``."""
    net, tokenizer, _ = network.load(model)
    with torch.inference_mode():
        return net(**tokenizer(texts, padding=True, return_tensors="pt", return_token_type_ids=False))["logits"]


def run_until_checkpoint(paths: Paths, params: Params, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Run the stage and end it, as a kill would, when the checkpoint of ``step`` is sealed."""

    class Killed(Exception):
        pass

    seal = callbacks.CheckpointSeal.on_save

    def seal_and_die(self: Any, args: Any, state: Any, control: Any, **event: Any) -> None:
        seal(self, args, state, control, **event)
        if state.global_step == step:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(callbacks.CheckpointSeal, "on_save", seal_and_die)
        with pytest.raises(Killed):
            run_finetune(paths, params)
