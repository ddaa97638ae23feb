"""What several workers of `gleaner serve` keep of traffic, also when they are killed."""

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from pipeline.serving.traffic_files import ANSWERS
from pipeline.serving.traffic_reader import read_tables, to_traffic
from tests.support.promoting import register_scored, start_project, words
from tests.support.service_process import Served, serving, set_serve


def ask(served: Served, text: str) -> list[str]:
    """The ids of a prediction; none where the worker was killed with the request in hand."""
    try:
        answer = httpx.post(
            f"{served.client.base_url}/v1/predict",
            json={"texts": [text]},
            headers=served.client.headers,
            trust_env=False,
        )
    except httpx.TransportError:
        return []
    return [row["id"] for row in answer.json()["predictions"]]


@pytest.mark.slow
def test_files_of_workers_that_are_killed_are_whole(
    tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = start_project(tmp_path, store, monkeypatch)
    register_scored(root, 400)
    set_serve(root, workers=2)
    set_serve(root, "monitor", keep={"seconds_per_file": 0.2})
    folder, began = root / "data" / "traffic", datetime.now(UTC)
    with serving(root) as served:
        asked = [id_ for text in words("t", 200) for id_ in ask(served, text)]
        time.sleep(0.5)  # above seconds_per_file: all of these are on the disk
        later = []
        for number, text in enumerate(words("t", 100)):
            if number in (30, 60):
                served.kill_worker()
            later += ask(served, text)
    tables, damaged = read_tables(folder, ANSWERS, began, began + timedelta(hours=1))
    kept = to_traffic(tables).ids.tolist()
    assert damaged == 0 and len(set(kept)) == len(kept)
    assert set(asked) <= set(kept) <= {*asked, *later}
    assert set(kept) & set(later)
    pids = {path.name.split("-")[2] for path in folder.rglob("*.parquet")}
    assert len(pids) >= 2, json.dumps(sorted(pids))
