"""Near duplicates are joined into groups by the similarity of their shingles, directly or by a chain."""

from pathlib import Path

import pytest

from pipeline.stages.ingest import prepared_rows
from tests.support.ingesting import csv_text, ingest, output, random_rows, rejected, write

LONG = "the quick brown fox jumps over the lazy dog and runs away from the angry farmer in the dark {}"


def groups(root: Path, threshold: float) -> list[int]:
    """For each training text, the number of the first one of its group."""
    texts = [LONG.format("night"), "unrelated words here", LONG.format("nights"), LONG.format("nights!"), "ab", "ac"]
    train = [(text, "xy"[number % 2]) for number, text in enumerate(texts)]
    write(root, train__csv=csv_text(train), test__csv=csv_text([("a test", "x")]))
    ingest(root, duplicates={"threshold": threshold, "shingle": 5, "permutations": 64})
    rows = output(root, "train")
    return [rows["id"].tolist().index(source) for source in rows["source_id"]]


def test_near_duplicates_are_joined_by_similarity_and_chain(tmp_path: Path) -> None:
    assert groups(tmp_path, 0.9) == [0, 1, 0, 0, 4, 5]
    assert groups(tmp_path, 1.0) == [0, 1, 2, 3, 4, 5]


def test_every_block_of_a_large_file_is_read_in_its_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepared_rows, "BLOCK_ROWS", 20)
    rows = random_rows(150)
    near = [(f"{text} indeed it is", label) for text, label in rows[:10]]
    write(tmp_path, train__csv=csv_text(rows + near), test__csv=csv_text(random_rows(5, seed=1)))
    ingest(tmp_path, duplicates={"threshold": 0.6, "shingle": 4, "permutations": 128})
    train = output(tmp_path, "train")
    assert train["text"].tolist() == [text for text, _ in rows + near]
    assert train["source_id"].tolist() == train["id"].tolist()[:150] + train["id"].tolist()[:10]
    assert not list((tmp_path / "data" / "scratch" / "ingest").iterdir())


def test_near_duplicate_training_rows_share_a_source_and_stay(tmp_path: Path) -> None:
    train = [(LONG.format("night"), "x"), (LONG.format("nights"), "y"), ("something else", "y")]
    write(tmp_path, train__csv=csv_text(train), test__csv=csv_text([("a test", "x")]))
    metrics = ingest(tmp_path)
    rows = output(tmp_path, "train")
    assert rows["source_id"].tolist() == [rows["id"][0], rows["id"][0], rows["id"][2]]
    assert metrics["near_duplicate_groups"] == 1
    assert rejected(tmp_path) == {}
