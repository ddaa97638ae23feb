"""Pseudo-labels: a teacher that is trained on the few labels labels the pool in rounds of self-training.

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
from pipeline.core.stage import Metrics, Paths, main, write_atomically
from pipeline.mitigation.group_codes import encode_groups
from pipeline.models.open_encoder import open_reader
from pipeline.models.vector_runtime import choose_for_vectors
from pipeline.stages.pseudo_label import audit, cross_validation, round_selection, views, words
from pipeline.stages.pseudo_label.rounds import FIRST_NAIVE_BAYES_WEIGHT, Round, TeacherEstimate, label_in_rounds
from pipeline.stages.pseudo_label.seeds import gather_pool, gather_seeds
from pipeline.stages.pseudo_label.spread import NoSpreading
from pipeline.stages.pseudo_label.teacher import Seeds, Teacher, Texts, fit_teacher
from pipeline.stages.pseudo_label.views import View, ViewBuilder


def run(params: PseudoLabel, encoder: Encoder, mitigation: Mitigation, paths: Paths) -> Metrics:
    """Label the pool in rounds, keep the round that held-out labels or the views choose, and write the student's head.

    Raises UserError if no seed has any weight.
    """
    seeds, labels = gather_seeds(paths, params)
    if not seeds["weight"].gt(0).any():
        raise UserError(
            "pseudo_label.class_names: expected gold rows or class names of some weight to learn from, found none; "
            "label some rows, or set it to true and class_name_weight above 0"
        )
    pool = gather_pool(paths)
    pool = pool if params.teacher != "none" else pool.iloc[:0]
    validation = table.read(paths.data("ingest") / "validation.parquet")
    tables = [seeds, pool, validation]
    groups = encode_groups(tables, mitigation.attributes) if mitigation.reweighing else [None] * 3
    student_view, build_view, idf = build_views(tables, groups, labels, params, encoder, paths)
    truth = validation["label"].map(labels.index).to_numpy(dtype=int)
    choice = round_selection.select_round(seeds, truth, build_view, len(labels), params)
    if not choice.uses_class_names:
        seeds = cross_validation.without_class_names(seeds)
    training, view = cross_validation.all_seeds_and_view(seeds, build_view)
    rounds = label_in_rounds(training, view.pool, view.spread, len(labels), choice.estimate, params)
    kept = rounds[choice.kept_round]
    write_training_rows(kept, seeds, pool, labels, params, paths)
    head = fit_student_head(kept, student_view, training, len(labels), choice.estimate, params)
    write_head(head, idf, paths.data("pseudo_label") / "head.safetensors")
    ids = (validation if choice.decided_by == "validation" else seeds)["id"]
    held_out = audit.held_out_table(choice, ids, labels)
    write_atomically(
        paths.data("pseudo_label") / "held_out.parquet", lambda part: held_out.to_parquet(part, index=False)
    )
    audit.write_audit(rounds, choice, pool, labels, paths.data("pseudo_label"))
    views.remove_fine_tuned_encoders(paths)
    ships_teacher = params.teacher not in views.TEACHERS_WITH_OTHER_VECTORS
    return audit.metrics(rounds, choice, len(pool), ships_teacher)


def build_views(
    tables: list[pd.DataFrame],
    groups: Sequence[np.ndarray | None],
    labels: list[str],
    params: PseudoLabel,
    encoder: Encoder,
    paths: Paths,
) -> tuple[View, ViewBuilder, np.ndarray | None]:
    """The view of the student's encoder, the builder of the teacher's view, and the words' frequencies.

    ``tables`` are the seeds, the pool and the validation rows. ``groups`` are their group codes, (rows, attributes)
    int, where these set weights. The frequencies are (vocabulary,), float32, or None where words are not used.
    """
    folder = paths.data("pretrain") / "encoder"
    texts = [text for rows in tables for text in rows["text"]]
    uses_words = params.words.mix_weights or params.teacher == "latent"
    idf, features = word_features(texts, len(tables[2]), folder, encoder, paths) if uses_words else (None, None)
    ends = np.cumsum([0, *map(len, tables)])
    parts = [None if features is None else features[start:end] for start, end in pairwise(ends)]
    seeds, pool, validation = (
        Texts(np.zeros((len(rows), 0)), part, codes) for rows, part, codes in zip(tables, parts, groups, strict=True)
    )
    without_vectors = View(seeds, pool, validation, NoSpreading())
    vectors = views.embed_parts([rows["text"].tolist() for rows in tables], folder, encoder, paths)
    student_view = views.view_of_vectors(vectors, without_vectors, len(labels), params)
    if params.teacher == "finetuned":
        builder = views.fine_tuned_views(student_view, tables, folder, labels, encoder, params, paths)
    elif params.teacher == "latent":
        builder = views.fixed_view(views.latent_view(student_view, len(labels), params))
    else:
        builder = views.fixed_view(student_view)
    return student_view, builder, idf


def word_features(
    texts: list[str], validation_rows: int, folder: Path, encoder: Encoder, paths: Paths
) -> tuple[np.ndarray, Any]:
    """The inverse document frequency of each token, (vocabulary,) float32, and the sparse features of the texts.

    The features are (rows, tokens that count), float32. The last ``validation_rows`` texts do not count in the
    frequencies, so that nothing is learned from them.
    """
    reader = open_reader(folder, encoder, choose_for_vectors(encoder, pool=True), paths)
    tokens = [ids.tolist() for ids in reader.tokenise(texts)]
    counted = tokens[: len(tokens) - validation_rows]
    idf = words.inverse_document_frequency(counted, reader.tokens, reader.special_ids)
    return idf, words.token_features(tokens, idf)


def fit_student_head(
    kept: Round, student_view: View, training: Seeds, classes: int, estimate: TeacherEstimate, params: PseudoLabel
) -> Teacher:
    """The teacher that the student starts from, over the vectors of the student's encoder.

    It is the teacher of the kept round, or one that is fitted on the same rows where that teacher saw other vectors.
    """
    if params.teacher not in views.TEACHERS_WITH_OTHER_VECTORS:
        return kept.teacher
    seeds = replace_fields(training, texts=student_view.seeds).join(student_view.pool.take(kept.rows), kept.labels)
    naive_bayes_weight = estimate.reliability if len(kept.rows) else FIRST_NAIVE_BAYES_WEIGHT
    return fit_teacher(seeds, student_view.pool, classes, params, naive_bayes_weight, kept.teacher.mix_weight)


def write_training_rows(
    kept: Round, seeds: pd.DataFrame, pool: pd.DataFrame, labels: list[str], params: PseudoLabel, paths: Paths
) -> None:
    """Write the rows that the student learns from beside gold and augmented ones: class names and accepted pool rows.

    Class names of the weight 0 are among them; the student does not learn from those.
    """
    names = seeds[seeds["origin"].eq("class_name")]
    accepted = pool.iloc[kept.rows].assign(
        label=[labels[i] for i in kept.labels], origin="pseudo", weight=params.weight, confidence=kept.confidence
    )
    table.write(pd.concat([names, accepted]), paths.data("pseudo_label") / "train.parquet")


def write_head(teacher: Teacher, idf: np.ndarray | None, path: Path) -> None:
    """Write the tensors ``weight``, (classes, width), and ``bias``, (classes,), float32, in the order of labels.json.

    Where the teacher has words, ``words``, (vocabulary, classes), and ``idf``, (vocabulary,), float32, are written,
    too. The student's logits are the sum of both views.
    """
    from safetensors.numpy import save_file

    probe_weight, words_weight = np.float32(1 - teacher.mix_weight), np.float32(teacher.mix_weight)
    tensors: dict[str, np.ndarray] = {
        "weight": probe_weight * teacher.probe.weight,
        "bias": probe_weight * teacher.probe.bias,
    }
    if teacher.words is not None and idf is not None:
        word_table = np.zeros((len(idf), len(teacher.words.bias)), dtype=np.float32)
        word_table[idf > 0] = words_weight * teacher.words.table
        tensors |= {"bias": tensors["bias"] + words_weight * teacher.words.bias, "words": word_table, "idf": idf}
    write_atomically(path, lambda file: save_file(tensors, file))


if __name__ == "__main__":
    main(run, "encoder", "mitigation")
