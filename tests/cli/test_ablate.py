"""`gleaner ablate`: its table, and one whole ablation that is run twice."""

import csv

import pandas as pd
import pytest

from cli import ablate
from pipeline.core.errors import UserError
from pipeline.experiments import ablation
from pipeline.experiments.ablation import Effect
from tests.support.ablation_project import QUICK, make_tables, write_project


def make_effect(**changes):
    numbers = {"points": 30.0, "low": 20.0, "high": 40.0, "macro_f1_points": 30.0, "gap_points": -20.0, "minutes": 1.0}
    return Effect("x", **numbers | changes, verdict="paid")


def test_the_change_of_the_group_gap_is_in_the_table():
    assert ablate.row_cells(make_effect())[4] == "-20.0"


def test_no_extra_minutes_have_no_rate():
    assert ablate.row_cells(make_effect(minutes=-0.5))[6] == "-"


def test_too_few_rows_for_a_verdict_are_said_before_anything_trains(tmp_path, params, rows, pairs):
    root = write_project(tmp_path, params(QUICK).model_dump(mode="json"), make_tables(rows, pairs))
    with pytest.raises(UserError, match=r"found \d+, which can tell 33.3 points or more"):
        ablate.main(root, 2, 0.25, [], [])
    assert not (root / "data" / "scratch").exists()


@pytest.mark.slow
@pytest.mark.weekly
def test_a_second_ablation_reads_the_results_of_the_first(tmp_path, params, rows, pairs, monkeypatch, capsys):
    tables = make_tables(rows, pairs)
    root = write_project(tmp_path, params(QUICK).model_dump(mode="json"), tables)
    selection = (2, 0.25, ["finetune.max_steps=3"], ["class names"], True)
    assert ablate.main(root, *selection) == 0
    printed = capsys.readouterr().out
    assert "2 seed(s)" in printed and "distinct rows" in printed
    folder = root / "data" / "scratch" / "ablate"
    with (folder / "ablation.csv").open() as file:
        by_name = {row["having"]: row for row in csv.DictReader(file)}
    assert set(by_name) == {"class names", "finetune.max_steps=3"}
    assert {row["verdict"] for row in by_name.values()} <= {"paid", "did not pay", "too few labels to tell"}
    assert "| finetune.max_steps=3 |" in (folder / "ablation.md").read_text()
    for seed in (0, 1):
        _, held_out = ablation.hold_out(tables, 0.25, seed)
        for path in folder.glob(f"seed-{seed}/**/*.parquet"):
            assert not set(held_out["id"]) & set(pd.read_parquet(path)["id"]), path
    monkeypatch.setattr(
        "pipeline.experiments.stage_cache.run_stage", lambda stage, root: pytest.fail(f"{stage} ran again")
    )
    assert ablate.main(root, *selection) == 0


def test_the_failure_of_a_variant_is_a_row(capsys):
    ablate.print_table("summary", [], {"finetune.lr=3": "finetune, exit code 1: out of memory"})
    assert "out of memory" in capsys.readouterr().out
