"""The word view: its features, its two models, and what the words are worth in the mixture."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.naive_bayes import MultinomialNB

from pipeline.core.params import PseudoLabel
from pipeline.stages.pseudo_label import words
from tests.support.pseudo_texts import CLASS_WORDS, COMMON_WORDS, ESTIMATE, draw_tokens, toy


def features_of(labels: np.ndarray, classes: int, seed: int = 0) -> tuple[Any, np.ndarray]:
    """Features of synthetic texts, a row for each label, and the inverse document frequencies."""
    tokens = draw_tokens(labels, 0.3, seed)
    idf = words.inverse_document_frequency(tokens, COMMON_WORDS + CLASS_WORDS * classes, [])
    return words.token_features(tokens, idf), idf


@pytest.mark.parametrize("model", ["bayes", "regression"])
def test_words_that_only_one_class_uses_are_learned(model: str) -> None:
    labels = np.repeat([0, 1, 2], 60)
    rows, _ = features_of(np.tile(labels, 2), 3)
    training = (rows[:180], labels, np.ones(180), 3)
    learned = (
        words.fit_naive_bayes(*training, alpha=0.1)
        if model == "bayes"
        else words.fit_logistic_regression(*training, inverse_l2=1.0)
    )
    assert (learned.logits(rows[180:]).argmax(axis=1) == labels).mean() > 0.9


def test_naive_bayes_has_the_log_probabilities_of_scikit_learn() -> None:
    labels = np.repeat([0, 1, 2], 20)
    rows, _ = features_of(labels, 3)
    weights = np.linspace(0.5, 2.0, 60)
    table = words.fit_naive_bayes(rows, labels, weights, 3, alpha=0.1).table
    expected = MultinomialNB(alpha=0.1).fit(rows, labels, sample_weight=weights).feature_log_prob_
    assert np.allclose(table, expected.T, atol=1e-5)


def test_a_row_of_weight_0_teaches_nothing() -> None:
    labels = np.repeat([0, 1], 30)
    rows, _ = features_of(labels, 2)
    weights = np.tile([1.0, 0.0], 30)
    for with_zeros, without in (
        (
            words.fit_naive_bayes(rows, labels, weights, 2, 0.1),
            words.fit_naive_bayes(rows[::2], labels[::2], np.ones(30), 2, 0.1),
        ),
        (
            words.fit_logistic_regression(rows, labels, weights, 2, 1.0),
            words.fit_logistic_regression(rows[::2], labels[::2], np.ones(30), 2, 1.0),
        ),
    ):
        assert np.abs(with_zeros.logits(rows) - without.logits(rows)).max() < 0.02


def test_a_class_without_texts_is_never_predicted() -> None:
    labels = np.repeat([0, 2], 30)
    rows, _ = features_of(labels, 3)
    for learned in (
        words.fit_logistic_regression(rows, labels, np.ones(60), 3, 1.0),
        words.fit_naive_bayes(rows, labels, np.ones(60), 3, 0.1),
    ):
        assert set(learned.logits(rows).argmax(axis=1)) == {0, 2}


def test_a_class_whose_rows_all_have_weight_0_is_never_predicted() -> None:
    """A class name of weight 0 stays among the rows; a text of unknown words must not get its class."""
    labels = np.repeat([0, 1, 2], 30)
    rows, _ = features_of(labels, 3)
    weights = np.where(labels == 1, 0.0, 1.0)
    for learned in (
        words.fit_logistic_regression(rows, labels, weights, 3, 1.0),
        words.fit_naive_bayes(rows, labels, weights, 3, 0.1),
    ):
        assert set(learned.logits(rows).argmax(axis=1)) == {0, 2}
        assert learned.logits(rows[:1] * 0).argmax() != 1


def test_features_have_unit_length_and_ignore_special_and_rare_tokens() -> None:
    tokens = [[1, 5, 6, 6, 2], [1, 5, 7, 2], [1, 6, 9, 2], [1, 8, 2]]
    idf = words.inverse_document_frequency(tokens, 12, special=[1, 2])
    assert np.flatnonzero(idf).tolist() == [5, 6]  # 7, 8 and 9 are in one text each, 10 and 11 in none
    rows = words.token_features(tokens, idf).toarray()
    assert np.allclose(np.linalg.norm(rows, axis=1), [1, 1, 1, 0])
    assert rows.shape == (4, 2)  # a column for each token that counts
    assert np.allclose(rows[0], np.sqrt(0.5))  # both are in two texts; a repetition within a text does not count
    idf_of_more = words.inverse_document_frequency([*tokens, [6], [6]], 12, special=[1, 2])
    assert idf_of_more[5] > idf_of_more[6]


@pytest.mark.slow
def test_words_help_where_vectors_say_little_of_the_classes(pseudo_params: PseudoLabel) -> None:
    without_words = pseudo_params.model_copy(
        update={"words": pseudo_params.words.model_copy(update={"mix_weights": []})}
    )
    accuracies = []
    for draw in range(3):
        task = toy([4] * 4, [200] * 4, spread=2.0, signal=0.4, draw=draw)
        rounds = task.rounds(pseudo_params, task.select_round(pseudo_params).estimate)
        last = task.rounds(without_words, task.select_round(without_words).estimate)[-1]
        accuracies.append([task.accuracy(result.teacher) for result in (rounds[0], rounds[-1], last)])
    start, both, vectors = np.mean(accuracies, axis=0)
    assert both > start + 0.2
    assert both > vectors + 0.1


@pytest.mark.slow
def test_words_of_pure_noise_get_the_mix_weight_0_and_the_vectors_still_gain(
    pseudo_params: PseudoLabel,
) -> None:
    """By the kept round: held-out labels decide on the round as well as on the mix weight."""
    gains = []
    for draw in range(3):
        task = toy([4] * 8, [100] * 8, spread=0.9, signal=0.0, draw=draw)
        choice = task.select_round(pseudo_params)
        rounds = task.rounds(pseudo_params, choice.estimate)
        assert choice.estimate.mix_weight == 0
        gains.append(task.accuracy(rounds[choice.kept_round].teacher) - task.accuracy(rounds[0].teacher))
    assert np.mean(gains) > 0.03


def test_words_have_weight_in_the_first_teacher_as_far_as_they_help_it(pseudo_params: PseudoLabel) -> None:
    """Words decide where vectors say next to nothing of the classes; words of pure noise get hardly any weight."""
    informative, noise = (
        [toy([24] * 4, [100] * 4, spread=spread, signal=signal, draw=draw) for draw in range(3)]
        for spread, signal in ((4.0, 0.5), (0.6, 0.0))
    )
    mix_weights = [task.select_round(pseudo_params).estimate.first_mix_weight for task in informative]
    assert min(mix_weights) > 0.3
    assert max(task.select_round(pseudo_params).estimate.first_mix_weight for task in noise) < 0.1
    gains = []
    for task, mix_weight in zip(informative, mix_weights, strict=True):
        vectors_only, both = (
            task.rounds(pseudo_params, replace(ESTIMATE, first_mix_weight=weight))[0].teacher
            for weight in (0.0, mix_weight)
        )
        gains.append(task.accuracy(both) - task.accuracy(vectors_only))
    assert np.mean(gains) > 0.1


def test_round_0_has_no_words_by_default_and_no_round_has_words_without_mix_weights(
    pseudo_params: PseudoLabel,
) -> None:
    task = toy([3] * 2, [30] * 2, spread=0.5, signal=0.3)
    without_words = pseudo_params.model_copy(
        update={"words": pseudo_params.words.model_copy(update={"mix_weights": []})}
    )
    estimate = task.select_round(without_words).estimate
    assert task.rounds(pseudo_params, ESTIMATE)[0].teacher.words is None
    assert estimate.mix_weight == 0
    assert all(result.teacher.words is None for result in task.rounds(without_words, estimate))
