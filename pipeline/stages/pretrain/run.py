"""The stage itself: corpus in, encoder folder out."""

from collections.abc import Iterable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.compute.ray_cluster import read_compute
from pipeline.core import table
from pipeline.core.errors import UserError
from pipeline.core.params import Compute, Encoder, Pretrain
from pipeline.core.stage import Metrics, Paths, write_atomically
from pipeline.models import encoder as encoders
from pipeline.stages.pretrain import new_encoder, objectives, stereotypes
from pipeline.stages.pretrain.packing import attention_within_texts, require_packable, schedule_packed_batches
from pipeline.training import ray_training, trainer
from pipeline.training.batches import TrainingData, evaluation_batches, schedule_batches
from pipeline.training.checkpoints import checkpoint_folder, fingerprint, remove_checkpoints

NO_MLM_HEAD = "not applicable: pretrain.objective {} trains no masked-language head"
HELD_OUT_SHARE = 0.05  # of the texts; the others train
MAX_HELD_OUT = 500  # texts: more would lengthen the evaluations and hardly sharpen their mean


def run(params: Pretrain, encoder: Encoder, paths: Paths) -> Metrics:
    """Train by ``params.objective`` and write the encoder; with ``none``, copy the located one unchanged."""
    output = paths.data("pretrain") / "encoder"
    source = encoders.locate(encoder)  # evaluate needs it whatever the objective: if it is missing, fail now
    if params.objective == "none":
        write_atomically(output, lambda part: encoders.copy_files(source, part))
        counts = {"objective": "none", "from_scratch": False, "rows": 0, "tokens": 0, "steps": 0}
        return counts | {"stereotype": {"score": None, "reason": NO_MLM_HEAD.format("none")}}
    compute = read_compute(paths.root)
    count_trainers(params, compute)  # if it is wrong, fail now
    tables = [paths.data("ingest") / f"{name}.parquet" for name in ("train", "unlabelled")]
    texts = draw_texts([table.read_columns(path, ["text"])["text"] for path in tables], params)
    located = None if params.from_scratch else source
    files = tables if located is None else [*tables, *sorted(located.glob("*.safetensors"))]
    code = sorted(Path(__file__).parent.glob("*.py"))
    folder = checkpoint_folder(paths, "pretrain", fingerprint([params, encoder], [*files, *code]))
    model, tokenizer = prepare_model(texts, located, params, encoder)
    metrics = fit(model, tokenizer, texts, params, encoder, folder, compute)
    write_atomically(output, lambda part: save_encoder(objectives.base_encoder(model), tokenizer, part))
    remove_checkpoints(folder)
    metrics["stereotype"] = measure_stereotypes(model, tokenizer, texts, params, paths)
    return {"objective": params.objective, "from_scratch": params.from_scratch} | metrics


def measure_stereotypes(model: Any, tokenizer: Any, texts: list[str], params: Pretrain, paths: Paths) -> dict[str, Any]:
    """How far the trained encoder prefers stereotypes, as metrics.

    Only mlm leaves a head that gives the probability of a word; otherwise the score is null and has a reason.
    """
    if params.objective != "mlm":
        return {"score": None, "reason": NO_MLM_HEAD.format(params.objective)}
    pairs = stereotypes.read_pairs(paths.root / "data" / "identity_terms" / stereotypes.FILE)
    return stereotypes.measure_preference(model, tokenizer, pairs, stereotypes.detect_language(texts))


def draw_texts(columns: Iterable[Iterable[str]], params: Pretrain) -> list[str]:
    """The distinct texts of some columns in an order drawn with the seed, at most ``params.max_rows``.

    Raises UserError when there are too few to hold some out and train on the rest.
    """
    texts = list(dict.fromkeys(text for column in columns for text in column))
    if len(texts) < 4:
        raise UserError(
            f"pretrain.objective: expected at least 4 distinct texts to train on, found {len(texts)}; "
            "bring more raw text, or set it to none"
        )
    order = np.random.default_rng(params.seed).permutation(len(texts))
    return [texts[i] for i in order[: params.max_rows]]


def prepare_model(texts: list[str], located: Path | None, params: Pretrain, encoder: Encoder) -> tuple[Any, Any]:
    """The model that computes the objective's loss, and its tokenizer; new weights are drawn with the seed."""
    from transformers import set_seed

    set_seed(params.seed)
    if located is None:
        tokenizer = new_encoder.train_tokenizer(texts, params.scratch, encoder.max_length)
        config = new_encoder.create_config(tokenizer, params, encoder.max_length)
    else:
        tokenizer = encoders.load_tokenizer(located)
        dropouts = encoders.dropout_overrides(located, params.dropout)
        config = encoders.load_config(located, **dropouts)
    if params.packing:
        require_packable(config, "pretrain")
    return objectives.create_model(config, located, params, encoder.pooling), tokenizer


def count_trainers(params: Pretrain, compute: Compute) -> int:
    """How many workers train. Raises UserError if they cannot share the batches of a step, or these are packed."""
    workers = ray_training.count_trainers(compute, compute.pretrain_workers, params, "pretrain")
    if workers > 1 and params.packing:
        raise UserError(
            f"compute.pretrain_workers: expected 1 where pretrain.packing is true, found {workers}; change one of them"
        )
    return workers


def fit(
    model: Any, tokenizer: Any, texts: list[str], params: Pretrain, encoder: Encoder, folder: Path, compute: Compute
) -> dict[str, Any]:
    """Train ``model`` in place; measure its loss, before and after, on texts that it never trains on."""
    data, lengths = prepare_data(tokenizer, texts, params, encoder)
    build = partial(trainer.build, model, data, params, folder)
    run = build()
    workers = count_trainers(params, compute)
    with attention_within_texts(model) if params.packing else nullcontext():
        before = run.evaluate()["eval_loss"]
        points = ray_training.train(build, run, params, compute, workers)
        after = run.evaluate()["eval_loss"]
    losses = [point["loss"] for point in points if "loss" in point]
    held_out = len(data.evaluation)
    return {
        "rows": len(texts) - held_out,
        "held_out_rows": held_out,
        "tokens": sum(lengths[held_out:]),
        "steps": run.state.global_step,
        "first_loss": round(losses[0], 6),
        "last_loss": round(losses[-1], 6),
        "held_out_loss_before": round(before, 6),
        "held_out_loss_after": round(after, 6),
    }


def prepare_data(
    tokenizer: Any, texts: list[str], params: Pretrain, encoder: Encoder
) -> tuple[TrainingData, list[int]]:
    """The batches of the training, the first texts held out for its evaluations; and the tokens of each text."""
    rows, words = objectives.tokenise(texts, tokenizer, encoder.max_length)
    lengths = [len(row) for row in rows]
    held_out = min(MAX_HELD_OUT, max(1, round(HELD_OUT_SHARE * len(texts))))
    trained = list(range(held_out, len(rows)))
    if params.packing:
        batches = schedule_packed_batches(trained, lengths, params, encoder.max_length)
    else:
        batches = schedule_batches(trained, lengths, params)
    collate = objectives.make_collator(rows, words, tokenizer, params, encoder.max_length)
    return TrainingData(batches, evaluation_batches(list(range(held_out)), lengths), collate), lengths


def save_encoder(encoder: Any, tokenizer: Any, folder: Path) -> None:
    """Write the base encoder, without the objective's head, and its tokenizer."""
    encoder.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
