"""Near duplicates are joined into groups by the similarity of their shingles, directly or by a chain."""

from pathlib import Path

from pipeline.core.params import Duplicates
from pipeline.stages.ingest import near_duplicates
from tests.support.ingesting import csv_text, ingest, output, rejected, write

LONG = "the quick brown fox jumps over the lazy dog and runs away from the angry farmer in the dark {}"


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
    assert near_duplicates.group_duplicates(texts, params) == [0, 1, 0, 0, 4, 4, 6]
    assert near_duplicates.group_duplicates(texts, params.model_copy(update={"threshold": 1.0})) == [
        0,
        1,
        2,
        3,
        4,
        4,
        6,
    ]


def test_near_duplicate_training_rows_share_a_source_and_stay(tmp_path: Path) -> None:
    train = [(LONG.format("night"), "x"), (LONG.format("nights"), "y"), ("something else", "y")]
    write(tmp_path, train__csv=csv_text(train), test__csv=csv_text([("a test", "x")]))
    metrics = ingest(tmp_path)
    rows = output(tmp_path, "train")
    assert rows["source_id"].tolist() == [rows["id"][0], rows["id"][0], rows["id"][2]]
    assert metrics["near_duplicate_groups"] == 1
    assert rejected(tmp_path) == {}
