"""What held-out labels say: how far the first teacher can be trusted, which part the words get, which round is kept."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from pipeline.core.params import Params, PseudoLabel
from pipeline.stages.pseudo_label import agreement, decisions, round_selection
from pipeline.stages.pseudo_label.cross_validation import folds, stratified_folds
from pipeline.stages.pseudo_label.rounds import TeacherEstimate
from pipeline.stages.pseudo_label.spread import NoSpreading, spread
from pipeline.stages.pseudo_label.teacher import Texts
from pipeline.stages.pseudo_label.views import View, as_they_are
from tests.support.pseudo_texts import cloud, gold, toy, unit

NOBODY = np.zeros(0, int)


@pytest.fixture
def own(params: Callable[..., Params]) -> PseudoLabel:
    return params().pseudo_label


def trusted(vectors: np.ndarray, labels: np.ndarray, own: PseudoLabel) -> float:
    """The trust in a teacher of the first half of the rows, told by the second half as validation rows."""
    half = len(labels) // 2
    view = View(Texts(vectors[:half]), Texts(vectors[:0]), Texts(vectors[half:]), NoSpreading())
    return round_selection.judge(gold(labels[:half]), labels[half:], as_they_are(view), 4, own).belief.trust


def test_a_teacher_that_guesses_gets_no_trust_and_a_perfect_one_all(own: PseudoLabel) -> None:
    random = np.random.default_rng(0)
    vectors, labels = cloud([300] * 4, 0.1)
    mixed = random.permutation(1200)
    assert trusted(vectors[mixed], labels[mixed], own) > 0.95
    assert trusted(unit(random.normal(size=(1200, 16))), random.integers(4, size=1200), own) < 0.1


def test_trust_is_measured_on_gold_rows_that_the_teacher_has_not_seen(own: PseudoLabel) -> None:
    """A label that nothing tells can be learned by heart, which earns no trust."""
    vectors = unit(np.random.default_rng(0).normal(size=(200, 16)))
    nothing = Texts(vectors[:0])
    drawn = np.random.default_rng(1).integers(4, size=200)
    view = View(Texts(vectors), nothing, nothing, NoSpreading())
    assert round_selection.judge(gold(drawn), NOBODY, as_they_are(view), 4, own).belief.trust < 0.15


def test_validation_rows_are_asked_where_there_are_any(own: PseudoLabel) -> None:
    task = toy([4] * 3, [40] * 3, spread=0.6, signal=0.3)
    around = spread(np.concatenate([task.seeds.texts.vectors, task.pool.vectors]), 3, own)
    see = as_they_are(View(task.seeds.texts, task.pool, task.test, around))
    judged = round_selection.judge(gold(task.seeds.labels), task.truth, see, 3, own)
    assert judged.by == "validation"
    assert judged.truth.tolist() == task.truth.tolist()
    assert judged.predicted.shape == (own.rounds + 1, len(task.truth))
    assert judged.right is not None
    assert max(judged.right) / len(task.truth) > 0.9


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_too_few_gold_rows_leave_trust_and_part_to_the_params(own: PseudoLabel, rows: int) -> None:
    vectors, labels = cloud([rows, 0, 0], 0.3)
    nothing = Texts(vectors[:0])
    view = View(Texts(vectors), nothing, nothing, NoSpreading())
    judged = round_selection.judge(gold(labels), NOBODY, as_they_are(view), 3, own)
    assert judged.by.startswith("none")
    assert (judged.best, judged.agreement) == (0, None)  # there is no pool
    assert judged.right is None
    assert judged.belief.temperature == 1
    assert judged.belief.trust == own.teacher_reliability
    assert judged.belief.part == sorted(own.words.mix_weights)[1]


def test_a_fold_that_would_leave_nothing_but_names_is_no_exam(own: PseudoLabel) -> None:
    vectors, labels = cloud([1, 1], 0.3)
    seeds = pd.concat([gold(labels), gold(labels).assign(origin="class_name", source_id=["a", "b"])], ignore_index=True)
    nothing = Texts(vectors[:0])
    see = as_they_are(View(Texts(np.tile(vectors, (2, 1))), nothing, nothing, NoSpreading()))
    for seed in range(8):  # both rows in one fold, or one in each
        judged = round_selection.judge(seeds, NOBODY, see, 2, own.model_copy(update={"folds": 2, "seed": seed}))
        assert (judged.by, len(judged.truth)) in {("none: too few gold rows for folds", 0), ("folds", 2)}


def test_folds_hold_out_a_gold_row_with_everything_that_derives_from_it(own: PseudoLabel) -> None:
    """Every gold row has a twin of the same vector: only a teacher that sees the twin could know its random label."""
    random = np.random.default_rng(0)
    vectors = unit(random.normal(size=(60, 16)))
    seeds = gold(random.integers(2, size=60))
    twins = seeds.assign(origin="synonym")
    nothing = Texts(vectors[:0])
    see = as_they_are(View(Texts(np.tile(vectors, (2, 1))), nothing, nothing, NoSpreading()))
    judged = round_selection.judge(pd.concat([seeds, twins], ignore_index=True), NOBODY, see, 2, own)
    assert judged.right is not None
    assert len(judged.truth) == 60
    assert judged.right[0] / 60 < 0.75


def test_what_a_fold_holds_out_reaches_the_teacher_neither_by_training_nor_by_the_spread(own: PseudoLabel) -> None:
    """The view that a fold looks at has the seeds that it keeps, and labels spread over those and the pool alone."""
    task = toy([8] * 2, [20] * 2, spread=0.3, signal=0.3)
    around = spread(np.concatenate([task.seeds.texts.vectors, task.pool.vectors]), 2, own)
    nothing = task.pool.pick(NOBODY)
    view = View(task.seeds.texts, task.pool, nothing, around)
    asked = []

    def see(kept: np.ndarray) -> View:
        asked.append(kept)
        return view

    exams = list(folds(gold(task.seeds.labels), np.arange(16), see, own))
    assert len(exams) == own.folds
    assert sorted(np.concatenate([exam.answers for exam in exams])) == [0] * 8 + [1] * 8
    for kept, exam in zip(asked, exams, strict=True):
        assert len(exam.seeds.labels) == len(kept) == 16 - len(exam.asked)
        shared = (exam.asked.vectors[:, None] == exam.seeds.texts.vectors[None]).all(axis=2)
        assert not shared.any()
        rows = np.full((len(kept) + len(task.pool), 2), 0.5)
        assert exam.view.spread.smooth(rows, 0.8).shape == rows.shape


def judged_with_names(vectors: np.ndarray, labels: np.ndarray, names: np.ndarray, own: PseudoLabel) -> TeacherEstimate:
    """What folds of the rows say where the names of four classes stand at these vectors."""
    seeds = gold(np.concatenate([labels, np.arange(4)])).assign(origin=["gold"] * len(labels) + ["class_name"] * 4)
    every, pool = Texts(np.concatenate([vectors, names])), Texts(cloud([50] * 4, 0.6, seed=1)[0])
    around = spread(np.concatenate([every.vectors, pool.vectors]), 4, own)
    see = as_they_are(View(every, pool, Texts(vectors[:0]), around))
    return round_selection.judge(seeds, NOBODY, see, 4, own).belief


def test_names_that_tell_the_classes_choose_the_rows_of_round_1_unless_params_say_no(own: PseudoLabel) -> None:
    vectors, labels = cloud([8] * 4, 0.6)
    names = unit(np.stack([vectors[labels == label].mean(axis=0) for label in range(4)]))
    assert judged_with_names(vectors, labels, names, own).names_first
    assert not judged_with_names(vectors, labels, names, own.model_copy(update={"names_first": False})).names_first


def test_names_that_tell_nothing_do_not_choose_the_rows_of_round_1(own: PseudoLabel) -> None:
    vectors, labels = cloud([8] * 4, 0.6)
    nowhere = unit(np.random.default_rng(5).normal(size=(4, 16)))
    assert not judged_with_names(vectors, labels, nowhere, own).names_first


@pytest.mark.parametrize("rows", [1, 2, 4])  # gold rows of each of three classes: none to hold out, 6 and 12
@pytest.mark.parametrize("weight", [5.0, 0.0])
def test_few_held_out_rows_leave_it_to_the_views_who_leads(
    own: PseudoLabel, monkeypatch: pytest.MonkeyPatch, rows: int, weight: float
) -> None:
    """The names are texts like any other, which know as much as a gold row; held-out rows are not asked for that."""

    def asked(*_: object) -> bool:
        raise AssertionError

    monkeypatch.setattr(decisions, "know_enough", asked)
    monkeypatch.setattr(agreement, "ahead", lambda led, plain: -0.9)
    task = toy([rows + 1] * 3, [200] * 3, spread=0.3, signal=0.6)
    labels = task.seeds.labels
    names = np.append(True, labels[1:] != labels[:-1])  # the first row of each class
    seeds = gold(labels).assign(origin=np.where(names, "class_name", "gold"), weight=np.where(names, weight, 5.0))
    around = spread(np.concatenate([task.seeds.texts.vectors, task.pool.vectors]), 3, own)
    see = as_they_are(View(task.seeds.texts, task.pool, task.pool.pick(NOBODY), around))
    judged = round_selection.judge(seeds, NOBODY, see, 3, own.model_copy(update={"folds": 4}))
    assert len(judged.truth) == (0 if rows == 1 else 3 * rows)
    assert not judged.doubted
    assert judged.best == own.rounds
    assert judged.belief.names_first == (weight > 0)


@pytest.mark.parametrize(("rows", "by"), [(6, "validation"), (10, "folds")])
def test_a_few_validation_rows_judge_only_where_gold_rows_are_few_too(own: PseudoLabel, rows: int, by: str) -> None:
    task = toy([rows] * 2, [50] * 2, spread=0.3, signal=0.6, test=4)
    around = spread(np.concatenate([task.seeds.texts.vectors, task.pool.vectors]), 2, own)
    see = as_they_are(View(task.seeds.texts, task.pool, task.test, around))
    judged = round_selection.judge(gold(task.seeds.labels), task.truth, see, 2, own)
    assert judged.by == by
    assert len(judged.truth) == (8 if by == "validation" else 20)


def test_stratified_folds_spread_each_class() -> None:
    labels = np.repeat([0, 1, 2], [8, 4, 1])
    fold_of = stratified_folds(labels, 4, seed=0)
    assert np.bincount(fold_of[labels == 0]).tolist() == [2, 2, 2, 2]
    assert np.bincount(fold_of[labels == 1]).tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize("shift", [0, 1])
def test_names_of_classes_are_heard_unless_they_clearly_hurt(own: PseudoLabel, shift: int) -> None:
    """Names that mean what they say stand beside their class; with the shift, each stands beside another one's."""
    vectors, labels = cloud([12] * 4, 0.8)
    means = unit(np.stack([vectors[labels == (label + shift) % 4].mean(axis=0) for label in range(4)]))
    seeds = gold(np.concatenate([labels, np.arange(4)])).assign(origin=["gold"] * 48 + ["class_name"] * 4)
    seeds.loc[seeds["origin"].eq("class_name"), "weight"] = 60.0
    pool, nothing = Texts(cloud([50] * 4, 0.8, seed=1)[0]), Texts(vectors[:0])
    every = Texts(np.concatenate([vectors, means]))
    around = spread(np.concatenate([every.vectors, pool.vectors]), 4, own)
    judged = round_selection.judge(seeds, NOBODY, as_they_are(View(every, pool, nothing, around)), 4, own)
    assert judged.names == (shift == 0)
    assert judged.right is not None
    assert max(judged.right) / 48 > 0.7


