"""What the README draws and lists of the stages is what dvc.yaml has."""

import re
from pathlib import Path

import pytest

from pipeline.params import read_yaml
from pipeline.report.graph import reduced, upstream
from pipeline.report.page import ABOUT

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PIPELINE = read_yaml(ROOT / "dvc.yaml")
STAGES = list(PIPELINE["stages"])
GRAPH = README.split("## The graph")[1].split("```")[1].split("and then, in the flow only")[0]


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_stands_once_in_the_graph(stage: str) -> None:
    assert len(re.findall(rf"(?<!\w){stage}(?!\w)", GRAPH)) == 1


def test_the_graph_has_an_arrow_into_every_stage_but_the_first() -> None:
    drawn = re.findall(r"► (\w+)", GRAPH)
    assert sorted(drawn) == sorted(stage for stage in STAGES if stage != "ingest")
    needs = reduced(upstream(PIPELINE))
    assert {("evaluate", "explain"), ("evaluate", "fairness"), ("export", "counterfactual")} <= set(needs)


def test_the_printed_run_has_every_stage_in_order() -> None:
    table = README.split("┃ stage")[1].split("└")[0]
    assert re.findall(r"│ (\w+)\s+│ ran ", table) == STAGES


def test_the_report_says_what_each_stage_is_for() -> None:
    assert list(ABOUT) == [stage for stage in STAGES if stage != "report"]
