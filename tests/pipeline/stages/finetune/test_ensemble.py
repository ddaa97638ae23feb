"""Several students, and one who learns from all of them."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.core.errors import UserError
from pipeline.core.stage import Paths
from pipeline.stages.finetune import ensemble, student
from pipeline.stages.finetune.student import Task
from tests.support.finetuning import (
    Change,
    Rows,
    make,
    run,
    task,
    ways,
    weights,
    without_validation,
)


@pytest.fixture
def project(tmp_path: Path, tiny_encoder: Path, rows: Rows, pairs: list[tuple[str, str]]) -> Paths:
    return make(tmp_path, tiny_encoder, rows, pairs)


def test_the_last_student_learns_the_mean_of_all_but_given_labels_as_they_are(project: Paths, params: Change) -> None:
    given = task(project, ways(params))
    mean = np.random.default_rng(0).dirichlet(np.ones(3), len(given.train)).astype(np.float32)
    wanted = ensemble.targets(given, mean)
    gold = (given.train["origin"] == "gold").to_numpy()
    assert gold.sum() == 60 and (wanted[gold].argmax(1) == given.train["target"][gold]).all()
    assert (wanted[gold].max(1) == 1).all() and np.array_equal(wanted[~gold], mean[~gold])


@pytest.mark.slow
def test_students_are_judged_alone_and_together_and_a_killed_run_goes_on_with_the_next(
    project: Paths, params: Change, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = ways(params, students=3, start="random", lr=1e-2, epochs=6)
    broken = Paths(tmp_path / "broken")
    shutil.copytree(project.root / "data", broken.root / "data")
    metrics = run(project, settings)
    found = metrics["ensemble"]
    assert found["students"].keys() == {"0", "1", "2"} and all(0 <= right <= 1 for right in found["students"].values())
    assert 0.33 < found["validation_accuracy"] <= 1 and 0.33 < found["agreement"] <= 1
    assert metrics["best_validation_accuracy"] > 0.8
    curves = (project.scratch("finetune") / "curves.jsonl").read_text().splitlines()
    assert max(json.loads(line)["step"] for line in curves) == metrics["steps"] == 30

    learn = student.learn

    def killed_in_the_second(task: Task, params: Any, *rest: Any) -> Any:
        if params.seed == 1:
            raise KeyboardInterrupt
        return learn(task, params, *rest)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(student, "learn", killed_in_the_second)
        run(broken, settings)
    capsys.readouterr()
    assert run(broken, settings) == metrics
    said = capsys.readouterr().err
    assert "student 1 of 3" not in said and "student 2 of 3" in said and "the student of all" in said
    assert weights(broken) == weights(project)
    assert {path.name for path in broken.scratch("finetune").iterdir()} == {"curves.jsonl"}, "scratch is left behind"


def test_a_students_seed_is_its_own(project: Paths, params: Change, monkeypatch: pytest.MonkeyPatch) -> None:
    without_validation(project)
    seen: list[tuple[int, int, bool]] = []
    learn = student.learn

    def watched(task: Task, params: Any, folder: Path, targets: Any = None) -> Any:
        seen.append((params.seed, params.students, targets is not None))
        return learn(task, params, folder, targets)

    monkeypatch.setattr(student, "learn", watched)
    metrics = run(project, ways(params, students=2, seed=5, max_steps=2))
    assert seen == [(5, 1, False), (6, 1, False), (5, 1, True)]
    assert metrics["ensemble"].keys() == {"agreement"}, "there is no validation split to be right on"


def test_students_that_take_no_step_are_refused(params: Change) -> None:
    with pytest.raises(UserError, match=r"finetune\.students: expected 1 with method teacher_head"):
        ways(params, method="teacher_head", students=3)