# Rows of each of two classes to hold out: folds ask for four in all, and from 20 on they decide alone.
@pytest.mark.parametrize("rows", [1, 4, 10])
@pytest.mark.parametrize("signal", [0.0, 0.6])  # share of the words that tell the classes apart
def test_where_few_rows_are_held_out_no_round_is_kept_unless_the_views_agree(
    own: PseudoLabel, monkeypatch: pytest.MonkeyPatch, rows: int, signal: float
) -> None:
    """The last round is always chosen where any may be; words alone make the difference."""
    monkeypatch.setattr(decisions, "best", lambda scores, patience: len(scores) - 1)
    monkeypatch.setattr(decisions, "last_unless_harmed", lambda right: len(right) - 1)
    monkeypatch.setattr(round_selection, "clearly_better", lambda one, other: False)
    task = toy([rows] * 2, [300] * 2, spread=0.4, signal=signal)
    judged = task.judge(own)
    few = rows < 10
    assert (judged.agreement is not None) == few
    if few:
        assert judged.agreement is not None
        assert (judged.agreement >= own.min_agreement) == (signal > 0)
    assert (judged.best > 0) == (signal > 0 or not few)
    assert task.judge(own.model_copy(update={"min_agreement": 0.0})).best > 0


@pytest.mark.parametrize(("harmed", "kept"), [(0, 5), (1, 5), (2, 0)])
def test_where_few_rows_are_held_out_and_the_views_agree_the_last_round_is_kept_unless_they_are_clearly_against_it(
    own: PseudoLabel, monkeypatch: pytest.MonkeyPatch, harmed: int, kept: int
) -> None:
    """Of eight rows that round 0 has right, the last round has so many wrong; its Brier score is the worst, too."""
    logits = np.eye(2)[np.arange(8) % 2]  # each fold asks for one row of each class
    worse = np.where(np.arange(8)[:, None] < harmed, 1 - logits, logits * 0.1)
    monkeypatch.setattr(
        round_selection, "answers", lambda runs, number, part: worse if number == own.rounds else logits
    )
    judged = toy([4] * 2, [100] * 2, spread=0.3, signal=0.6).judge(own)
    assert judged.right == [8] * own.rounds + [8 - harmed]
    assert not judged.doubted
    assert judged.best == kept


def test_without_a_second_view_there_is_nobody_to_ask_where_few_rows_are_held_out(own: PseudoLabel) -> None:
    silent = own.model_copy(update={"words": own.words.model_copy(update={"mix_weights": []})})
    for rows in (1, 4):
        judged = toy([rows] * 2, [50] * 2, spread=0.4, signal=0.6).judge(silent)
        assert (judged.best, judged.agreement, judged.doubted) == (0, None, True)
    assert not toy([10] * 2, [50] * 2, spread=0.4, signal=0.6).judge(silent).doubted
    assert not toy([1] * 2, [50] * 2, spread=0.4, signal=0.6).judge(own.model_copy(update={"min_agreement": 0})).doubted
