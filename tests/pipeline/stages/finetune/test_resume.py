"""Every way to fine-tune, killed and resumed, on real files with a tiny encoder."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.stage import Paths
from tests.support.finetuning import Change, Rows, cut, make, run, ways, weights, without_validation


@pytest.fixture
def project(tmp_path: Path, tiny_encoder: Path, rows: Rows, pairs: list[tuple[str, str]]) -> Paths:
    return make(tmp_path, tiny_encoder, rows, pairs)


MIXED: dict[str, dict[str, Any]] = {
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
    ("way", "validated"), [(way, validated) for validated, way in zip([True, False] * 4, MIXED, strict=False)]
)
def test_a_run_cut_off_ends_with_the_bytes_of_an_unbroken_one(
    project: Paths, params: Change, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str, validated: bool
) -> None:
    if not validated:
        without_validation(project)
    settings = ways(params, epochs=4.8, **MIXED[way])
    broken = Paths(tmp_path / "broken")
    shutil.copytree(project.root / "data", broken.root / "data")
    expected = run(project, settings)
    cut(broken, settings, monkeypatch, step=6)
    assert not (broken.data("finetune") / "model").exists()
    assert run(broken, settings) == expected
    assert weights(broken) == weights(project)
