"""Each method of fine-tuning, killed and resumed, on real files with a tiny encoder."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.stage import Paths
from tests.support.finetuning import (
    Change,
    Rows,
    finetune_params,
    model_files,
    remove_validation_rows,
    run_finetune,
    run_until_checkpoint,
    write_inputs,
)


@pytest.fixture
def project(tmp_path: Path, tiny_encoder: Path, rows: Rows, pairs: list[tuple[str, str]]) -> Paths:
    return write_inputs(tmp_path, tiny_encoder, rows, pairs)


CHANGES: dict[str, dict[str, Any]] = {
    "adversarial": {"adversarial": 0.05, "gradient_accumulation": 2, "precision": "bfloat16"},
    "joint": {"joint_weight": 2.0, "gradient_accumulation": 2},
    "lora": {"method": "lora"},
    "adalora": {"method": "adalora", "gradient_accumulation": 2},
    "prefix": {"method": "prefix"},
    "bottleneck": {"method": "bottleneck"},
    "all": {"method": "adalora", "adversarial": 0.5, "joint_weight": 2.0, "precision": "bfloat16"},
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "validated"),
    [(method, validated) for validated, method in zip([True, False] * 4, CHANGES, strict=False)],
)
def test_a_killed_run_ends_with_the_bytes_of_an_unbroken_one(
    project: Paths, params: Change, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, validated: bool
) -> None:
    if not validated:
        remove_validation_rows(project)
    settings = finetune_params(params, epochs=4.8, **CHANGES[method])
    broken = Paths(tmp_path / "broken")
    shutil.copytree(project.root / "data", broken.root / "data")
    expected = run_finetune(project, settings)
    run_until_checkpoint(broken, settings, monkeypatch, step=6)
    assert not (broken.data("finetune") / "model").exists()
    assert run_finetune(broken, settings) == expected
    assert model_files(broken) == model_files(project)
