"""What a training prints tells what was set aside, what is in doubt, and why the accuracy is low."""

from pathlib import Path

import pytest
from rich.console import Console

from cli import history
from flows.outcomes.training import Training, print_training, rich_table
from pipeline.core.stage import write_json
from tasks.stage_outcome import StageOutcome
from tests.support.report_inputs import write_run
from tests.support.reporting import change_json

DOUBT = 'ingest.labels: "Refund" (1 row) looks like "refund" (9 rows)'
LOSS = "train.csv: 80 of 160 rows set aside: 80 broken quotes"


def test_losses_doubts_and_caveats_are_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write_run(tmp_path)
    change_json(root / "data/ingest/metrics.json", remarks=[DOUBT], rejected_by_file=[LOSS])
    change_json(root / "data/evaluate/metrics.json", accuracy=0.2, largest_class="[b]refund", largest_class_share=0.5)
    change_json(root / "data/export/metrics.json", shipped={"model": "probe", "reason": "The [b]probe ships."})
    write_json({"next_steps": ["Describe the classes.", "Label [i]more."]}, root / "data/report/metrics.json")
    print_training(root, Training([StageOutcome("ingest", "ran")]))
    printed = capsys.readouterr().out
    assert "  The [b]probe ships.\n" in printed
    assert "What to try next\n  1. Describe the classes.\n  2. Label [i]more.\nRegistered" in printed
    assert f"Data\n  {DOUBT}\n  {LOSS}\n" in printed
    assert '  Accuracy 0.200 is below 0.500, the share of test rows of the largest class "[b]refund"' in printed


def test_they_are_printed_where_a_later_stage_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write_run(tmp_path)
    change_json(root / "data/ingest/metrics.json", rejected_by_file=[LOSS])
    stages = [StageOutcome("ingest", "cached"), StageOutcome("pretrain", "failed", message="out of memory")]
    print_training(root, Training(stages))
    assert f"Data\n  {LOSS}\n" in capsys.readouterr().out


def test_a_run_without_any_of_them_prints_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write_run(tmp_path)
    print_training(root, Training([StageOutcome("ingest", "ran")]))
    printed = capsys.readouterr().out
    assert "Data\n" not in printed and 'the largest class "' not in printed and "try next" not in printed
    assert "always the largest class" in printed and "0.251" in printed


def test_80_columns_hide_no_figure(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    score = {"metric": "gap between groups of customer", "champion, version 12": "0.044"}
    score |= {"challenger, version 13": "0.014", "lead, bounds at 99.58% each": "-0.030 (-0.092 to +0.033)"}
    group = {"attribute": "customer of [b]", "group": "a name of the longer kind 顧客", "rows": "136"}
    group |= {"accuracy": "0.816", "status": "insufficient"}
    for row in (score, group):
        Console(highlight=False, soft_wrap=True).print(rich_table("Title", [row]))
    entry = {"entry": "12", "time": "2026-11-24 18:06:21", "what": "insufficient", "version": "13", "champion": "12"}
    history.print_entries("Promotions", [entry | {"by": "root", "why": "lead -0.0025 (-0.0410 to +0.0362) " * 3}])
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 80 and "…" not in printed
    for whole in ("-0.030 (-0.092 to +0.033)", "136 │ 0.816", "insufficient", "13  champion 12", "by root: lead"):
        assert whole in printed
