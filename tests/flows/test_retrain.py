"""The history of a simulated month of nights, on a real Prefect server with real DVC, git and MLflow stores."""

import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pandas as pd
import pytest

from cli import simulate
from pipeline.experiments.simulated_month import Kind
from tests.support import month_project
from tests.support.flow_project import announce_server, tool_environment
from tests.support.hooks import webhook
from tests.support.real_project import set_params

MONTH: list[Kind] = ["quiet", "labels", "quiet", "drift", "bad labels", "withdrawn", "corrections", "crash", "quiet"]


@pytest.mark.slow
def test_a_month_of_nights(
    tmp_path: Path, prefect_server: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    prefect = Path(os.environ["PREFECT_HOME"])
    root = month_project.make_project(tmp_path)
    for name, value in tool_environment(root).items():
        monkeypatch.setenv(name, value)
    announce_server(root, prefect_server)
    monkeypatch.chdir(root)
    events = ["promoted", "refused", "failed", "drift", "skipped"]
    with webhook() as (address, posted):
        monkeypatch.setenv("HOOK", address)
        set_params(root, notify={"to": ["json://${HOOK}/a", "json://${NOBODY}/b"], "on": events})
        # Prefect reads its settings on import, and other tests have imported it in this process.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as new_process:
            rows = new_process.submit(simulate.play_nights, root, MONTH, 0).result()
    checks = simulate.check_history(MONTH, rows)
    assert [check.text for check in checks if not check.holds] == []
    titles = [message["title"] for message in posted]
    assert len(titles) == len(MONTH) - 1  # the killed night sent none
    assert "gleaner-demo: promoted version 1" in titles and "gleaner-demo: refused version 3, drift" in titles
    unsent = [row["tags"].get("gleaner.unsent.0", "") for row in rows if row["outcome"] != "crashed"]
    assert all(line.startswith("notify.to[1]: expected the environment variable NOBODY") for line in unsent)
    corrected = next(row for kind, row in zip(MONTH, rows, strict=True) if kind == "corrections")
    assert corrected["errors.version_2.rows"] == 12 and 1 <= corrected["errors.version_2.wrong"] <= 12
    assert files_with_leaks(root, prefect) == []
    printed = capfd.readouterr().out
    assert "2026-01-04 drift: refused" in printed
    assert not [text for text in arrived_texts(root) if text in printed]


def arrived_texts(root: Path) -> list[str]:
    """A tenth of the longer texts that arrived."""
    rows = pd.concat([pd.read_parquet(path) for path in (root / "arrivals").glob("*.parquet")])
    return [text for text in rows["text"] if len(text) > 40][::10]


def files_with_leaks(root: Path, prefect: Path) -> list[str]:
    """Files outside the data, including MLflow's and Prefect's, that hold one of the arrived texts."""
    data = [root / name for name in ("data", "arrivals", "inbox", ".dvc", ".git")]
    files = [path for path in [*root.rglob("*"), *prefect.rglob("*")] if path.is_file()]
    files = [path for path in files if not any(folder in path.parents for folder in data)]
    assert {"mlflow.db", "prefect.db"} <= {path.name for path in files}
    texts = [text.encode() for text in arrived_texts(root)]
    assert len(texts) > 20
    return [path.as_posix() for path in files if any(text in path.read_bytes() for text in texts)]
