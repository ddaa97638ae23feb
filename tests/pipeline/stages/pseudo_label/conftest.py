"""Fixtures of the tests of pseudo-labels: the section of the params, and the stage on a tiny encoder."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from pipeline.core.params import Params, PseudoLabel
from pipeline.core.stage import Metrics, Paths
from pipeline.stages.pseudo_label import run
from tests.support.pseudo_stage import RunStage, project


@pytest.fixture
def pseudo_params(params: Callable[..., Params]) -> PseudoLabel:
    return params().pseudo_label


@pytest.fixture
def stage(
    tmp_path: Path,
    rows: Callable[..., pd.DataFrame],
    pairs: list[tuple[str, str]],
    tiny_encoder: Path,
    params: Callable[..., Params],
) -> RunStage:
    """``stage(gold, held_out=0, descriptions=None, **pseudo_label params)`` runs the stage on the tiny encoder."""

    def run_stage(
        gold: int, held_out: int = 0, descriptions: dict[str, str] | None = None, **changes: object
    ) -> tuple[Paths, Metrics]:
        paths = project(tmp_path, rows, pairs, tiny_encoder, gold, held_out, descriptions)
        changed = params({"pseudo_label": changes})
        return paths, run(changed.pseudo_label, changed.encoder, changed.mitigation, paths)

    return run_stage
