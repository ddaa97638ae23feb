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
from pipeline.pseudo_label import audit, held_out, teacher
from pipeline.pseudo_label.probe import Probe, Seeds, fit
from pipeline.pseudo_label.rounds import Round, label_in_rounds
from pipeline.pseudo_label.seeds import gather
from pipeline.pseudo_label.teacher import See, Vectors
from pipeline.stage import Metrics, Paths, main, replace


def run(params: PseudoLabel, encoder: Encoder, paths: Paths) -> Metrics:
    """Label the pool by the rounds that held-out labels speak for, and write a linear head for the student."""
    seeds, labels = gather(paths, params)
    if seeds.empty:
        raise UserError(
            "pseudo_label.class_names: expected gold rows or class names to learn from, found neither; "
            "label some rows or set it to true"
        )
    pool = table.read(paths.data("ingest") / "unlabelled.parquet")
    pool = pool if params.teacher != "none" else pool.iloc[:0]
    validation = table.read(paths.data("ingest") / "validation.parquet")
    own, see = look(seeds, pool, validation, labels, params, encoder, paths)
    truth = validation["label"].map(labels.index).to_numpy(dtype=int)
    judged = held_out.judge(seeds, truth, see, len(labels), params)
    everything = np.arange(len(seeds))
    vectors = see(everything)
    trained = held_out.chosen(seeds, vectors, everything)
    rounds = label_in_rounds(trained, vectors.pool, len(labels), judged.temperature, params)
    kept = judged.best if judged.best is not None else len(rounds) - 1
    write(rounds[kept], seeds, pool, labels, params, paths)
    write_head(head(rounds[kept], own, trained, len(labels), params), paths.data("pseudo_label") / "head.safetensors")
    history = audit.table_of(rounds, judged, labels)
    replace(paths.data("pseudo_label") / "rounds.csv", lambda part: history.to_csv(part, index=False))
    replace(paths.data("pseudo_label") / "rounds.png", lambda part: audit.draw(history, kept, part))
    teacher.clear(paths)
    return audit.metrics(rounds, kept, judged, len(pool))


def look(
    seeds: pd.DataFrame,
    pool: pd.DataFrame,
    validation: pd.DataFrame,
    labels: list[str],
    params: PseudoLabel,
    encoder: Encoder,
    paths: Paths,
) -> tuple[Vectors, See]:
    """The vectors of the student's own encoder, and the way that the teacher of the params sees the texts."""
    folder = paths.data("pretrain") / "encoder"
    groups = (seeds["text"].tolist(), pool["text"].tolist(), validation["text"].tolist())
    texts = [text for group in groups for text in group]
    own = Vectors(*teacher.split(embed(texts, folder, encoder, paths), groups))
    if params.teacher == "finetuned":
        return own, teacher.fine_tuned(seeds, groups[1:], folder, labels, encoder, params.finetuned, paths)
    return own, teacher.as_they_are(own)


def head(kept: Round, own: Vectors, trained: Seeds, classes: int, params: PseudoLabel) -> Probe:
    """A probe for the student to start from: on the vectors of its own encoder, whatever the teacher looked at."""
    if params.teacher != "finetuned":
        return kept.probe
    return fit(
        np.concatenate([own.seeds, own.pool[kept.rows]]),
        np.concatenate([trained.labels, kept.labels]),
        np.concatenate([trained.weights, np.ones(len(kept.rows))]),
        classes,
        params.c,
    )


def write(
    kept: Round, seeds: pd.DataFrame, pool: pd.DataFrame, labels: list[str], params: PseudoLabel, paths: Paths
) -> None:
    """The rows that the student learns from beside gold and augmented ones: class names and accepted pool rows."""
    names = seeds[seeds["origin"] == "class_name"].assign(weight=params.class_name_weight)
    accepted = pool.iloc[kept.rows].assign(
        label=[labels[i] for i in kept.labels], origin="pseudo", weight=params.weight, confidence=kept.confidence
    )
    table.write(pd.concat([names, accepted]), paths.data("pseudo_label") / "train.parquet")


def write_head(probe: Probe, path: Path) -> None:
    """``weight`` (classes, width) and ``bias`` (classes,), float32, classes in the order of labels.json."""
    from safetensors.numpy import save_file

    replace(path, lambda part: save_file({"weight": probe.weight, "bias": probe.bias}, part))


if __name__ == "__main__":
    main(run, "encoder")
