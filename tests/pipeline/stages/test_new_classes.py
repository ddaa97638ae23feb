"""Candidates for new classes: clusters of refused texts, and the words by which they differ."""

import numpy as np
import pandas as pd

from pipeline.stages.export.new_classes import MIN_ROWS, find_new_classes
from pipeline.text.typical_words import typical_words
from tests.pipeline.stages.test_abstention import directions, texts


def test_each_kind_of_texts_is_a_candidate_and_odd_ones_stay_outside() -> None:
    centres = directions(3)
    sizes = (40, 25, 12)
    kinds = [texts(centres[number : number + 1], size, seed=number)[0] for number, size in enumerate(sizes)]
    odd = texts(directions(10, seed=7), 1, seed=9)[0]
    vectors = np.concatenate([*kinds, odd])
    truth = np.repeat(["a", "b", "c", "odd"], [*sizes, len(odd)])
    ids = pd.Series([f"{kind}-{number}" for number, kind in enumerate(truth)])
    candidates = find_new_classes(vectors, ids)
    found = [{row.split("-")[0] for row in rows["id"]} for _, rows in candidates.groupby("candidate")]
    assert found == [{"a"}, {"b"}, {"c"}]
    assert candidates.groupby("candidate").size().tolist() >= [36, 20, MIN_ROWS]
    for _, rows in candidates.groupby("candidate"):
        assert rows["similarity"].is_monotonic_decreasing and rows["similarity"].between(0.5, 1).all()
    pd.testing.assert_frame_equal(candidates, find_new_classes(vectors, ids))


def test_too_few_texts_and_texts_like_no_others_are_no_candidates() -> None:
    for vectors in (texts(directions(1), 2 * MIN_ROWS - 1, seed=0)[0], texts(directions(40), 1, seed=0)[0]):
        candidates = find_new_classes(vectors, pd.Series([str(number) for number in range(len(vectors))]))
        assert candidates.empty and list(candidates.columns) == ["candidate", "id", "similarity"]


def test_typical_words_are_frequent_here_and_rare_elsewhere() -> None:
    loans = [f"can I get a loan for my {thing}" for thing in ("house", "car", "boat", "dog")]
    visas = [f"do I need a visa for my {thing}" for thing in ("trip", "holiday", "work", "dog")]
    cards = [f"where is my {thing} card, can I get it" for thing in ("new", "old", "lost", "blue")]
    words = typical_words([loans, visas], [cards], 3)
    assert words[0][0] == "loan" and {"visa", "need", "do"} >= set(words[1]) and "visa" in words[1]
    assert not {"house", "dog", "trip", "my"} & {word for group in words for word in group[:1]}


def test_words_of_fewer_than_three_texts_are_not_shown() -> None:
    assert typical_words([["Ada Lovelace asks", "Ada Lovelace asks", "who asks"]], [], 5) == [["asks"]]
    assert typical_words([["12 34", "56", "78"]], [], 5) == [[]] and typical_words([], [], 5) == []


def test_texts_without_spaces_have_words_of_characters() -> None:
    (words,) = typical_words(
        [["我的贷款在哪里", "贷款要多久", "想要贷款"]], [["我的卡在哪里", "卡要多久", "想要卡"]], 2
    )
    assert words[0] == "贷款"
