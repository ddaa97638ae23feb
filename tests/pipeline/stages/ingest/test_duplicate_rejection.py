"""Duplicates: which row stays, and no text in two splits."""

from pathlib import Path

from tests.support.ingesting import csv_text, ingest, output, read_splits, rejected, write

LONG = "the quick brown fox jumps over the lazy dog and runs away from the angry farmer in the dark {}"


def test_exact_duplicates_collapse_and_contradictions_are_rejected(tmp_path: Path) -> None:
    train = [("same  words", "x"), ("same words", "x"), ("torn", "x"), ("Torn", "y"), ("other", "y"), ("last", "")]
    pool = "text\nlast\nother\nnew\n"
    write(tmp_path, train__csv=csv_text(train), test__csv=csv_text([("a test", "x")]), pool__csv=pool)
    metrics = ingest(tmp_path, unlabelled=["pool.csv"])
    assert rejected(tmp_path) == {
        "train.csv:3": "exact duplicate",
        "train.csv:4": "conflicting labels among duplicates",
        "train.csv:5": "conflicting labels among duplicates",
        "pool.csv:2": "exact duplicate",
        "pool.csv:3": "labelled in another row",
    }
    assert output(tmp_path, "unlabelled")["text"].tolist() == ["last", "new"]
    assert metrics["rejected"] == {
        "conflicting labels among duplicates": 2,
        "exact duplicate": 2,
        "labelled in another row": 1,
    }


def test_a_labelled_row_is_kept_before_an_unlabelled_duplicate(tmp_path: Path) -> None:
    train = [("same", ""), ("same", "x"), ("other", "y")]
    write(tmp_path, train__csv=csv_text(train), test__csv=csv_text([("a test", "x")]))
    ingest(tmp_path)
    assert output(tmp_path, "train")["text"].tolist() == ["same", "other"]
    assert rejected(tmp_path) == {"train.csv:2": "labelled in another row"}


def test_a_test_split_of_the_source_stays_whole_and_its_duplicates_are_rejected(tmp_path: Path) -> None:
    test = [("repeated", "x"), ("repeated", "x"), ("repeated", "y"), (LONG.format("night"), "x")]
    train = [("Repeated", "x"), (LONG.format("nights"), "y"), ("fine", "x"), ("good", "y"), ("held out", "x")]
    write(
        tmp_path,
        train__csv=csv_text(train),
        validation__csv=csv_text([("held out", "x"), ("repeated", "x")]),
        test__csv=csv_text(test),
        pool__csv="text\nrepeated\nheld out\n",
    )
    ingest(tmp_path, validation=["validation.csv"], unlabelled=["pool.csv"])
    parts = read_splits(tmp_path)
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
