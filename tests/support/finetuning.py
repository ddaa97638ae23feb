"""The inputs of the finetune stage for its tests, small, and runs of it that are cut off."""

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
from pipeline.stages.finetune.student import Task
from pipeline.training import callbacks

LABELS = ["account", "delivery", "refund"]
QUICK = {"epochs": 6, "lr": 3e-3, "head_lr": 0.05, "evaluate_steps": 6, "checkpoint_steps": 3, "patience": 9}
PEFT = {"rank": 4, "alpha": 16, "dropout": 0.0, "prefix_tokens": 5, "width": 8}
SMALL = ("lora", "adalora", "prefix", "bottleneck")
Change = Callable[..., Params]
Rows = Callable[..., pd.DataFrame]


def make(root: Path, tiny_encoder: Path, rows: Rows, pairs: list[tuple[str, str]]) -> Paths:
    """All inputs of the stage and of export: 60 gold, 20 pseudo-labelled and 30 validation rows, and a probe."""
    paths = Paths(root)
    parts = {"ingest": pairs[:60], "synonyms": [], "back_translate": [], "swaps": [], "pseudo_label": pairs[60:80]}
    for stage, part in parts.items():
        origin = "gold" if stage == "ingest" else "pseudo"
        table.write(rows(part, origin), paths.data(stage) / "train.parquet")
    table.write(rows(pairs[96:]), paths.data("ingest") / "validation.parquet")
    table.write(rows([(text, None) for text, _ in pairs[80:96]], "unlabelled"), unlabelled(paths))
    write_json({"labels": LABELS, "descriptions": {}}, paths.data("ingest") / "labels.json")
    write_json({"held_out_rows": 0}, paths.data("pseudo_label") / "metrics.json")
    shutil.copytree(tiny_encoder, paths.data("pretrain") / "encoder")
    torch.manual_seed(3)
    head = {"weight": torch.randn(3, 32), "bias": torch.zeros(3)}
    save_file(head, paths.data("pseudo_label") / "head.safetensors")
    return paths


def unlabelled(paths: Paths) -> Path:
    return paths.data("ingest") / "unlabelled.parquet"


def without_validation(paths: Paths) -> None:
    file = paths.data("ingest") / "validation.parquet"
    table.write(table.empty(table.read(file)), file)


def ways(params: Change, **changes: Any) -> Params:
    return params({"finetune": QUICK | {"peft": PEFT} | changes})


def run(paths: Paths, params: Params) -> dict[str, Any]:
    return finetune.run(params.finetune, params.encoder, params.mitigation, paths)


def weights(paths: Paths) -> dict[str, bytes]:
    model = paths.data("finetune") / "model"
    return {path.relative_to(model).as_posix(): path.read_bytes() for path in model.rglob("*") if path.is_file()}


def task(paths: Paths, params: Params) -> Task:
    train = [finetune_rows(paths, stage) for stage in ("ingest", "pseudo_label")]
    return Task(
        params.encoder,
        LABELS,
        paths.data("pretrain") / "encoder",
        paths.data("pseudo_label") / "head.safetensors",
        pd.concat(train, ignore_index=True),
        finetune_rows(paths, "ingest", "validation"),
        penalty=None,
    )


def finetune_rows(paths: Paths, stage: str, name: str = "train") -> pd.DataFrame:
    rows = table.read(paths.data(stage) / f"{name}.parquet")
    return rows.assign(target=rows["label"].map(LABELS.index).astype(int))


def logits(model: Path, texts: list[str]) -> torch.Tensor:
    net, tokenizer, _ = network.load(model)
    with torch.inference_mode():
        return net(**tokenizer(texts, padding=True, return_tensors="pt", return_token_type_ids=False))["logits"]


def cut(paths: Paths, params: Params, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Run the stage until the checkpoint of ``step`` is sealed, and break off there as a kill would."""

    class Killed(Exception):
        pass

    write = callbacks.Seal.on_save

    def killing(self: Any, args: Any, state: Any, control: Any, **event: Any) -> None:
        write(self, args, state, control, **event)
        if state.global_step == step:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(callbacks.Seal, "on_save", killing)
        with pytest.raises(Killed):
            run(paths, params)
