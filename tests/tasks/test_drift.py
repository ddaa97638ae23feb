"""Drift as a task: the rows are counted before anything is computed from them."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipeline.labelling.arrivals import ReadArrivals
from tasks.drift import measure_drift
from tasks.registry.nights import Champion
from tests.support import night_project as project
from tests.support.refreshing import NEW, run_without_flow, take_in_texts


def test_too_few_new_rows_are_said_without_an_encoder_or_a_model(
    tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    root = project.make_project(tmp_path)
    shutil.copy(store, root)
    project.drop_file(root, "monday.csv", project.to_csv(NEW, "text", "label"))
    with run_without_flow(monkeypatch):
        assert take_in_texts(root).new == 3
        # Neither an encoder nor version 7 exists: to compute a vector or an answer would raise.
        champion = Champion("7", ReadArrivals(), datetime(2026, 11, 24, tzinfo=UTC))
        report = measure_drift.fn(root, project.project_params(root), champion)
    assert report and [test.line for test in report.tests] == [
        "texts: insufficient, 3 new rows against 5",
        "answers: insufficient, 3 new rows against 5",
    ]
