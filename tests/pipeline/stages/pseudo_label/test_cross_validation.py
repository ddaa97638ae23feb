"""Splits into seeds and held-out rows: what a fold holds out is hidden from its teacher."""

import numpy as np
import pandas as pd

from pipeline.core.params import PseudoLabel
from pipeline.stages.pseudo_label import round_selection
from pipeline.stages.pseudo_label.cross_validation import assign_stratified_folds, split_into_folds
from pipeline.stages.pseudo_label.spread import NoSpreading, build_spread
from pipeline.stages.pseudo_label.teacher import Texts
from pipeline.stages.pseudo_label.views import View, fixed_view
from tests.support.pseudo_texts import cloud, gold, toy, unit

NO_ROWS = np.zeros(0, int)


def test_a_fold_that_would_leave_only_class_names_as_seeds_is_skipped(pseudo_params: PseudoLabel) -> None:
    vectors, labels = cloud([1, 1], 0.3)
    seeds = pd.concat([gold(labels), gold(labels).assign(origin="class_name", source_id=["a", "b"])], ignore_index=True)
    no_texts = Texts(vectors[:0])
    build_view = fixed_view(View(Texts(np.tile(vectors, (2, 1))), no_texts, no_texts, NoSpreading()))
    for seed in range(8):  # both rows in one fold, or one in each
        choice = round_selection.select_round(
            seeds, NO_ROWS, build_view, 2, pseudo_params.model_copy(update={"folds": 2, "seed": seed})
        )
        assert (choice.decided_by, len(choice.truth)) in {("none: too few gold rows for folds", 0), ("folds", 2)}


def test_rows_that_derive_from_a_held_out_gold_row_are_held_out_too(pseudo_params: PseudoLabel) -> None:
    """Every gold row has a synonym row of the same vector; only a teacher that sees it could know the random label."""
    random = np.random.default_rng(0)
    vectors = unit(random.normal(size=(60, 16)))
    seeds = gold(random.integers(2, size=60))
    synonyms = seeds.assign(origin="synonym")
    no_texts = Texts(vectors[:0])
    build_view = fixed_view(View(Texts(np.tile(vectors, (2, 1))), no_texts, no_texts, NoSpreading()))
    choice = round_selection.select_round(
        pd.concat([seeds, synonyms], ignore_index=True), NO_ROWS, build_view, 2, pseudo_params
    )
    assert choice.right_by_round is not None
    assert len(choice.truth) == 60
    assert choice.right_by_round[0] / 60 < 0.75


def test_held_out_rows_reach_the_teacher_neither_by_training_nor_by_the_spread(
    pseudo_params: PseudoLabel,
) -> None:
    """The view of a fold is built from the seeds that it keeps, and labels spread over these and the pool only."""
    task = toy([8] * 2, [20] * 2, spread=0.3, signal=0.3)
    spread = build_spread(np.concatenate([task.seeds.texts.vectors, task.pool.vectors]), 2, pseudo_params)
    view = View(task.seeds.texts, task.pool, task.pool.take(NO_ROWS), spread)
    kept_by_fold = []

    def build_view(kept: np.ndarray) -> View:
        kept_by_fold.append(kept)
        return view

    splits = list(split_into_folds(gold(task.seeds.labels), np.arange(16), build_view, pseudo_params))
    assert len(splits) == pseudo_params.folds
    assert sorted(np.concatenate([split.labels for split in splits])) == [0] * 8 + [1] * 8
    for kept, split in zip(kept_by_fold, splits, strict=True):
        assert len(split.seeds.labels) == len(kept) == 16 - len(split.held_out)
        shared = (split.held_out.vectors[:, None] == split.seeds.texts.vectors[None]).all(axis=2)
        assert not shared.any()
        rows = np.full((len(kept) + len(task.pool), 2), 0.5)
        assert split.view.spread.smooth(rows, 0.8).shape == rows.shape


def test_stratified_folds_hold_equal_numbers_of_each_class() -> None:
    labels = np.repeat([0, 1, 2], [8, 4, 1])
    fold_of = assign_stratified_folds(labels, 4, seed=0)
    assert np.bincount(fold_of[labels == 0]).tolist() == [2, 2, 2, 2]
    assert np.bincount(fold_of[labels == 1]).tolist() == [1, 1, 1, 1]
