"""Ingest joins duplicates and makes splits that never share one, and that compare with published figures."""

import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from pipeline.core import table
from pipeline.core.errors import UserError
from pipeline.core.params import Duplicates
from pipeline.stages.ingest import duplicates
from tests.support.ingesting import ROOT, ingest, output, rejected, write

SHARES = {"validation": 0.0, "test": 0.2, "stratify": True}
LONG = "the quick brown fox jumps over the lazy dog and runs away from the angry farmer in the dark {}"


def csv(rows: list[tuple[str, str]]) -> str:
    return "\n".join(["text,label", *(f"{text},{label}" for text, label in rows)]) + "\n"


def numbered(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """Rows of random words, so that no two are alike, in three classes of unequal size."""
    draw = random.Random(seed)
    words = ["".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=7)) for _ in range(500)]
    return [(" ".join(draw.sample(words, 6)), draw.choices("xyz", [6, 3, 1])[0]) for _ in range(count)]


def splits(root: Path) -> dict[str, pd.DataFrame]:
    return {name: output(root, name) for name in ("train", "validation", "test", "unlabelled")}


def test_near_duplicates_are_joined_by_similarity_and_chain() -> None:
    texts = [
        LONG.format("night"),
        "unrelated words here",
        LONG.format("nights"),
        LONG.format("nights!"),
        "ab",
        "ab",
        "ac",
    ]
    params = Duplicates(threshold=0.9, shingle=5, permutations=64)
    assert duplicates.join(texts, params) == [0, 1, 0, 0, 4, 4, 6]
    assert duplicates.join(texts, params.model_copy(update={"threshold": 1.0})) == [0, 1, 2, 3, 4, 4, 6]


def test_near_duplicate_training_rows_share_a_source_and_stay(tmp_path: Path) -> None:
    train = [(LONG.format("night"), "x"), (LONG.format("nights"), "y"), ("something else", "y")]
    write(tmp_path, train__csv=csv(train), test__csv=csv([("a test", "x")]))
    metrics = ingest(tmp_path)
    rows = output(tmp_path, "train")
    assert rows["source_id"].tolist() == [rows["id"][0], rows["id"][0], rows["id"][2]]
    assert metrics["near_duplicate_groups"] == 1
    assert rejected(tmp_path) == {}


def test_exact_duplicates_collapse_and_contradictions_are_rejected(tmp_path: Path) -> None:
    train = [("same  words", "x"), ("same words", "x"), ("torn", "x"), ("Torn", "y"), ("other", "y"), ("last", "")]
    pool = "text\nlast\nother\nnew\n"
    write(tmp_path, train__csv=csv(train), test__csv=csv([("a test", "x")]), pool__csv=pool)
    metrics = ingest(tmp_path, unlabelled=["pool.csv"])
    assert rejected(tmp_path) == {
        "train.csv:3": "exact duplicate",
        "train.csv:4": "conflicting labels among duplicates",
        "train.csv:5": "conflicting labels among duplicates",
        "pool.csv:2": "exact duplicate",
        "pool.csv:3": "exact duplicate",
    }
    assert output(tmp_path, "unlabelled")["text"].tolist() == ["last", "new"]
    assert metrics["rejected"] == {"conflicting labels among duplicates": 2, "exact duplicate": 3}


def test_a_labelled_row_is_kept_before_an_unlabelled_duplicate(tmp_path: Path) -> None:
    train = [("same", ""), ("same", "x"), ("other", "y")]
    write(tmp_path, train__csv=csv(train), test__csv=csv([("a test", "x")]))
    ingest(tmp_path)
    assert output(tmp_path, "train")["text"].tolist() == ["same", "other"]
    assert rejected(tmp_path) == {"train.csv:2": "exact duplicate"}


def test_a_given_test_split_stays_whole_and_pushes_its_duplicates_out(tmp_path: Path) -> None:
    test = [("repeated", "x"), ("repeated", "x"), ("repeated", "y"), (LONG.format("night"), "x")]
    train = [("Repeated", "x"), (LONG.format("nights"), "y"), ("fine", "x"), ("good", "y"), ("held out", "x")]
    write(
        tmp_path,
        train__csv=csv(train),
        validation__csv=csv([("held out", "x"), ("repeated", "x")]),
        test__csv=csv(test),
        pool__csv="text\nrepeated\nheld out\n",
    )
    ingest(tmp_path, validation=["validation.csv"], unlabelled=["pool.csv"])
    parts = splits(tmp_path)
    assert len(parts["test"]) == 4
    assert parts["test"]["id"].is_unique
    assert rejected(tmp_path) == {
        "train.csv:2": "duplicates a test row",
        "train.csv:3": "duplicates a test row",
        "train.csv:6": "duplicates a validation row",
        "validation.csv:3": "duplicates a test row",
        "pool.csv:2": "duplicates a test row",
        "pool.csv:3": "duplicates a validation row",
    }


