"""Suggestions of rows that may be of a class which nobody has named yet."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from pipeline.core.params import Params
from pipeline.core.stage import Paths
from pipeline.labelling.suggest import SuggestionFiles, suggest
from tests.pipeline.labelling.test_suggest import SURE, UNSURE, project, read
from tests.support.ingesting import output
from tests.support.ingesting import params as ingest_params


def test_candidates_for_a_new_class_are_named_and_their_rows_are_on_the_sheet(
    tmp_path: Path, tiny_encoder: Path, params: Callable[..., Params]
) -> None:
    loans = [f"may I have a loan for {thing}" for thing in ("one", "two", "three", "four")]
    project(tmp_path, tiny_encoder, [*SURE, *UNSURE, *loans])
    pool = output(tmp_path, "unlabelled")
    ids = pool.loc[pool["text"].isin(loans), "id"].tolist()
    candidates = pd.DataFrame({"candidate": 1, "id": [*ids, "forgotten"], "similarity": 0.9})
    candidates.to_parquet(tmp_path / "data" / "export" / "new_classes.parquet")
    project_params = params().model_copy(update={"ingest": ingest_params(unlabelled=["pool.csv"])})
    lines = suggest(2, SuggestionFiles(tmp_path / "suggestions.csv", None), project_params, Paths(tmp_path))
    assert "1 candidates for a new class, whose texts get no label and resemble each other:" in lines
    (described,) = [line for line in lines if " 4 rows: " in line]
    assert "loan" in described and ids[0] in described
    rows = read(tmp_path / "suggestions.csv")
    added = rows[2:]
    assert {row["why"] for row in added} == {"candidate 1 for a new class"}
    shown = {row["gleaner_id"] for row in rows}
    assert len(rows) == len(shown) and set(ids[:3]) <= shown and lines[0].startswith("2 of 14 rows chosen")
