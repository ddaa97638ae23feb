"""Pseudo-labels: heads that are trained on the few labels label the pool in rounds of self-training.

    python -m pipeline.stages.pseudo_label

Reads data/ingest/{train,validation,unlabelled}.parquet and labels.json, the augmented rows of synonyms, back_translate
and swaps, and data/pretrain/encoder; writes data/pseudo_label/train.parquet (class names and accepted pool rows),
head.safetensors (the linear heads over vectors and words), held_out.parquet (logits of rows whose label the heads had
not seen), rounds.csv, rounds.png, classes.csv, groups.csv and metrics.json.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
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
from pipeline.stages.pseudo_label.features import Texts
from pipeline.stages.pseudo_label.heads import Heads, add_words, fit_linear
from pipeline.stages.pseudo_label.rounds import (
    LEADS,
    SEED_WEIGHT,
    WORDS_PART,
    Round,
    Seeds,
    SelfTraining,
    estimate_class_shares,
    train_in_rounds,
)
from pipeline.stages.pseudo_label.spread import Spread, build_spread

# Fewer validation rows cannot tell a gain from chance where gold rows could: the standard error of an accuracy of 0.7
# on 20 rows is 10 points.
MIN_DECISIVE_ROWS = 20
# Kinds of teacher whose vectors are not those of the student's encoder, so that the student needs a head of its own.
TEACHERS_WITH_OTHER_VECTORS = ("latent", "finetuned")


@dataclass(frozen=True)
class View:
    """Seeds, pool and validation rows as a teacher reads them."""

    seeds: Seeds
    pool: Texts
    validation: Texts
    spread: Spread  # over the seeds and the pool rows that heads learn from
    centre: np.ndarray  # (width,) float32: the mean that was removed from the vectors


# Builds the view of a teacher that learns from the seeds at these positions. A fold passes the seeds that it keeps, so
# that no held-out label shapes a vector.
ViewBuilder = Callable[[np.ndarray], View]


def run(params: PseudoLabel, encoder: Encoder, mitigation: Mitigation, paths: Paths) -> Metrics:
    """Label the pool in rounds, keep the last one unless held-out labels speak against it, and write the heads.

    Raises UserError if there is neither a gold row nor a class name.
    """
    rows, labels, names = features.gather_seeds(paths, params.class_names)
    if not rows["weight"].gt(0).any():
        raise UserError(
            "pseudo_label.class_names: expected gold rows or class names to learn from, found none; "
            "label some rows, or set it to true"
        )
    pool = features.gather_pool(paths)
    pool = pool if params.teacher != "none" else pool.iloc[:0]
    validation = table.read(paths.data("ingest") / "validation.parquet")
    learned = draw_learned(len(pool), params)
    student, build_view, idf = build_views(rows, pool, validation, learned, labels, mitigation, encoder, params, paths)
    seeds, is_gold = student.seeds, rows["origin"].eq("gold").to_numpy()
    shares = estimate_class_shares(seeds.labels[is_gold], len(labels))
    truth = validation["label"].map(labels.index).to_numpy(dtype=int)
    decided_by, splits = hold_out(student, rows, is_gold, truth, params)
    doubt = choice.doubt_names(names, answer_by_names(seeds, student.pool, len(labels)))
    lead = choice.choose_lead(seeds, splits, shares, doubt)

    def train(kept: np.ndarray) -> tuple[SelfTraining, View]:
        view = build_view(kept)
        spread = view.spread.restrict(np.concatenate([kept, len(seeds.labels) + np.arange(len(learned))]))
        texts = view.pool.take(learned)
        return train_in_rounds(view.seeds.take(kept), texts, spread, LEADS[lead], shares, params), view

    def train_split(split: choice.Split) -> tuple[SelfTraining, Texts]:
        trained, view = train(split.kept)
        return trained, view.validation if decided_by == "validation" else view.seeds.texts.take(split.held_out)

    trained, view = train(np.arange(len(rows)))
    chosen = choice.choose_round(decided_by, lead, splits, train_split, len(trained.rounds) - 1, len(labels))
    kept = choice.label_the_rest(trained.rounds[chosen.kept_round], learned, view.pool)
    write_training_rows(kept, rows, pool, labels, lead, params, paths)
    ships_teacher = params.teacher not in TEACHERS_WITH_OTHER_VECTORS
    heads = kept.heads if ships_teacher else fit_student_heads(kept, student, lead, shares)
    write_heads(heads, student.centre, idf, paths.data("pseudo_label") / "head.safetensors")
    rounds = [replace(r, rows=learned[r.rows]) for r in trained.rounds]
    rounds[chosen.kept_round] = kept
    ids = (validation if decided_by == "validation" else rows)["id"]
    audit.write_audit(rounds, chosen, pool, labels, ids, paths.data("pseudo_label"))
    features.remove_fine_tuned_encoders(paths)
    return audit.metrics(trained, chosen, len(pool), len(kept.rows), doubt, ships_teacher)


def draw_learned(rows: int, params: PseudoLabel) -> np.ndarray:
    """Positions of the pool rows that heads learn from, (rows,) int in rising order: all, or ``params.pool_limit``."""
    if params.pool_limit is None or rows <= params.pool_limit:
        return np.arange(rows)
    return np.sort(np.random.default_rng(params.seed).choice(rows, params.pool_limit, replace=False))


def build_views(
    seeds: pd.DataFrame,
    pool: pd.DataFrame,
    validation: pd.DataFrame,
    learned: np.ndarray,
    labels: list[str],
    mitigation: Mitigation,
    encoder: Encoder,
    params: PseudoLabel,
    paths: Paths,
) -> tuple[View, ViewBuilder, np.ndarray | None]:
    """The view of the student's encoder, the builder of the teacher's, and the words' frequencies, None without words.

    ``learned`` is (rows,), int: positions of the pool rows that heads learn from. The frequencies are (vocabulary,),
    float32.
    """
    tables = [seeds, pool, validation]
    groups = encode_groups(tables, mitigation.attributes) if mitigation.reweighing else [None] * 3
    folder, ends = paths.data("pretrain") / "encoder", np.cumsum([len(seeds), len(pool)])
    texts = [text for rows in tables for text in rows["text"]]
    idf, words = None, None
    if params.word_view or params.teacher == "latent":
        idf, words = features.read_words(texts, len(validation), folder, encoder, paths)

    def view_of(vectors: np.ndarray) -> View:
        centre = vectors[: ends[1]].mean(axis=0)
        vectors -= centre  # in place: a second copy of the vectors of a large pool does not fit
        cut = np.split(vectors, ends)
        bounds = [0, *ends, len(vectors)]
        parts = [
            Texts(part, words[bounds[i] : bounds[i + 1]] if params.word_view and words is not None else None, groups[i])
            for i, part in enumerate(cut)
        ]
        is_name = seeds["origin"].eq("class_name").to_numpy()
        as_seeds = Seeds(parts[0], seeds["target"].to_numpy(), seeds["weight"].to_numpy(dtype=float), is_name)
        joined = np.concatenate([cut[0], cut[1][learned]])
        return View(as_seeds, parts[1], parts[2], build_spread(joined, len(labels), params), centre)

    student = view_of(features.embed_parts(tables, folder, encoder, paths))
    if params.teacher == "latent":
        latent = view_of(features.latent_vectors(words, len(validation), params))
        return student, lambda kept: latent, idf
    if params.teacher != "finetuned":
        return student, lambda kept: student, idf

    @cache
    def fine_tuned(kept: tuple[int, ...]) -> View:
        tuned = features.fine_tune_encoder(seeds.iloc[list(kept)], folder, labels, encoder, params.finetuned, paths)
        return view_of(features.embed_parts(tables, tuned, encoder, paths))

    return student, lambda kept: fine_tuned(tuple(kept.tolist())), idf


def hold_out(
    view: View, rows: pd.DataFrame, is_gold: np.ndarray, truth: np.ndarray, params: PseudoLabel
) -> tuple[str, list[choice.Split]]:
    """What decides, "validation", "folds" or why nothing does, and the splits.

    Folds of the gold rows decide where there are no validation rows, and where only the gold rows number
    `MIN_DECISIVE_ROWS` at least. ``is_gold`` is (seeds,), bool; ``truth`` is (validation rows,), int: class numbers.
    """
    gold = np.flatnonzero(is_gold)
    if len(truth) and not len(truth) < MIN_DECISIVE_ROWS <= len(gold):
        everything = choice.Split(np.arange(len(rows)), np.arange(len(truth)), view.validation, truth)
        return "validation", [everything]
    splits = choice.split_gold(view.seeds, rows["source_id"].to_numpy(), gold, params)
    return ("folds" if splits else "none: too few gold rows for folds"), splits


def answer_by_names(seeds: Seeds, pool: Texts, classes: int) -> np.ndarray:
    """The class that each pool row gets from class names alone, (rows,) int; empty without names."""
    if not seeds.is_name.any():
        return np.zeros(0, dtype=int)
    return (
        fit_linear(seeds.texts.vectors, seeds.labels, seeds.is_name.astype(float), classes).logits(pool).argmax(axis=1)
    )


def fit_student_heads(kept: Round, student: View, lead: str, shares: np.ndarray) -> Heads:
    """Heads over the vectors of the student's encoder, fitted on the rows of the ``kept`` round.

    ``shares`` is (classes,), float64: the class shares to expect.
    """
    weights = student.seeds.led_by((SEED_WEIGHT, SEED_WEIGHT if LEADS[lead][1] else 0.0), shares)
    texts = student.seeds.texts.join(student.pool.take(kept.rows))
    labels = np.concatenate([student.seeds.labels, kept.labels])
    heads = fit_linear(texts.vectors, labels, np.concatenate([weights, np.ones(len(kept.rows))]), len(shares))
    if kept.heads.table is None:
        return heads
    no_bias = np.zeros(len(shares), dtype=np.float32)
    return add_words(heads, kept.heads.table, no_bias, student.pool.take(kept.rows), WORDS_PART)


def write_training_rows(
    kept: Round,
    seeds: pd.DataFrame,
    pool: pd.DataFrame,
    labels: list[str],
    lead: str,
    params: PseudoLabel,
    paths: Paths,
) -> None:
    """Write the rows that the student learns from beside gold and augmented ones: class names and accepted pool rows.

    Class names have the weight 0 where they are not listened to; the student does not learn from those.
    """
    weight = SEED_WEIGHT if LEADS[lead][1] else 0.0
    names = seeds[seeds["origin"].eq("class_name")].assign(weight=weight)
    accepted = pool.iloc[kept.rows].assign(
        label=[labels[i] for i in kept.labels], origin="pseudo", weight=params.weight, confidence=kept.confidence
    )
    table.write(pd.concat([names, accepted]), paths.data("pseudo_label") / "train.parquet")


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
