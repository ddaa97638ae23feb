"""Swapped copies of training rows: their label, their number, and the rows that have none."""

from pathlib import Path

import pandas as pd
import pytest

from pipeline.core import table
from pipeline.core.errors import UserError
from pipeline.core.params import Swaps
from pipeline.core.stage import Paths
from pipeline.stages import swaps

ROOT = Path(__file__).parents[3]
PARAMS = Swaps(variants=1, pool=False, axes=["gender.en"], weight=0.5, seed=0)


@pytest.fixture
def paths(tmp_path, rows) -> Paths:
    """Three gold rows, two of them with a term, and two pool rows, one with a term."""
    gold = rows([("she was late", "bad"), ("he and his wife came", "good"), ("on time", "good")])
    gold = table.to_schema(gold.assign(**{"group.server": ["women", "men", None]}))
    table.write(gold, tmp_path / "data/ingest/train.parquet")
    table.write(
        rows([("her idea", None), ("nothing", None)], "unlabelled"), tmp_path / "data/ingest/unlabelled.parquet"
    )
    for stage in ("synonyms", "back_translate"):
        table.write(gold.iloc[:0], tmp_path / f"data/{stage}/train.parquet")
    (tmp_path / "data/identity_terms").symlink_to(ROOT / "data" / "identity_terms")
    return Paths(tmp_path)


def read(paths: Paths, name: str = "train") -> pd.DataFrame:
    return table.read(paths.data("swaps") / f"{name}.parquet")


def test_each_row_with_a_term_gets_a_copy_with_its_label_and_no_group(paths):
    metrics = swaps.run(PARAMS, paths)
    copies = read(paths)
    assert copies["text"].tolist() == ["he was late", "she and her husband came"]
    assert copies["label"].tolist() == ["bad", "good"]
    assert set(copies["origin"]) == {"counterfactual"} and set(copies["weight"]) == {0.5}
    assert copies["group.server"].isna().all()
    gold = table.read(paths.data("ingest") / "train.parquet")
    assert copies["source_id"].tolist() == gold["source_id"].tolist()[:2]
    assert metrics == {"rows": 2, "gold_rows": 3, "gold_rows_with_a_term": 2, "pool_rows": 0}
    assert read(paths, "unlabelled").empty


def test_augmented_rows_are_copied_with_their_weight(paths, rows):
    table.write(rows([("he was slow", "bad")], "synonym", weight=0.5), paths.data("synonyms") / "train.parquet")
    swaps.run(PARAMS, paths)
    copies = read(paths)
    assert copies["text"].tolist()[-1] == "she was slow" and copies["weight"].tolist() == [0.5, 0.5, 0.25]


def test_copies_of_pool_rows_stay_without_label(paths):
    swaps.run(PARAMS.model_copy(update={"pool": True}), paths)
    pool_copies = read(paths, "unlabelled")
    assert pool_copies["text"].tolist() == ["his idea"] and pool_copies["label"].isna().all()


def test_no_variants_make_no_rows(paths):
    assert swaps.run(PARAMS.model_copy(update={"variants": 0}), paths)["rows"] == 0
    assert read(paths).empty


def test_variants_are_distinct_and_drawn_with_the_seed(tmp_path, rows):
    table.write(rows([("a muslim came", "x")]), tmp_path / "data/ingest/train.parquet")
    table.write(rows([], "unlabelled"), tmp_path / "data/ingest/unlabelled.parquet")
    for stage in ("synonyms", "back_translate"):
        table.write(rows([]), tmp_path / f"data/{stage}/train.parquet")
    (tmp_path / "data/identity_terms").symlink_to(ROOT / "data" / "identity_terms")
    three_variants = PARAMS.model_copy(update={"axes": [], "variants": 3})
    drawn = []
    for seed in (0, 0, 1):
        swaps.run(three_variants.model_copy(update={"seed": seed}), Paths(tmp_path))
        drawn.append(read(Paths(tmp_path))["text"].tolist())
    assert len(set(drawn[0])) == 3 and drawn[0] == drawn[1] != drawn[2]


def test_an_unknown_axis_is_named(paths):
    with pytest.raises(UserError, match=r"swaps\.axes: expected some of .*gender\.en.*, found sex;"):
        swaps.run(PARAMS.model_copy(update={"axes": ["sex"]}), paths)
