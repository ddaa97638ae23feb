"""The stage itself: corpus in, encoder folder out."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.core import table
from pipeline.core.errors import UserError
from pipeline.core.params import Encoder, Pretrain
from pipeline.core.stage import Metrics, Paths, replace
from pipeline.models import encoder as encoders
from pipeline.stages.pretrain import objectives, scratch, stereotypes
from pipeline.training import trainer

HEADLESS = "not applicable: pretrain.objective {} trains no masked-language head"
HELD_OUT = 0.05  # of the texts, to measure the loss on before and after
MAX_HELD_OUT = 500
# What an encoder needs; a folder or package may carry other formats of the same weights beside it.
KEPT = (
    *("config.json", "*.safetensors", "*.safetensors.index.json", "tokenizer.json", "tokenizer_config.json"),
    *("special_tokens_map.json", "added_tokens.json", "vocab.txt", "vocab.json", "merges.txt", "*.model"),
)


def run(params: Pretrain, encoder: Encoder, paths: Paths) -> Metrics:
    """Train as ``params.objective`` says and write the encoder; with ``none``, hand the located one on unchanged."""
    place = paths.data("pretrain") / "encoder"
    source = encoders.locate(encoder)  # evaluate compares with it in any case: better to miss it now
    if params.objective == "none":
        replace(place, lambda part: copy(source, part))
        counts = {"objective": "none", "from_scratch": False, "rows": 0, "tokens": 0, "steps": 0}
        return counts | {"stereotype": {"score": None, "reason": HEADLESS.format("none")}}
    sources = [paths.data("ingest") / f"{name}.parquet" for name in ("train", "unlabelled")]
    texts = corpus([table.read(path)["text"] for path in sources], params)
    located = None if params.from_scratch else source
    files = sources if located is None else [*sources, *sorted(located.glob("*.safetensors"))]
    code = sorted(Path(__file__).parent.glob("*.py"))
    folder = trainer.checkpoints(paths, "pretrain", trainer.fingerprint([params, encoder], [*files, *code]))
    model, tokenizer = start(texts, located, params, encoder)
    metrics = fit(model, tokenizer, texts, params, encoder, folder)
    replace(place, lambda part: save(objectives.base(model), tokenizer, part))
    trainer.clear(folder)
    metrics["stereotype"] = stereotype(model, tokenizer, texts, params, paths)
    return {"objective": params.objective, "from_scratch": params.from_scratch} | metrics


def stereotype(model: Any, tokenizer: Any, texts: list[str], params: Pretrain, paths: Paths) -> dict[str, Any]:
    """How far the trained encoder leans to stereotypes; only mlm leaves it a head that says which word is likelier."""
    if params.objective != "mlm":
        return {"score": None, "reason": HEADLESS.format(params.objective)}
    pairs = stereotypes.read(paths.root / "data" / "identity_terms" / stereotypes.FILE)
    return stereotypes.measure(model, tokenizer, pairs, stereotypes.language(texts))


def copy(source: Path, target: Path) -> None:
    """Config, weights and tokenizer as they are, so that their digest stays the one that params pin."""
    target.mkdir()
    for pattern in KEPT:
        for path in source.glob(pattern):
            shutil.copy(path, target)
    if not (target / "tokenizer.json").exists():  # an older encoder: later stages read the fast tokenizer's file
        from transformers import AutoTokenizer

        AutoTokenizer.from_pretrained(source, local_files_only=True, use_fast=True).save_pretrained(target)


def corpus(columns: list[Any], params: Pretrain) -> list[str]:
    """Distinct texts in a drawn order, at most ``params.max_rows``.

    Raises UserError when too few are left to hold some out and train on the rest.
    """
    texts = list(dict.fromkeys(text for column in columns for text in column))
    if len(texts) < 4:
        raise UserError(
            f"pretrain.objective: expected at least 4 distinct texts to train on, found {len(texts)}; "
            "bring more raw text, or set it to none"
        )
    order = np.random.default_rng(params.seed).permutation(len(texts))
    return [texts[i] for i in order[: params.max_rows]]


def start(texts: list[str], located: Path | None, params: Pretrain, encoder: Encoder) -> tuple[Any, Any]:
    """The model that computes the objective's loss, and its tokenizer; new weights are drawn with the seed."""
    from transformers import AutoConfig, AutoTokenizer, set_seed

    set_seed(params.seed)
    if located is None:
        tokenizer = scratch.train_tokenizer(texts, params.scratch, encoder.max_length)
        config = scratch.config(tokenizer, params, encoder.max_length)
    else:
        tokenizer = AutoTokenizer.from_pretrained(located, local_files_only=True, use_fast=True)
        dropouts = encoders.dropouts(located, params.dropout)
        config = AutoConfig.from_pretrained(located, local_files_only=True, **dropouts)
    return objectives.model(config, located, params, encoder.pooling), tokenizer


def fit(
    model: Any, tokenizer: Any, texts: list[str], params: Pretrain, encoder: Encoder, folder: Path
) -> dict[str, Any]:
    """Train ``model`` in place and measure the loss on texts that it never trains on, before and after."""
    rows, words = objectives.tokenise(texts, tokenizer, encoder.max_length)
    lengths = [len(row) for row in rows]
    held = min(MAX_HELD_OUT, max(1, round(HELD_OUT * len(texts))))
    data = trainer.Data(
        trainer.schedule(list(range(held, len(rows))), lengths, params),
        trainer.held_out(list(range(held)), lengths),
        objectives.collator(rows, words, tokenizer, params),
    )
    run = trainer.build(model, data, params, folder)
    before = run.evaluate()["eval_loss"]
    losses = [point["loss"] for point in trainer.train(run) if "loss" in point]
    after = run.evaluate()["eval_loss"]
    return {
        "rows": len(texts) - held,
        "held_out_rows": held,
        "tokens": sum(lengths[held:]),
        "steps": run.state.global_step,
        "first_loss": round(losses[0], 6),
        "last_loss": round(losses[-1], 6),
        "held_out_loss_before": round(before, 6),
        "held_out_loss_after": round(after, 6),
    }


def save(encoder: Any, tokenizer: Any, folder: Path) -> None:
    """The base encoder without the objective's head, and its tokenizer."""
    encoder.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
