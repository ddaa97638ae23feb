"""The stage: files in, rounds of self-training, files out.

    python -m pipeline.stages.pseudo_label

Reads data/ingest/{train,validation,unlabelled}.parquet and labels.json, the augmented rows of synonyms, back_translate
and swaps, and data/pretrain/encoder; writes data/pseudo_label/train.parquet (class names and accepted pool rows),
head.safetensors (the teacher's linear heads over vectors and words), held_out.parquet (logits of rows whose label the
teacher had not seen), rounds.csv, rounds.png, classes.csv, groups.csv and metrics.json.
"""

from collections.abc import Sequence
from dataclasses import replace as replace_fields
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.core import table
from pipeline.core.errors import UserError
from pipeline.core.params import Encoder, Mitigation, PseudoLabel
from pipeline.core.stage import Metrics, Paths, main, replace
from pipeline.mitigation.group_codes import numbers
from pipeline.models.embeddings import embed
from pipeline.stages.pseudo_label import audit, cross_validation, round_selection, views, words
from pipeline.stages.pseudo_label.rounds import FIRST_TRUST, Round, TeacherEstimate, label_in_rounds
from pipeline.stages.pseudo_label.seeds import gather, gather_pool
from pipeline.stages.pseudo_label.spread import NoSpreading
from pipeline.stages.pseudo_label.teacher import Seeds, Teacher, Texts, teach
from pipeline.stages.pseudo_label.views import See, View


def run(params: PseudoLabel, encoder: Encoder, mitigation: Mitigation, paths: Paths) -> Metrics:
    """Label the pool by the rounds that held-out labels or the views speak for, and write a head for the student."""
    seeds, labels = gather(paths, params)
    if not seeds["weight"].gt(0).any():
        raise UserError(
            "pseudo_label.class_names: expected gold rows or class names of some weight to learn from, found none; "
            "label some rows, or set it to true and class_name_weight above 0"
        )
    pool = gather_pool(paths)
    pool = pool if params.teacher != "none" else pool.iloc[:0]
    validation = table.read(paths.data("ingest") / "validation.parquet")
    tables = [seeds, pool, validation]
    groups = numbers(tables, mitigation.attributes) if mitigation.reweighing else [None] * 3
    own, see, idf = look(tables, groups, labels, params, encoder, paths)
    truth = validation["label"].map(labels.index).to_numpy(dtype=int)
    judged = round_selection.judge(seeds, truth, see, len(labels), params)
    if not judged.names:
        seeds = cross_validation.silenced(seeds)
    trained, view = cross_validation.everything(seeds, see)
    rounds = label_in_rounds(trained, view.pool, view.spread, len(labels), judged.belief, params)
    kept = judged.best
    write(rounds[kept], seeds, pool, labels, params, paths)  # a row of no weight is not learned from
    shipped = student_head(rounds[kept], own, trained, len(labels), judged.belief, params)
    write_head(shipped, idf, paths.data("pseudo_label") / "head.safetensors")
    ids = (validation if judged.by == "validation" else seeds)["id"]
    scores = audit.held_out_scores(judged, ids, labels)
    replace(paths.data("pseudo_label") / "held_out.parquet", lambda part: scores.to_parquet(part, index=False))
    audit.write(rounds, kept, judged, pool, labels, paths.data("pseudo_label"))
    views.clear(paths)
    return audit.metrics(rounds, kept, judged, len(pool), ships_teacher=params.teacher not in views.OTHER_VECTORS)


