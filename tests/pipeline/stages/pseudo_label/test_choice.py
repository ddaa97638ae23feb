"""Choices by held-out rows, and what decides where there are too few of them."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from pipeline.core.params import PseudoLabel
from pipeline.stages.pseudo_label import choice
from pipeline.stages.pseudo_label.features import Rows, Texts
from pipeline.stages.pseudo_label.heads import Heads
from pipeline.stages.pseudo_label.rounds import Round, SelfTraining
from tests.support.pseudo_texts import Toy, toy


def test_the_default_stays_unless_another_option_is_clearly_right_more_often() -> None:
    right = np.arange(20) < 10
    assert choice.choose([right, np.arange(20) < 12]) == 0
    assert choice.choose([right, np.arange(20) < 14]) == 1
    assert choice.choose([right, right, np.arange(20) < 16]) == 2
    assert choice.choose([right[:0], right[:0]]) == 0


def doubt(task: Toy, names: list[str]) -> str:
    """Why these names of the task's classes say little."""
    table = pd.DataFrame(index=range(len(task.texts)))
    seeds = len(task.seeds.labels)
    return choice.doubt_names(names, task.seeds, task.texts, Rows(table, seeds, len(table), len(table)))


def test_names_say_little_that_are_ordinals_or_call_nearly_all_of_the_pool_one_class() -> None:
    names = ["card arrival", "lost card"]
    assert "say nothing" in doubt(toy([2, 2], [20, 20]), ["LABEL_0", "LABEL_1"])
    assert "95%" in doubt(toy([2, 2], [97, 3], spread=0.2), names)
    assert not doubt(toy([2, 2], [90, 10], spread=0.2), names)


def lead(task: Toy, params: PseudoLabel, doubt: str = "") -> str:
    """The lead by folds of the gold rows."""
    splits = choice.split_gold(task.seeds, np.arange(len(task.seeds.labels)).astype(str), params)
    shares = np.full(task.classes, 1 / task.classes)
    return choice.choose_lead(task.texts, task.seeds, splits, shares, doubt)


@pytest.mark.parametrize("gold", [[0] * 8, [1] * 8, [4] * 8])
def test_names_lead_by_default(pseudo_params: PseudoLabel, gold: list[int]) -> None:
    assert lead(toy(gold, [5] * 8), pseudo_params) == "names"


@pytest.mark.parametrize("gold", [1, 2, 8])
def test_names_of_other_classes_do_not_lead_where_labels_can_notice(pseudo_params: PseudoLabel, gold: int) -> None:
    assert lead(toy([gold] * 8, [5] * 8, wrong=True), pseudo_params) != "names"


def test_doubted_names_do_not_lead_and_are_heard_only_where_a_class_has_no_row(pseudo_params: PseudoLabel) -> None:
    assert lead(toy([4, 4], [5, 5]), pseudo_params, "they say nothing") == "no names"
    assert lead(toy([0, 4], [5, 5]), pseudo_params, "they say nothing") == "gold"


def test_a_split_leaves_out_what_derives_from_a_held_out_row(pseudo_params: PseudoLabel) -> None:
    seeds = toy([8, 8], [5, 5]).seeds
    sources = np.array([f"text {i // 2}" for i in range(18)])  # rows 0 and 1 are of one text, and so on
    every_other = replace(seeds, is_gold=np.arange(18) % 2 == 0)  # of the gold rows; the rest derives from them
    every_other.is_gold[16:] = False
    splits = choice.split_gold(every_other, sources, pseudo_params)
    assert sorted(np.concatenate([split.held_out for split in splits]).tolist()) == list(range(0, 16, 2))
    assert all(not set(sources[split.kept]) & set(sources[split.held_out]) for split in splits)
    assert choice.split_gold(toy([4, 3], [5, 5]).seeds, np.arange(9).astype(str), pseudo_params) == []


def trained(*biases: list[float]) -> SelfTraining:
    """Rounds whose heads answer all texts alike."""
    rows = np.arange(2)
    heads = [Heads(np.zeros((2, 1), np.float32), np.array(bias, np.float32)) for bias in biases]
    return SelfTraining([Round(rows, rows, rows + 0.5, np.full(2, 0.5), head) for head in heads], 0.5, 0)


@pytest.mark.parametrize(("label", "kept"), [(0, 0), (1, 1)])
def test_no_pseudo_labels_are_kept_where_held_out_rows_speak_clearly_against_them(label: int, kept: int) -> None:
    texts, labels = Texts(np.zeros((10, 1), np.float32)), np.full(10, label)
    split = choice.Split(np.arange(3), np.arange(10), labels)
    rounds = trained([1, 0], [0, 1])  # round 0 answers class 0, round 1 class 1
    chosen = choice.choose_round("validation", "names", [split], lambda _: (rounds, texts), 1, 2)
    assert chosen.kept_round == kept
    assert chosen.logits.shape == (2, 10, 2)


def test_without_held_out_rows_the_last_round_is_kept() -> None:
    assert (
        choice.choose_round("none", "names", [], lambda _: (trained(), Texts(np.zeros((0, 1)))), 3, 2).kept_round == 3
    )


def test_rows_beyond_the_limit_are_labelled_where_the_heads_are_as_sure() -> None:
    heads = Heads(np.array([[1.0], [-1.0]], np.float32), np.zeros(2, np.float32))
    texts = Texts(np.array([[0.0], [2.0], [-2.0], [3.0], [-0.1]], np.float32))  # a seed, then the pool
    rows = Rows(pd.DataFrame(index=range(5)), seeds=1, learned=3, pool=5)
    kept = Round(np.array([1, 2]), np.array([0, 1]), np.array([0.9, 0.9]), np.full(2, 0.5), heads)
    result = choice.label_the_rest(kept, rows, texts)
    assert result.rows.tolist() == [1, 2, 3] and result.labels.tolist() == [0, 1, 0]
