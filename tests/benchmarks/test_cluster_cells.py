"""Cells of the benchmark on a real cluster of two nodes have the scores of one process."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks import cells, project
from benchmarks.cells import Cell, SharedSetup
from benchmarks.cluster_cells import run_cells
from benchmarks.project import BenchmarkPaths
from benchmarks.tasks import Rows, Task
from pipeline.core.params import to_yaml
from tests.support.two_nodes import two_nodes


@pytest.mark.slow
@pytest.mark.weekly
def test_the_seeds_of_a_method_run_on_the_cluster(tmp_path: Path, params: Any, pairs: list[tuple[str, str]]) -> None:
    texts, labels = [text for text, _ in pairs], [label for _, label in pairs]
    task = Task("tiny", Rows(texts[::2], labels[::2]), [], Rows(texts[1::2], labels[1::2]), {})
    records = {}
    with two_nodes():
        for engine in ("local", "ray"):
            paths = BenchmarkPaths(tmp_path / "params.yaml", *(tmp_path / engine / name for name in "abcd"))
            paths.params.write_text(to_yaml(params({"compute": {"engine": engine}}).model_dump(mode="json")))
            shared = SharedSetup(task, project.cell_params(task, paths.params), tmp_path, 0.01, "digest")
            asked = [Cell(2, seed, cells.parse_method("tfidf")) for seed in (0, 1)]
            records[engine] = list(run_cells(asked, shared, paths))
    assert [record["seed"] for record in records["ray"]] == [0, 1]
    for near, far in zip(records["local"], records["ray"], strict=True):
        assert "error" not in near and far["accuracy"] == near["accuracy"] and far["macro_f1"] == near["macro_f1"]
        assert far["fingerprint"] == near["fingerprint"]
