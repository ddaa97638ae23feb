"""The counterfactual check on a real bundle of words with known scores."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.core import table
from pipeline.core.errors import UserError
from pipeline.core.params import Counterfactual
from pipeline.core.stage import Paths
from pipeline.stages import counterfactual
from tests.support import word_bundle

ROOT = Path(__file__).parents[4]
PARAMS = Counterfactual(axes=[], min_rows=5, max_swaps=1000, bootstrap=200, interval=0.95, seed=0)
# The model takes "she" for a complaint, unless there is "superb", which weighs more.
WORDS = {"she": [2.0, 0], "he": [0, 0.5], "superb": [0, 4.0], "fine": [0, 1.0], "muslim": [3.0, 0]}


def project(root: Path, texts: list[str]) -> Paths:
    """A project with a test split of these texts, the bundle, and this repository's identity terms."""
    paths = Paths(root)
    ids = [f"row{i}" for i in range(len(texts))]
    test = table.make(id=ids, source_id=ids, text=texts, label=["praise"] * len(texts), origin="gold")
    table.write(test, paths.data("ingest") / "test.parquet")
    word_bundle.build(paths.data("export") / "bundle", WORDS, ["complaint", "praise"])
    (root / "data" / "identity_terms").symlink_to(ROOT / "data" / "identity_terms")
    return paths


def read_csv(paths: Paths, name: str) -> pd.DataFrame:
    return pd.read_csv(paths.data("counterfactual") / f"{name}.csv")


def probability(logits: list[float]) -> np.ndarray:
    return np.exp(logits) / np.exp(logits).sum()


def test_flips_and_changes_are_those_counted_by_hand(tmp_path):
    texts = [f"she was fine {i}" for i in range(6)] + [f"she was superb {i}" for i in range(4)] + ["nobody was fine"]
    paths = project(tmp_path, texts)
    metrics = counterfactual.run(PARAMS, paths)
    pair = read_csv(paths, "pairs").set_index(["axis", "from", "to"]).loc[("gender.en", "women", "men")]
    assert pair[["rows", "flips", "flip_rate", "status"]].tolist() == [10, 6, 0.6, "ok"]
    assert 0.3 < pair["flip_rate_low"] < 0.35 and 0.8 < pair["flip_rate_high"] < 0.84  # Wilson's, 6 of 10
    fine = probability([2, 1])[0] - probability([0, 1.5])[0]
    superb = probability([0, 4.5])[1] - probability([2, 4])[1]
    assert pair["mean_change"] == pytest.approx((6 * fine + 4 * superb) / 10, abs=1e-5)
    assert pair["gaining_label"] == "praise"
    assert pair["gain"] == pytest.approx((6 * fine + 4 * superb) / 10, abs=1e-5)
    assert pair["mean_change_low"] < pair["mean_change"] < pair["mean_change_high"]
    assert metrics["gender.en.flip_rate"] == metrics["highest_flip_rate"] == 0.6
    assert (metrics["axes"], metrics["status"]) == (["gender.en"], "ok")
    assert (metrics["test_rows"], metrics["rows_with_a_term"], metrics["swaps"]) == (11, 10, 10)
    terms = read_csv(paths, "terms").set_index("term")
    assert terms.loc["she", ["rows", "flips"]].tolist() == [10, 6]
    assert terms.loc["she", "signed_change"] == pytest.approx((-6 * fine + 4 * superb) / 10, abs=1e-5)


def test_a_row_that_flips_is_named_by_its_id_and_no_text_is_written(tmp_path):
    paths = project(tmp_path, ["she was fine canary", "he was fine canary"])
    counterfactual.run(PARAMS, paths)
    flips = read_csv(paths, "flips")
    assert flips[["id", "from", "to", "before", "after"]].values.tolist() == [
        ["row0", "women", "men", "complaint", "praise"],
        ["row1", "men", "women", "praise", "complaint"],
    ]
    for file in paths.data("counterfactual").iterdir():
        assert "canary" not in file.read_text()


def test_few_rows_are_insufficient_and_a_row_with_many_swaps_counts_once(tmp_path):
    paths = project(tmp_path, ["a muslim man was fine", "nothing"])
    metrics = counterfactual.run(PARAMS, paths)
    assert metrics["religion.en.status"] == "insufficient"
    assert (metrics["religion.en.rows"], metrics["religion.en.flip_rate"]) == (1, 1.0)
    assert metrics["highest_flip_rate"] is None and metrics["status"] == "insufficient"
    assert len(read_csv(paths, "pairs").query("axis == 'religion.en'")) == 4  # each of the other religions


def test_without_any_term_the_status_says_so_and_tables_are_empty(tmp_path):
    paths = project(tmp_path, ["nothing to see", "here"])
    metrics = counterfactual.run(PARAMS, paths)
    assert (metrics["axes"], metrics["status"], metrics["swaps"]) == ([], "no terms", 0)
    assert read_csv(paths, "pairs").empty and read_csv(paths, "flips").empty


def test_swaps_beyond_the_maximum_are_drawn_by_whole_rows(tmp_path):
    paths = project(tmp_path, [f"a muslim was fine {i}" for i in range(20)])
    metrics = counterfactual.run(PARAMS.model_copy(update={"max_swaps": 42}), paths)
    assert (metrics["swaps"], metrics["swaps_left_out"], metrics["religion.en.rows"]) == (40, 40, 10)


def test_an_unknown_axis_is_named(tmp_path):
    paths = project(tmp_path, ["she"])
    with pytest.raises(UserError, match=r"counterfactual\.axes: expected some of .*gender\.en.*, found gender;"):
        counterfactual.run(PARAMS.model_copy(update={"axes": ["gender"]}), paths)


def test_equal_input_gives_equal_bytes(tmp_path):
    paths = project(tmp_path, ["she was fine", "he was superb", "a muslim man"])
    first = json.dumps(counterfactual.run(PARAMS, paths))
    before = {file.name: file.read_bytes() for file in paths.data("counterfactual").iterdir()}
    assert json.dumps(counterfactual.run(PARAMS, paths)) == first
    assert {file.name: file.read_bytes() for file in paths.data("counterfactual").iterdir()} == before