def look(
    tables: list[pd.DataFrame],
    groups: Sequence[np.ndarray | None],
    labels: list[str],
    params: PseudoLabel,
    encoder: Encoder,
    paths: Paths,
) -> tuple[View, See, np.ndarray | None]:
    """The view by the student's own encoder, the way that the teacher of the params sees, and the words' frequencies.

    ``tables`` are the seeds, the pool and the validation rows; ``groups`` the numbers of their groups, where they set
    weights.
    """
    folder = paths.data("pretrain") / "encoder"
    texts = [text for rows in tables for text in rows["text"]]
    heard = params.words.mix_weights or params.teacher == "latent"
    idf, features = word_features(texts, len(tables[2]), folder, encoder) if heard else (None, None)
    ends = np.cumsum([0, *map(len, tables)])
    parts = [None if features is None else features[a:b] for a, b in pairwise(ends)]
    blanks = [Texts(np.zeros((len(t), 0)), *both) for t, *both in zip(tables, parts, groups, strict=True)]
    seeds, pool, validation = blanks
    blank = View(seeds, pool, validation, NoSpreading())
    own = views.look(embed(texts, folder, encoder, paths), blank, len(labels), params)
    if params.teacher == "finetuned":
        return own, views.fine_tuned(own, tables[0], texts, folder, labels, encoder, params, paths), idf
    if params.teacher == "latent":
        return own, views.as_they_are(views.latent(own, len(labels), params)), idf
    return own, views.as_they_are(own), idf


def word_features(texts: list[str], held: int, folder: Path, encoder: Encoder) -> tuple[np.ndarray, Any]:
    """Inverse frequency of each token, (vocabulary,), and the features of the texts, sparse (rows, tokens that count).

    The last ``held`` texts have no say in the frequencies.
    """
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, use_fast=True)
    tokens = tokenizer(texts, truncation=True, max_length=encoder.max_length)["input_ids"]
    idf = words.inverse_frequency(tokens[: len(tokens) - held], len(tokenizer), tokenizer.all_special_ids)
    return idf, words.features(tokens, idf)


def student_head(
    kept: Round, own: View, trained: Seeds, classes: int, belief: TeacherEstimate, params: PseudoLabel
) -> Teacher:
    """The teacher that the student starts from: on the vectors of its own encoder, whatever the kept one looked at."""
    if params.teacher not in views.OTHER_VECTORS:
        return kept.teacher
    seeds = replace_fields(trained, texts=own.seeds).join(own.pool.pick(kept.rows), kept.labels)
    trust = belief.trust if len(kept.rows) else FIRST_TRUST
    return teach(seeds, own.pool, classes, params.inverse_l2, params.words, trust, kept.teacher.part)


def write(
    kept: Round, seeds: pd.DataFrame, pool: pd.DataFrame, labels: list[str], params: PseudoLabel, paths: Paths
) -> None:
    """The rows that the student learns from beside gold and augmented ones: class names and accepted pool rows."""
    names = seeds[seeds["origin"].eq("class_name")]
    accepted = pool.iloc[kept.rows].assign(
        label=[labels[i] for i in kept.labels], origin="pseudo", weight=params.weight, confidence=kept.confidence
    )
    table.write(pd.concat([names, accepted]), paths.data("pseudo_label") / "train.parquet")


def write_head(teacher: Teacher, idf: np.ndarray | None, path: Path) -> None:
    """``weight`` (classes, width) and ``bias`` (classes,), float32, classes in the order of labels.json.

    Where the teacher listens to words, ``words`` (vocabulary, classes) and ``idf`` (vocabulary,) too: the student's
    logits are the sum of both views.
    """
    from safetensors.numpy import save_file

    own, part = np.float32(1 - teacher.part), np.float32(teacher.part)
    content: dict[str, np.ndarray] = {"weight": own * teacher.probe.weight, "bias": own * teacher.probe.bias}
    if teacher.words is not None and idf is not None:
        words = np.zeros((len(idf), len(teacher.words.bias)), dtype=np.float32)
        words[idf > 0] = part * teacher.words.table
        content |= {"bias": content["bias"] + part * teacher.words.bias, "words": words, "idf": idf}
    replace(path, lambda file: save_file(content, file))


if __name__ == "__main__":
    main(run, "encoder", "mitigation")
