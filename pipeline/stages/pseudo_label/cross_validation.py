"""Cross-validation of teachers: splits into seeds and held-out rows, the fitted rounds, and their held-out logits."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from pipeline.core.params import PseudoLabel
from pipeline.core.stage import progress
from pipeline.stages.pseudo_label.rounds import Round, TeacherEstimate, fit_round_0, label_in_rounds
from pipeline.stages.pseudo_label.teacher import Seeds, Texts
from pipeline.stages.pseudo_label.views import View, ViewBuilder


@dataclass(frozen=True)
class HeldOutSplit:
    """The seeds that a teacher learns from, and held-out rows, whose labels it does not see."""

    seeds: Seeds
    view: View
    held_out: Texts
    labels: np.ndarray  # (rows,) int, class numbers
    positions: np.ndarray  # (rows,) int, as in RoundChoice

    def without_class_names(self) -> "HeldOutSplit":
        """The same split without weight for class names; a fine-tuned encoder has still learned from them."""
        return replace(self, seeds=self.seeds.without_class_names())

    def only_class_names(self) -> "HeldOutSplit":
        """The same split with weight for class names only; a fine-tuned encoder has still learned from all seeds."""
        return replace(self, seeds=self.seeds.only_class_names())


@dataclass(frozen=True)
class FittedSplit:
    """The held-out rows of a split, and the rounds that were fitted on its seeds."""

    held_out: Texts
    rounds: list[Round]


def select_seeds(seeds: pd.DataFrame, view: View, kept: np.ndarray) -> Seeds:
    """The seeds at the positions ``kept``, (kept seeds,) int, in this view.

    ``seeds`` has a column ``target``, the class number.
    """
    rows = seeds.iloc[kept]
    return Seeds(view.seeds.take(kept), rows["target"].to_numpy(), rows["weight"].to_numpy(), class_name_mask(rows))


def all_seeds_and_view(seeds: pd.DataFrame, build_view: ViewBuilder) -> tuple[Seeds, View]:
    """All seeds, and the view that is built from those of some weight."""
    view = build_view(np.flatnonzero(seeds["weight"].gt(0)))
    return select_seeds(seeds, view, np.arange(len(seeds))), view


def class_name_mask(seeds: pd.DataFrame) -> np.ndarray:
    """Whether each seed is a class name, (seeds,) bool."""
    return seeds["origin"].eq("class_name").to_numpy()


def without_class_names(seeds: pd.DataFrame) -> pd.DataFrame:
    """The same rows, with the weight 0 for class names."""
    return seeds.assign(weight=seeds["weight"].mask(class_name_mask(seeds), 0.0))


def split_into_folds(
    seeds: pd.DataFrame, gold: np.ndarray, build_view: ViewBuilder, params: PseudoLabel
) -> Iterator[HeldOutSplit]:
    """One split for each fold of the gold rows; rows that derive from a held-out row are left out of its seeds.

    ``gold`` is (gold rows,), int: the positions of the gold rows among the seeds. The pool is labelled anew in each
    split, so that no held-out label reaches the teacher through it. Only the class shares are those of all gold rows.
    """
    labels, sources = seeds["target"].to_numpy(), seeds["source_id"].to_numpy()
    fold_of = assign_stratified_folds(labels[gold], params.folds, params.seed)
    for fold in range(params.folds):
        held_out = gold[fold_of == fold]
        kept = np.flatnonzero(~np.isin(sources, sources[held_out]))
        # A split needs seeds other than class names: without these it would have no teacher once names are left out.
        has_other_seeds = ((seeds["weight"].to_numpy()[kept] > 0) & ~class_name_mask(seeds)[kept]).any()
        if len(held_out) and has_other_seeds:
            view = build_view(kept)
            yield HeldOutSplit(
                seeds=select_seeds(seeds, view, kept),
                view=view.restrict_spread(kept),
                held_out=view.seeds.take(held_out),
                labels=labels[held_out],
                positions=held_out,
            )


def assign_stratified_folds(labels: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """The fold number of each row, (rows,) int: the rows of a class lie in the folds as evenly as possible.

    ``labels`` is (rows,), int: class numbers. The first fold of each class is drawn, so that the extra rows of small
    classes do not all lie in the same fold.
    """
    random = np.random.default_rng(seed)
    fold_of = np.zeros(len(labels), dtype=int)
    for label in np.unique(labels):
        shuffled = random.permutation(np.flatnonzero(labels == label))
        fold_of[shuffled] = (random.integers(folds) + np.arange(len(shuffled))) % folds
    return fold_of


def fit_first_teachers(
    splits: list[HeldOutSplit], classes: int, params: PseudoLabel, mix_weight: float = 0.0
) -> list[FittedSplit]:
    """Round 0 of each split; its teachers have words only where ``mix_weight``, 0 to 1, is above 0."""
    return [
        FittedSplit(split.held_out, [fit_round_0(split.seeds, split.view.pool, classes, params, mix_weight)])
        for split in splits
    ]


def fit_rounds(
    splits: list[HeldOutSplit], classes: int, estimate: TeacherEstimate, params: PseudoLabel
) -> list[FittedSplit]:
    """All rounds of each split."""
    return [
        FittedSplit(
            split.held_out,
            label_in_rounds(split.seeds, split.view.pool, split.view.spread, classes, estimate, params),
        )
        for split in progress(splits, "folds", total=len(splits))
    ]


def held_out_logits(fitted: list[FittedSplit], round_number: int, mix_weight: float) -> np.ndarray:
    """Logits of the teachers of one round on the held-out rows of all splits, (rows, classes) float32.

    The words have ``mix_weight``, 0 to 1, in them. A ``round_number`` of -1 is the last round.
    """
    return np.concatenate([split.rounds[round_number].teacher.logits(split.held_out, mix_weight) for split in fitted])
