"""Inputs that change while a stage runs: what the stage made is not kept, and nothing claims to know its inputs."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.core.params import read_yaml
from tests.support.stage_project import make_stages, run_stage, shell_stage

ROOT = Path(__file__).parents[2]
FILES = {"raw": "1", "params.yaml": "lr: 1\n", "tool.py": "1\n"}


def make(root: Path, command: str) -> Path:
    """A project with one stage that reads raw, lr and tool.py, and copies raw after ``command``."""
    rest: dict[str, Any] = {"deps": ["raw", "tool.py"], "params": ["lr"]}
    return make_stages(
        root, {"learn": shell_stage("learn", f"{command}; cp raw data/learn/out", ["out"], **rest)}, FILES
    )


@pytest.mark.parametrize(
    ("command", "named"),
    [
        ("[ -e seen ] || echo 'lr: 2' > params.yaml; touch seen", "params.yaml:lr"),
        ("[ -e seen ] || echo 2 > tool.py; touch seen", "tool.py"),
        ("[ -e seen ] || echo 2 > raw; touch seen", "raw"),
    ],
)
def test_a_stage_whose_input_changes_meanwhile_fails_and_runs_again(tmp_path: Path, command: str, named: str) -> None:
    root = make(tmp_path, command)
    outcome = run_stage(root, "learn")
    assert outcome.status == "failed" and outcome.user_error and "\n" not in outcome.message
    assert f"found that {named} changed" in outcome.message
    assert not (read_yaml(root / "dvc.lock").get("stages") if (root / "dvc.lock").exists() else None)
    assert not [path for path in (root / ".dvc" / "cache" / "runs").rglob("*") if path.is_file()]
    assert run_stage(root, "learn").status == "ran"  # with what is there now
    assert run_stage(root, "learn").status == "cached"


def test_any_value_of_params_is_the_same_before_and_after(tmp_path: Path) -> None:
    sections = list(read_yaml(ROOT / "params.yaml"))
    learn = shell_stage("learn", "cp raw data/learn/out", ["out"], deps=["raw"], params=[*sections, "odd"])
    odd = "odd: {a: 3e-5, b: 1.0e-10, c: .5, d: 1e400, e: ~, f: 'no', g: no, h: 0o17, i: 1_000, j: 'é\\n'}\n"
    files = {"raw": "1", "params.yaml": (ROOT / "params.yaml").read_text() + odd}
    make_stages(tmp_path, {"learn": learn}, files)
    assert run_stage(tmp_path, "learn").status == "ran"
    assert run_stage(tmp_path, "learn").status == "cached"


def test_a_setting_of_another_stage_may_change_meanwhile(tmp_path: Path) -> None:
    root = make(tmp_path, "echo 'other: 1' >> params.yaml")
    assert run_stage(root, "learn").status == "ran"
