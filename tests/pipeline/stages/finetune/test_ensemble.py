"""An ensemble of students, and the last one, which learns from all of them."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.core.errors import UserError
from pipeline.core.stage import Paths
from pipeline.stages.finetune import ensemble, student
from pipeline.stages.finetune.task import Task
from tests.support.finetuning import (
    Change,
    Rows,
    finetune_params,
    model_files,
    read_task,
    remove_validation_rows,
    run_finetune,
    write_inputs,
)


@pytest.fixture
def project(tmp_path: Path, tiny_encoder: Path, rows: Rows, pairs: list[tuple[str, str]]) -> Paths:
    return write_inputs(tmp_path, tiny_encoder, rows, pairs)


def test_the_last_student_learns_the_mean_of_all_but_gold_labels_as_they_are(project: Paths, params: Change) -> None:
    task = read_task(project, finetune_params(params))
    mean = np.random.default_rng(0).dirichlet(np.ones(3), len(task.train)).astype(np.float32)
    targets = ensemble.distillation_targets(task, mean)
    gold = (task.train["origin"] == "gold").to_numpy()
    assert gold.sum() == 60 and (targets[gold].argmax(1) == task.train["target"][gold]).all()
    assert (targets[gold].max(1) == 1).all() and np.array_equal(targets[~gold], mean[~gold])


@pytest.mark.slow
def test_students_are_measured_singly_and_together_and_a_killed_run_goes_on_with_the_next(
    project: Paths, params: Change, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = finetune_params(params, students=3, start="random", lr=1e-2, epochs=6)
    broken = Paths(tmp_path / "broken")
    shutil.copytree(project.root / "data", broken.root / "data")
    metrics = run_finetune(project, settings)
    measured = metrics["ensemble"]
    assert measured["students"].keys() == {"0", "1", "2"}
    assert all(0 <= accuracy <= 1 for accuracy in measured["students"].values())
    assert 0.33 < measured["validation_accuracy"] <= 1 and 0.33 < measured["agreement"] <= 1
    assert metrics["best_validation_accuracy"] > 0.8
    curves = (project.scratch("finetune") / "curves.jsonl").read_text().splitlines()
    assert max(json.loads(line)["step"] for line in curves) == metrics["steps"] == 30

    train_student = student.train_student

    def die_in_the_second(task: Task, params: Any, *rest: Any) -> Any:
        if params.seed == 1:
            raise KeyboardInterrupt
        return train_student(task, params, *rest)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(student, "train_student", die_in_the_second)
        run_finetune(broken, settings)
    capsys.readouterr()
    assert run_finetune(broken, settings) == metrics
    log = capsys.readouterr().err
    assert "student 1 of 3" not in log and "student 2 of 3" in log and "the student of all" in log
    assert model_files(broken) == model_files(project)
    assert {path.name for path in broken.scratch("finetune").iterdir()} == {"curves.jsonl"}, "scratch is left behind"


def test_each_student_has_another_seed(project: Paths, params: Change, monkeypatch: pytest.MonkeyPatch) -> None:
    remove_validation_rows(project)
    calls: list[tuple[int, int, bool]] = []
    train_student = student.train_student

    def record_call(task: Task, params: Any, folder: Path, targets: Any = None) -> Any:
        calls.append((params.seed, params.students, targets is not None))
        return train_student(task, params, folder, targets)

    monkeypatch.setattr(student, "train_student", record_call)
    metrics = run_finetune(project, finetune_params(params, students=2, seed=5, max_steps=2))
    assert calls == [(5, 1, False), (6, 1, False), (5, 1, True)]
    assert metrics["ensemble"].keys() == {"agreement"}, "there is no validation split to be right on"


def test_students_that_take_no_step_are_refused(params: Change) -> None:
    with pytest.raises(UserError, match=r"finetune\.students: expected 1 with method teacher_head"):
        finetune_params(params, method="teacher_head", students=3)
