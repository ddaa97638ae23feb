"""Pseudo-labels: heads that are trained on the few labels label the pool in rounds of self-training.

    python -m pipeline.stages.pseudo_label

Reads data/ingest/{train,validation,unlabelled}.parquet and labels.json, the augmented rows of synonyms, back_translate
and swaps, and data/pretrain/encoder; writes data/pseudo_label/train.parquet (class names and accepted pool rows),
head.safetensors (the linear heads over vectors and words), held_out.parquet (logits of rows whose label the heads had
not seen), rounds.csv, rounds.png, classes.csv, groups.csv and metrics.json.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.core import table
from pipeline.core.errors import UserError
from pipeline.core.params import Encoder, Mitigation, PseudoLabel
from pipeline.core.stage import Metrics, Paths, main, write_atomically
from pipeline.mitigation.group_codes import encode_groups
from pipeline.stages.pseudo_label import audit, choice, features
from pipeline.stages.pseudo_label.features import Rows, Texts
from pipeline.stages.pseudo_label.heads import Heads, add_words, fit_linear
from pipeline.stages.pseudo_label.rounds import (
    WORDS_PART,
    Round,
    Seeds,
    SelfTraining,
    estimate_class_shares,
    train_in_rounds,
)
from pipeline.stages.pseudo_label.spread import Spread, build_spread

# Kinds of teacher whose vectors are not those of the student's encoder, so that the student needs a head of its own.
TEACHERS_WITH_OTHER_VECTORS = ("latent", "finetuned")


@dataclass(frozen=True)
class View:
    """All texts as a teacher reads them, and how labels flow between those that heads learn from."""

    texts: Texts
    spread: Spread  # over the seeds and the pool rows that heads learn from


# The view of a teacher that learns from the seeds at these positions. A fold passes the seeds that it keeps, so that no
# held-out label shapes a vector.
ViewBuilder = Callable[[np.ndarray], View]


def run(params: PseudoLabel, encoder: Encoder, mitigation: Mitigation, paths: Paths) -> Metrics:
    """Label the pool in rounds, keep the last one unless held-out labels speak against it, and write the heads.

    Raises UserError if there is neither a gold row nor a class name.
    """
    rows, labels, names = features.gather_rows(paths, params)
    seeds = Seeds.of(rows.table.iloc[: rows.seeds], labels)
    if not seeds.weights.any():
        raise UserError(
            "pseudo_label.class_names: expected gold rows or class names to learn from, found none; "
            "label some rows, or set it to true"
        )
    student, centre, idf, build_view = read_texts(rows, labels, encoder, mitigation, params, paths)
    decided_by, splits = choice.hold_out(rows, seeds, labels, params)
    doubt = choice.doubt_names(names, seeds, student, rows)
    shares = estimate_class_shares(seeds.labels[seeds.is_gold], len(labels))
    lead = choice.choose_lead(student, seeds, splits, shares, doubt)

    def train(kept: np.ndarray) -> tuple[SelfTraining, Texts]:
        view = build_view(kept)
        used = np.concatenate([kept, np.arange(rows.seeds, rows.learned)])
        texts, spread = view.texts.take(used), view.spread.restrict(used)
        return train_in_rounds(texts, seeds.take(kept), spread, lead, shares, params), view.texts

    trained, texts = train(np.arange(rows.seeds))
    chosen = choice.choose_round(decided_by, lead, splits, train, len(trained.rounds) - 1, len(labels))
    kept = choice.label_the_rest(trained.rounds[chosen.kept_round], rows, texts)
    rounds = [kept if number == chosen.kept_round else other for number, other in enumerate(trained.rounds)]
    ships_teacher = params.teacher not in TEACHERS_WITH_OTHER_VECTORS
    heads = kept.heads if ships_teacher else fit_student_heads(kept, student, seeds, lead, shares, rows)
    write_training_rows(kept, rows, seeds.weigh_in_rounds(lead, shares), labels, params, paths)
    write_heads(heads, centre, idf, paths.data("pseudo_label") / "head.safetensors")
    audit.write_audit(rounds, chosen, rows, labels, paths.data("pseudo_label"))
    features.remove_fine_tuned_encoders(paths)
    return audit.metrics(trained, chosen, rows.pool - rows.seeds, len(kept.rows), doubt, ships_teacher)


def read_texts(
    rows: Rows, labels: list[str], encoder: Encoder, mitigation: Mitigation, params: PseudoLabel, paths: Paths
) -> tuple[Texts, np.ndarray, np.ndarray | None, ViewBuilder]:
    """All texts as the student reads them, and what builds the teacher's view of them.

    Between the two are the mean that was removed from the student's vectors, (width,) float32, and the words'
    frequencies, (vocabulary,) float32, None without words.
    """
    folder = paths.data("pretrain") / "encoder"
    groups = encode_groups([rows.table], mitigation.attributes)[0] if mitigation.reweighing else None
    idf, words = None, None
    if params.word_view or params.teacher == "latent":
        idf, words = features.read_words(rows.table["text"].tolist(), rows.pool, folder, encoder, paths)

    def as_texts(vectors: np.ndarray) -> tuple[Texts, np.ndarray]:
        centre = vectors[: rows.pool].mean(axis=0)
        vectors -= centre  # in place: a second copy of the vectors of a large pool does not fit
        return Texts(vectors, words if params.word_view else None, groups), centre

    def as_view(texts: Texts) -> View:
        return View(texts, build_spread(texts.vectors[: rows.learned], len(labels), params))

    student, centre = as_texts(features.embed_rows(rows, folder, encoder, paths))
    if params.teacher == "finetuned":

        @cache
        def fine_tuned(kept: tuple[int, ...]) -> View:
            tuned = features.fine_tune_encoder(
                rows.table.iloc[list(kept)], folder, labels, encoder, params.finetuned, paths
            )
            return as_view(as_texts(features.embed_rows(rows, tuned, encoder, paths))[0])

        return student, centre, idf, lambda kept: fine_tuned(tuple(kept.tolist()))
    teacher = student
    if params.teacher == "latent":
        teacher, _ = as_texts(features.latent_vectors(words, rows.pool, params))
    view = as_view(teacher)
    return student, centre, idf, lambda kept: view


def fit_student_heads(kept: Round, student: Texts, seeds: Seeds, lead: str, shares: np.ndarray, rows: Rows) -> Heads:
    """Heads over the vectors of the student's encoder, fitted on the rows of the ``kept`` round.

    ``shares`` is (classes,), float64: the class shares to expect.
    """
    learned = np.concatenate([np.arange(len(seeds.labels)), kept.rows])
    labels = np.concatenate([seeds.labels, kept.labels])
    weights = np.concatenate([seeds.weigh_in_rounds(lead, shares), np.ones(len(kept.rows))])
    heads = fit_linear(student.vectors[learned], labels, weights, len(shares))
    if kept.heads.table is None:
        return heads
    no_bias = np.zeros(len(shares), dtype=np.float32)
    sample = kept.rows if len(kept.rows) else np.arange(rows.seeds, rows.learned)
    return add_words(heads, kept.heads.table, no_bias, student.take(sample), WORDS_PART)


def write_training_rows(
    kept: Round, rows: Rows, seed_weights: np.ndarray, labels: list[str], params: PseudoLabel, paths: Paths
) -> None:
    """Write the rows that the student learns from beside gold and augmented ones: class names and accepted pool rows.

    ``seed_weights`` is (seeds,), float64. Names that nobody listens to weigh 0: the student does not learn from them.
    """
    seeds = rows.table.iloc[: rows.seeds].assign(weight=seed_weights)
    accepted = rows.table.iloc[kept.rows].assign(
        label=[labels[i] for i in kept.labels], origin="pseudo", weight=params.weight, confidence=kept.confidence
    )
    written = pd.concat([seeds[seeds["origin"].eq("class_name")], accepted])
    table.write(written, paths.data("pseudo_label") / "train.parquet")


def write_heads(heads: Heads, centre: np.ndarray, idf: np.ndarray | None, path: Path) -> None:
    """Write the tensors ``weight``, (classes, width), and ``bias``, (classes,), float32, in the order of labels.json.

    Where there are words, ``words``, (vocabulary, classes), and ``idf``, (vocabulary,), float32, are written, too. The
    student's logits are the sum of both views. ``centre``, (width,), was removed from the vectors, and moves into the
    bias: the student reads vectors as they are.
    """
    from safetensors.numpy import save_file

    tensors = {"weight": heads.weight, "bias": (heads.bias - heads.weight @ centre).astype(np.float32)}
    if heads.table is not None and idf is not None:
        words = np.zeros((len(idf), len(heads.bias)), dtype=np.float32)
        words[idf > 0] = heads.table
        tensors |= {"words": words, "idf": idf}
    write_atomically(path, lambda file: save_file(tensors, file))


if __name__ == "__main__":
    main(run, "encoder", "mitigation")
