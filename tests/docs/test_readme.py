"""The README is short, and what it draws and lists of the stages is what dvc.yaml has."""

import itertools
import re
from pathlib import Path

from pipeline.core.params import read_yaml
from pipeline.stages.report.graph import transitive_reduction, upstream_stages
from pipeline.stages.report.page import STAGE_PURPOSES
from tests.support.documents import blocks, split

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PIPELINE = read_yaml(ROOT / "dvc.yaml")
STAGES = list(PIPELINE["stages"])
GRAPH = next(block.text for block in blocks(ROOT / "README.md") if block.language == "mermaid")
AFTER_THE_STAGES = {("report", "gate"), ("gate", "register")}  # in the flow only
MOST_WORDS = 1300


def test_the_readme_is_short() -> None:
    assert len(README.split()) <= MOST_WORDS


def test_every_stage_is_a_node_of_the_graph_once() -> None:
    nodes = re.findall(r"^ *(\w+)\[", GRAPH, re.MULTILINE)
    assert sorted(nodes) == sorted([*STAGES, "gate", "register"])


def test_the_graph_has_the_arrows_of_dvc_yaml() -> None:
    drawn = set()
    for line in re.findall(r"^ *(\w.*-->.*)$", GRAPH, re.MULTILINE):
        sides = [re.split(r"\s*&\s*", side.strip()) for side in line.split("-->")]
        for sources, targets in itertools.pairwise(sides):
            drawn |= {(source, target) for source in sources for target in targets}
    assert drawn == set(transitive_reduction(upstream_stages(PIPELINE))) | AFTER_THE_STAGES


def test_the_printed_run_has_every_stage_in_order() -> None:
    table = README.split("┃ stage")[1].split("└")[0]
    assert re.findall(r"│ (\w+)\s+│ ran ", table) == STAGES


def test_every_folder_and_file_of_the_tree_exists() -> None:
    tree = README.split("## What is where")[1].split("```")[1].partition("\n")[2]
    folder, missing = "", []
    for line in tree.splitlines():
        words, indent = line.split("  ")[0].strip() or line.strip().split("  ")[0], len(line) - len(line.lstrip())
        for word in split(words):
            path = word if indent == 0 else f"{folder}{word}"
            missing += [] if (ROOT / path).exists() else [path]
        folder = folder if indent else words
    assert missing == []


def test_the_report_says_what_each_stage_is_for() -> None:
    assert list(STAGE_PURPOSES) == [stage for stage in STAGES if stage != "report"]
