"""How long a run will take: by what its stages took here last, or by the demo's run."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.core.params import Params, load_params, to_yaml
from pipeline.core.stage import write_json
from tasks import durations
from tasks.durations import Estimate

ROOT = Path(__file__).parents[2]
GRAPH = {"ingest": [], "pretrain": ["ingest"], "synonyms": ["ingest"], "pseudo_label": ["pretrain", "synonyms"]}


@pytest.fixture
def params() -> Params:
    return load_params(ROOT / "params.yaml")


@pytest.mark.parametrize(
    ("estimate", "line"),
    [
        (
            Estimate({"pseudo_label": 120.0, "export": 20.0}, 140.0, True),
            "about 2.3 min (1.6 min to 3.5 min): pseudo_label 2.0 min, export 20 s",
        ),
        (
            Estimate(dict(zip("abcdef", [60.0, 5.0, 4.0, 3.0, 2.0, 1.0], strict=True)), 60.0, False),
            "about 60 s (24 s to 2.5 min, from the demo's run): a 60 s, b 5 s, c 4 s, d 3 s, 2 more 3 s",
        ),
        (
            Estimate({"export": 20.0, "finetune": None}, 20.0, True),
            "more than 20 s (14 s to 30 s): export 20 s, finetune not known before its first run",
        ),
        (Estimate({}, 0.0, True), ""),
    ],
)
def test_an_estimate_is_one_line(estimate: Estimate, line: str) -> None:
    assert estimate.line == line


def test_the_demo_is_estimated_at_what_it_took(params: Params) -> None:
    seconds = {name: durations.estimate_from_demo(name, params, 2314, 1.0) for name in durations.DEMO_SECONDS}
    assert seconds == pytest.approx(durations.DEMO_SECONDS)


def test_ten_times_the_rows_and_a_larger_encoder_take_longer_but_for_the_start(params: Params) -> None:
    assert durations.scale(12.0, 1000, 100) == 2 + 10 * 10
    assert durations.scale(12.0, 0, 100) == 12  # no count of rows
    assert durations.estimate_from_demo("export", params, 2314, 8.0) == pytest.approx(2 + 17.4 * 8)
    assert durations.estimate_from_demo("synonyms", params, 2314, 8.0) == pytest.approx(9.9)


def test_training_and_an_unknown_encoder_have_no_estimate_before_their_first_run(params: Params) -> None:
    full = params.model_copy(update={"finetune": params.finetune.model_copy(update={"method": "full"})})
    assert durations.estimate_from_demo("finetune", full, 2314, 1.0) is None
    assert durations.estimate_from_demo("export", params, 2314, None) is None
    hub = params.encoder.model_copy(update={"source": "hub", "name": "no/such", "revision": "0" * 40})
    assert durations.encoder_factor(params.model_copy(update={"encoder": hub})) is None


def test_the_total_is_that_of_the_longest_chain() -> None:
    assert durations.longest_chain({"pretrain": 1.0, "synonyms": 5.0, "pseudo_label": 10.0}, GRAPH) == 15


def test_what_a_stage_took_counts_for_the_stages_that_will_run(tmp_path: Path, params: Params) -> None:
    """Of three stages in a row, the last two will run; one of them ran here before, with half as many rows."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    graph = {"ingest": [], "synonyms": ["ingest"], "report": ["synonyms"]}
    stages = {
        name: {"cmd": f"echo {name} > {name}", "deps": needs, "outs": [name], "params": ["report"]}
        for name, needs in graph.items()
    }
    (tmp_path / "dvc.yaml").write_text(to_yaml({"stages": stages}))
    counts = {"train": 50, "validation": 0, "test": 10, "unlabelled": 40}
    write_json({"rows": counts}, tmp_path / "data" / "ingest" / "metrics.json")
    dvc = [sys.executable, "-m", "dvc"]
    for command in (["git", "init", "-q"], [*dvc, "init", "-q"], [*dvc, "repro", "-q", "ingest"]):
        subprocess.run(command, cwd=tmp_path, check=True)
    durations.record_duration(tmp_path, "synonyms", 12.0)
    write_json({"rows": counts | {"unlabelled": 140}}, tmp_path / "data" / "ingest" / "metrics.json")
    estimate = durations.estimate_stages(tmp_path, params, graph)
    assert estimate.by_stage.keys() == {"synonyms", "report"} and not estimate.ran_here
    assert estimate.by_stage["synonyms"] == 22.0
    record = tmp_path / "data" / "scratch" / "synonyms" / "duration.json"
    assert json.loads(record.read_text())["rows"] == 100
    record.write_text("{")  # as a full disk leaves it
    assert durations.estimate_stages(tmp_path, params, graph).by_stage["synonyms"] != 22.0
