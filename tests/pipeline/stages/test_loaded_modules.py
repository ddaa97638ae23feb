"""A stage imports what it uses: importing it loads no heavy library, and stages that tabulate end without torch."""

import shutil
from pathlib import Path

import pytest

from pipeline.core.params import read_yaml, to_yaml
from tests.support.flow_project import ROOT
from tests.support.loaded_modules import loaded_by

STAGES = read_yaml(ROOT / "dvc.yaml")["stages"]
# What a stage may have loaded when it ends. Synonyms are sklearn's list of stop words, NLTK's WordNet and nlpaug.
TABULATING: dict[str, set[str]] = {
    "ingest": set(),
    "synonyms": {"sklearn", "scipy", "nltk", "nlpaug"},
    "back_translate": set(),
    "swaps": set(),
}


@pytest.mark.parametrize("stage", STAGES)
def test_importing_a_stage_loads_no_heavy_library(stage: str, tmp_path: Path) -> None:
    assert loaded_by(tmp_path, "-c", f"import pipeline.stages.{stage}") == set()


@pytest.mark.slow
def test_stages_that_tabulate_load_only_what_they_use(tmp_path: Path) -> None:
    """Run one after another on a few labelled rows of the demo."""
    shutil.copytree(ROOT / "data" / "demo", tmp_path / "data" / "demo")
    shutil.copytree(ROOT / "data" / "identity_terms", tmp_path / "data" / "identity_terms")
    params = read_yaml(ROOT / "params.yaml")
    params["synonyms"]["variants"] = 1
    params["swaps"]["variants"] = 1
    (tmp_path / "params.yaml").write_text(to_yaml(params))
    loaded = {stage: loaded_by(tmp_path, "-m", f"pipeline.stages.{stage}") for stage in TABULATING}
    assert loaded == TABULATING
    assert all((tmp_path / "data" / stage / "metrics.json").exists() for stage in TABULATING)
