"""Drawn splits never share a duplicate, and follow the published protocols."""

import random
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from pipeline.core.errors import UserError
from tests.support.ingesting import csv_text, ingest, output, random_rows, read_splits, write

SHARES = {"validation": 0.0, "test": 0.2, "stratify": True}


def test_stratified_splits_keep_shares_and_sources_whole(tmp_path: Path) -> None:
    rows = random_rows(300)
    near = [(f"{text} {ending}", label) for text, label in rows[:60] for ending in ("a", "b")]
    write(tmp_path, train__csv=csv_text(rows + near))
    ingest(tmp_path, test=[], split={"validation": 0.25, "test": 0.2, "stratify": True},
           duplicates={"threshold": 0.7, "shingle": 4, "permutations": 128})  # fmt: skip
    parts = read_splits(tmp_path)
    sources = [set(part["source_id"]) for part in parts.values()]
    assert sum(map(len, sources)) == len(set.union(*sources))
    assert any(parts["test"]["source_id"].duplicated())
    everything = pd.concat(parts.values())
    for name, share in (("test", 0.2), ("validation", 0.2)):
        for label, count in parts[name].drop_duplicates("source_id")["label"].value_counts().items():
            groups = everything[everything["label"] == label]["source_id"].nunique()
            assert abs(count - share * groups) <= 1.5


def test_every_class_keeps_a_row_for_training(tmp_path: Path) -> None:
    write(tmp_path, train__csv=csv_text([*random_rows(30), ("the only one of its class", "rare")]))
    ingest(tmp_path, test=[], split=SHARES | {"test": 0.6})
    assert "rare" in set(output(tmp_path, "train")["label"])


def test_splits_that_are_not_stratified_follow_the_published_protocol(tmp_path: Path) -> None:
    rows = [*random_rows(50), ("", "x"), ("no label", ""), random_rows(50)[0]]
    write(tmp_path, train__csv=csv_text(rows))
    ingest(tmp_path, test=[], split={"validation": 0.25, "test": 0.2, "stratify": False}, seed=3)
    order = list(range(53))
    random.Random(3).shuffle(order)
    train, test = order[:42], order[42:]
    train, validation = train[:31], train[31:]
    parts = read_splits(tmp_path)
    usable = {i for i, (text, label) in enumerate(rows) if text and label}
    assert parts["test"]["text"].tolist() == [rows[i][0] for i in test if i in usable]
    assert set(parts["validation"]["text"]) == {rows[i][0] for i in validation if i in usable}
    assert set(parts["train"]["text"]) <= {rows[i][0] for i in train}
    assert "no label" in set(parts["unlabelled"]["text"])


def test_labels_per_class_follow_the_published_protocol(tmp_path: Path) -> None:
    rows = random_rows(200)
    rows[5] = ("", "x")
    write(tmp_path, train__csv=csv_text(rows), test__csv=csv_text(random_rows(20, seed=1)))
    for k in (1, 4):
        ingest(tmp_path, labels_per_class=k, seed=2)
        order = list(range(200))
        random.Random(2).shuffle(order)
        kept: Counter[str] = Counter()
        gold = set()
        for i in order:
            text, label = rows[i]
            if text and kept[label] < k:
                kept[label] += 1
                gold.add((text, label))
        parts = read_splits(tmp_path)
        assert set(zip(parts["train"]["text"], parts["train"]["label"], strict=True)) == gold
        assert len(parts["unlabelled"]) == 199 - len(gold)
        assert parts["unlabelled"]["label"].isna().all()
        assert set(parts["unlabelled"]["origin"]) == {"unlabelled"}


def test_no_gold_label_at_all_is_allowed_if_params_ask_for_it(tmp_path: Path) -> None:
    write(tmp_path, train__csv=csv_text(random_rows(30)), test__csv=csv_text(random_rows(20, seed=1)))
    metrics = ingest(tmp_path, labels_per_class=0)
    assert metrics["rows"]["train"] == 0
    assert metrics["rows"]["unlabelled"] == 30
    assert metrics["classes"] == 3
    assert metrics["gold_per_class"] == {"min": 0, "max": 0}


def test_the_unlabelled_pool_can_be_limited(tmp_path: Path) -> None:
    write(tmp_path, train__csv=csv_text(random_rows(30)), test__csv=csv_text(random_rows(20, seed=1)))
    metrics = ingest(tmp_path, labels_per_class=1, unlabelled_limit=7)
    assert metrics["rows"]["unlabelled"] == 7
    assert metrics["unlabelled_left_out"] == 20
    first = output(tmp_path, "unlabelled")
    ingest(tmp_path, labels_per_class=1, unlabelled_limit=7)
    assert output(tmp_path, "unlabelled").equals(first)


def test_a_column_may_give_the_split(tmp_path: Path) -> None:
    rows = "text,label,part\none,x,train\ntwo,y,train\nthree,x,test\nfour,x,unlabelled\nfive,y,validation\n"
    write(tmp_path, all__csv=rows)
    ingest(tmp_path, train=[], test=[], columns={"split": "part"})
    assert {name: part["text"].tolist() for name, part in read_splits(tmp_path).items()} == {
        "train": ["one", "two"],
        "validation": ["five"],
        "test": ["three"],
        "unlabelled": ["four"],
    }
    write(tmp_path, all__csv=rows.replace(",test\n", ",dev\n"))
    with pytest.raises(UserError, match='all.csv:4: expected train, .* in the column part, found "dev"'):
        ingest(tmp_path, train=["all.csv"], test=[], columns={"split": "part"})
