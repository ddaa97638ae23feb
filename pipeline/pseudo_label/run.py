"""The stage: files in, rounds of self-training, files out.

    python -m pipeline.pseudo_label

Reads data/ingest/{train,validation,unlabelled}.parquet and labels.json, the augmented rows of synonyms and
back_translate, and data/pretrain/encoder; writes data/pseudo_label/train.parquet (class names and accepted pool rows),
head.safetensors (the teacher's linear head), rounds.csv, rounds.png and metrics.json.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from pipeline import table
from pipeline.embeddings import embed
from pipeline.errors import UserError
from pipeline.params import Encoder, PseudoLabel
from pipeline.pseudo_label import audit, held_out
from pipeline.pseudo_label.probe import Probe, Seeds
from pipeline.pseudo_label.rounds import Round, label_in_rounds
from pipeline.pseudo_label.seeds import gather
from pipeline.stage import Metrics, Paths, main, replace


def run(params: PseudoLabel, encoder: Encoder, paths: Paths) -> Metrics:
    """Label the pool by the rounds that held-out labels speak for, and write the teacher's head."""
    rows, labels = gather(paths, params)
    if rows.empty:
        raise UserError(
            "pseudo_label.class_names: expected gold rows or class names to learn from, found neither; "
            "label some rows or set it to true"
        )
    pool = table.read(paths.data("ingest") / "unlabelled.parquet")
    validation = table.read(paths.data("ingest") / "validation.parquet")
    folder = paths.data("pretrain") / "encoder"
    texts = [*rows["text"], *pool["text"], *validation["text"]]
    vectors = np.split(embed(texts, folder, encoder, paths), np.cumsum([len(rows), len(pool)]))
    seeds = Seeds(vectors[0], numbers(rows, labels), rows["weight"].to_numpy(), rows["source_id"].to_numpy(str))
    usable = pool if params.teacher != "none" else pool.iloc[:0]
    judged = judge(seeds, rows, vectors[1][: len(usable)], (vectors[2], numbers(validation, labels)), labels, params)
    rounds = label_in_rounds(seeds, vectors[1][: len(usable)], len(labels), judged.temperature, params)
    kept = judged.best if judged.best is not None else len(rounds) - 1
    write(rounds[kept], rows, usable, labels, params, paths)
    history = audit.table_of(rounds, judged, labels)
    out = paths.data("pseudo_label")
    replace(out / "rounds.csv", lambda part: history.to_csv(part, index=False))
    replace(out / "rounds.png", lambda part: audit.draw(history, kept, part))
    return audit.metrics(rounds, kept, judged, len(usable))


def numbers(rows: pd.DataFrame, labels: list[str]) -> np.ndarray:
    """Class number of each row."""
    return rows["label"].map({label: i for i, label in enumerate(labels)}).to_numpy(dtype=int)


def judge(
    seeds: Seeds,
    rows: pd.DataFrame,
    pool: np.ndarray,
    validation: held_out.Labelled,
    labels: list[str],
    params: PseudoLabel,
) -> held_out.Judgement:
    """How good each round is on labels it has not seen: on validation rows, or else on folds of the gold ones."""
    gold = (rows["origin"] == "gold").to_numpy()
    if len(validation[1]):
        return held_out.on_validation(seeds, validation, pool, len(labels), params)
    if gold.sum() < max(params.folds, 2):
        return held_out.NO_JUDGEMENT
    return held_out.on_folds(seeds, gold, pool, len(labels), params)


def write(
    kept: Round, rows: pd.DataFrame, pool: pd.DataFrame, labels: list[str], params: PseudoLabel, paths: Paths
) -> None:
    """The rows that the student learns from beside gold and augmented ones, and the teacher's head."""
    names = rows[rows["origin"] == "class_name"].assign(weight=params.class_name_weight)
    chosen = pool.iloc[kept.rows].assign(
        label=[labels[i] for i in kept.labels], origin="pseudo", weight=params.weight, confidence=kept.confidence
    )
    out = paths.data("pseudo_label")
    write_head(kept.probe, out / "head.safetensors")
    table.write(pd.concat([names, chosen]), out / "train.parquet")


def write_head(probe: Probe, path: Path) -> None:
    """``weight`` (classes, width) and ``bias`` (classes,), float32, classes in the order of labels.json."""
    from safetensors.numpy import save_file

    replace(path, lambda part: save_file({"weight": probe.weight, "bias": probe.bias}, part))


if __name__ == "__main__":
    main(run, "encoder")
