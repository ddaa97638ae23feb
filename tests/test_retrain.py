"""A month of nights on a real Prefect server, with real DVC, git and MLflow stores; the history is what is tested."""

from pathlib import Path

import month_project
import pytest
from flow_project import environment
from hooks import hook
from real_project import change

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
    every = ["promoted", "refused", "failed", "drift", "skipped"]
    with hook() as (place, posted):
        monkeypatch.setenv("HOOK", place)
        change(root, notify={"to": ["json://${HOOK}/a", "json://${NOBODY}/b"], "on": every})
        rows = simulate.play(root, MONTH, 0)
    checks = simulate.judge(MONTH, rows)
    assert [one.text for one in checks if not one.holds] == []
    told = [one["title"] for one in posted]
    assert len(told) == len(MONTH) - 1  # the one that was killed had no time to
    assert "gleaner-demo: promoted version 1" in told and "gleaner-demo: refused version 3, drift" in told
    unsent = [row["tags"].get("gleaner.unsent.0", "") for row in rows if row["outcome"] != "crashed"]
    assert all(line.startswith("notify.to[1]: expected the environment variable NOBODY") for line in unsent)
    corrected = next(row for kind, row in zip(MONTH, rows, strict=True) if kind == "corrections")
    assert corrected["errors.version_2.rows"] == 12 and 1 <= corrected["errors.version_2.wrong"] <= 12
