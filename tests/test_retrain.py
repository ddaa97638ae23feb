"""A month of nights on a real Prefect server, with real DVC, git and MLflow stores; the history is what is tested."""

from pathlib import Path

import month_project
import pytest
from flow_project import environment

from flows import simulate
from flows.server import address
from pipeline.month import Kind


MONTH: list[Kind] = ["quiet", "labels", "quiet", "drift", "bad labels", "withdrawn", "corrections", "crash", "quiet"]


@pytest.mark.slow
def test_a_month_of_nights(tmp_path: Path, prefect_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    root = month_project.make(tmp_path)
    for name, value in environment(root).items():
        monkeypatch.setenv(name, value)
    address(root / ".prefect").parent.mkdir()
    address(root / ".prefect").write_text(prefect_server)
    monkeypatch.chdir(root)
    rows = simulate.play(root, MONTH, 0)
    checks = simulate.judge(MONTH, rows)
    assert [one.text for one in checks if not one.holds] == []