def test_ids_do_not_depend_on_split_or_run(tmp_path: Path) -> None:
    rows = numbered(40)
    write(tmp_path, train__csv=csv(rows[:30]), test__csv=csv(rows[30:]), all__csv=csv(rows))
    ingest(tmp_path)
    given = {row.text: row.id for part in splits(tmp_path).values() for row in part.itertuples()}
    ingest(tmp_path, train=["all.csv"], test=[], split=SHARES)
    drawn = {row.text: row.id for part in splits(tmp_path).values() for row in part.itertuples()}
    assert given == drawn
    assert given[rows[0][0]] == table.row_id("raw", rows[0][0])


def test_stratified_splits_keep_shares_and_sources_whole(tmp_path: Path) -> None:
    rows = numbered(300)
    near = [(f"{text} {ending}", label) for text, label in rows[:60] for ending in ("a", "b")]
    write(tmp_path, train__csv=csv(rows + near))
    ingest(tmp_path, test=[], split={"validation": 0.25, "test": 0.2, "stratify": True},
           duplicates={"threshold": 0.7, "shingle": 4, "permutations": 128})  # fmt: skip
    parts = splits(tmp_path)
    sources = [set(part["source_id"]) for part in parts.values()]
    assert sum(map(len, sources)) == len(set.union(*sources))
    assert any(parts["test"]["source_id"].duplicated())
    everything = pd.concat(parts.values())
    for name, share in (("test", 0.2), ("validation", 0.2)):
        for label, count in parts[name].drop_duplicates("source_id")["label"].value_counts().items():
            groups = everything[everything["label"] == label]["source_id"].nunique()
            assert abs(count - share * groups) <= 1.5


def test_every_class_keeps_a_row_for_training(tmp_path: Path) -> None:
    write(tmp_path, train__csv=csv([*numbered(30), ("the only one of its class", "rare")]))
    ingest(tmp_path, test=[], split=SHARES | {"test": 0.6})
    assert "rare" in set(output(tmp_path, "train")["label"])


def test_a_plain_draw_is_the_published_protocol(tmp_path: Path) -> None:
    rows = [*numbered(50), ("", "x"), ("no label", ""), numbered(50)[0]]
    write(tmp_path, train__csv=csv(rows))
    ingest(tmp_path, test=[], split={"validation": 0.25, "test": 0.2, "stratify": False}, seed=3)
    order = list(range(53))
    random.Random(3).shuffle(order)
    train, test = order[:42], order[42:]
    train, validation = train[:31], train[31:]
    parts = splits(tmp_path)
    usable = {i for i, (text, label) in enumerate(rows) if text and label}
    assert parts["test"]["text"].tolist() == [rows[i][0] for i in test if i in usable]
    assert set(parts["validation"]["text"]) == {rows[i][0] for i in validation if i in usable}
    assert set(parts["train"]["text"]) <= {rows[i][0] for i in train}
    assert "no label" in set(parts["unlabelled"]["text"])


def test_labels_per_class_is_the_published_protocol(tmp_path: Path) -> None:
    rows = numbered(200)
    rows[5] = ("", "x")
    write(tmp_path, train__csv=csv(rows), test__csv=csv(numbered(20, seed=1)))
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
        parts = splits(tmp_path)
        assert set(zip(parts["train"]["text"], parts["train"]["label"], strict=True)) == gold
        assert len(parts["unlabelled"]) == 199 - len(gold)
        assert parts["unlabelled"]["label"].isna().all()
        assert set(parts["unlabelled"]["origin"]) == {"unlabelled"}


def test_no_gold_label_at_all_is_allowed_when_asked_for(tmp_path: Path) -> None:
    write(tmp_path, train__csv=csv(numbered(30)), test__csv=csv(numbered(20, seed=1)))
    metrics = ingest(tmp_path, labels_per_class=0)
    assert metrics["rows"]["train"] == 0
    assert metrics["rows"]["unlabelled"] == 30
    assert metrics["classes"] == 3
    assert metrics["gold_per_class"] == {"min": 0, "max": 0}


def test_the_unlabelled_pool_can_be_limited(tmp_path: Path) -> None:
    write(tmp_path, train__csv=csv(numbered(30)), test__csv=csv(numbered(20, seed=1)))
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
    assert {name: part["text"].tolist() for name, part in splits(tmp_path).items()} == {
        "train": ["one", "two"],
        "validation": ["five"],
        "test": ["three"],
        "unlabelled": ["four"],
    }
    write(tmp_path, all__csv=rows.replace(",test\n", ",dev\n"))
    with pytest.raises(UserError, match='all.csv:4: expected train, .* in the column part, found "dev"'):
        ingest(tmp_path, train=["all.csv"], test=[], columns={"split": "part"})


def test_no_test_rows_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, train__csv=csv(numbered(30)))
    with pytest.raises(UserError, match="ingest.test: expected test rows, found none"):
        ingest(tmp_path, test=[])


def test_a_mistake_ends_the_command_with_one_line_and_code_2(tmp_path: Path) -> None:
    content = (ROOT / "params.yaml").read_text().replace("path: data/demo", "path: nowhere")
    (tmp_path / "params.yaml").write_text(content)
    command = [sys.executable, "-m", "pipeline.stages.ingest"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, check=False, cwd=tmp_path, capture_output=True, text=True, env=environment)
    assert done.returncode == 2
    assert done.stderr == "error: ingest.path: expected a file or folder, found no nowhere; correct the path\n"
