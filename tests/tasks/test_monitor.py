"""`gleaner monitor` and the looks of a running service: real versions, real traffic over loopback, real files."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from prefect.logging import disable_run_logger

from pipeline.core import table
from pipeline.core.params import load_params
from pipeline.core.stage import Paths
from pipeline.labelling.arrivals import ReadArrivals
from pipeline.policies.monitoring.finding import TrafficLook
from pipeline.serving.findings_file import FINDINGS_FILE, read_look
from tasks import traffic
from tasks.registry.nights import Champion
from tests.support import canary
from tests.support.hooks import webhook
from tests.support.promoting import (
    LABELS,
    register_answers,
    right_label,
    run_gleaner,
    start_project,
    without_prefect,
    words,
    write_split,
)
from tests.support.service_process import Served, serving, set_serve
from tests.support.traffic import WIDTH

ROWS = 200
FOREIGN = "vireoforeign"


def directions(names: list[str]) -> dict[str, list[float]]:
    """The vector of each word: around its class, and of foreign words around something else."""
    rng = np.random.default_rng(0)
    axis = {**{label: number for number, label in enumerate(LABELS)}, "": 2}
    return {
        name: (
            6 * np.eye(WIDTH)[axis["" if name.startswith(FOREIGN) else right_label(name)]] + rng.normal(0, 3, WIDTH)
        ).tolist()
        for name in names
    }


def make_project(tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a champion that was trained on words n0 to n199, and knows others."""
    root = start_project(tmp_path, store, monkeypatch)
    write_split(root, "train", words("n", ROWS))
    foreign = [f"{FOREIGN}{number}" for number in range(ROWS)]
    asked = [*words("n", ROWS), *words("t", ROWS)]
    answer = {word: right_label(word) for word in asked} | dict.fromkeys(foreign, LABELS[0])
    test = words("t", ROWS)
    out = Paths(root).data("evaluate")
    out.mkdir(parents=True)
    rows = pd.DataFrame({"id": test, "label": list(map(right_label, test)), "confidence": 0.99})
    scores = {f"score.{label}": rows["label"].eq(label) * 0.98 + 0.01 for label in LABELS}
    rows.assign(predicted=rows["label"], **scores).to_parquet(out / "predictions.parquet")
    register_answers(root, answer, LABELS, directions([*asked, *foreign]))
    set_serve(root, "monitor", keep={"seconds_per_file": 0.2})
    set_serve(root, "drift", permutations=500)
    return root


def ask(served: Served, texts: list[str]) -> list[dict[str, Any]]:
    """The predictions of texts, once they are on the disk."""
    predictions: list[dict[str, Any]] = served.predict(*texts)["predictions"]
    time.sleep(1)  # above monitor.keep.seconds_per_file
    return predictions


def look_as_a_night(root: Path) -> TrafficLook | None:
    """What a night sees of the champion's traffic."""
    now, params = datetime.now(UTC), load_params(root / "params.yaml")
    with disable_run_logger():
        look: TrafficLook | None = without_prefect(traffic.look_at_champion)(
            root, params, Champion("1", ReadArrivals(), now), now
        )
    return look


@pytest.mark.slow
def test_foreign_texts_are_found_and_told_once(tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_project(tmp_path, store, monkeypatch)
    with webhook() as (server, posted), serving(root) as served:
        set_serve(root, "notify", to=[f"json://{server}/alerts"])
        ask(served, words("t", ROWS))
        before = run_gleaner(root, "monitor", "--notify", "--json")
        assert before.returncode == 0, before.stderr
        look = json.loads(before.stdout)
        assert (look["version"], look["rows"], look["texts"], look["keys"]) == ("1", ROWS, ROWS, 1)
        statuses = {finding["name"]: finding["status"] for finding in look["findings"]}
        assert statuses["texts"] == statuses["answers"] == statuses["accuracy"] == "none"
        assert posted == []

        for prediction in ask(served, [f"{FOREIGN}{number}" for number in range(ROWS)])[:60]:
            given = served.client.post("/v1/feedback", json={"id": prediction["id"], "label": LABELS[1]})
            assert given.status_code == 200
        time.sleep(1)
        for _ in range(2):
            after = run_gleaner(root, "monitor", "--notify", "--html", "look.html")
            assert after.returncode == 1, after.stderr
        lines = {line.split()[0]: line for line in after.stdout.splitlines() if "FOUND" in line}
        assert {"texts", "answers", "feedback"} <= set(lines)
        metrics = served.client.get("/metrics").text
        night = look_as_a_night(root)
        assert 'gleaner_monitor_found{finding="texts",key="",version="1"} 1.0' in metrics
    assert "Traffic of version 1" in (root / "look.html").read_text() and "page: look.html" in after.stderr
    assert "put texts like these into inbox/texts and run `gleaner retrain`" in after.stdout
    assert night is not None and night.named("texts").status == "found"
    (message,) = posted
    body = message["message"]
    assert "begun: texts: drift" in body and "begun: feedback: 0 of 60" in body
    found = canary.find_words([FOREIGN], [path for path in root.rglob("*") if path.is_file()])[FOREIGN]
    allowed = (f"{root}/inbox/feedback/", f"{root}/made/", f"{root}/mlruns/")  # the vocabulary is in the bundle
    assert [path for path in found if not path.startswith(allowed)] == []
    assert FOREIGN not in body + after.stdout + after.stderr + metrics


@pytest.mark.slow
def test_a_running_service_looks_by_itself(tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_project(tmp_path, store, monkeypatch)
    set_serve(root, "monitor", every_minutes=0.02)
    with serving(root) as served:
        ask(served, [f"{FOREIGN}{number}" for number in range(ROWS)])
        began = time.monotonic()
        while 'gleaner_monitor_found{finding="texts",key="",version="1"} 1.0' not in served.client.get("/metrics").text:
            assert time.monotonic() - began < 300, served.log.read_text()
            time.sleep(0.5)
    look = read_look(root / "data" / "traffic" / FINDINGS_FILE)
    assert look is not None and look.version == "1" and look.named("answers").status == "found"
    assert "Traceback" not in served.log.read_text()


@pytest.mark.slow
def test_what_is_wrong_is_one_line(tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = start_project(tmp_path, store, monkeypatch)
    assert table.read(Paths(root).data("ingest") / "train.parquet").shape[0] == 1
    none = run_gleaner(root, "monitor")
    assert none.returncode == 2 and "expected a registered version, found none" in none.stderr
    register_answers(root, {"t0": LABELS[0], "t1": LABELS[1]}, LABELS)
    nothing = run_gleaner(root, "monitor")
    assert nothing.returncode == 0 and "version 1: 0 texts" in nothing.stdout and "insufficient" in nothing.stdout
    assert "Answers of the last 60 seconds may not be written yet" in nothing.stdout
    set_serve(root, "monitor", path=None)
    off = run_gleaner(root, "monitor")
    assert off.returncode == 2 and "monitor.path: expected a folder" in off.stderr
    assert "Traceback" not in none.stderr + nothing.stderr + off.stderr
