"""`gleaner serve` as a process: it follows promotions and rollbacks, and survives whatever is taken from it."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tasks import registry
from tasks.registry import lookup, promotion_log
from tests.support import canary
from tests.support.promoting import (
    MODEL,
    ROOT,
    promote,
    register_scored,
    rollback,
    run_gleaner,
    set_limits,
    start_project,
)
from tests.support.service_load import Load, under_load
from tests.support.service_process import serving, set_serve

WITHOUT = """
import sys
from pipeline.serving import worker
from pipeline.serving.explaining import explain_texts
print("pandas" in sys.modules)
import sklearn.linear_model
print(sorted({"torch", "transformers", "spacy", "mlflow", "prefect", "dvc"} & set(sys.modules)))
"""
RIGHT = {"1": 300, "2": 350, "3": 390}  # version: the first so many test rows get the right label


@pytest.fixture
def root(tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with version 1 as champion."""
    root = start_project(tmp_path, store, monkeypatch)
    register_scored(root, RIGHT["1"])
    return root


def test_a_worker_imports_no_training_library_and_no_registry() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT], env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, check=True
    )
    assert done.stdout == b"False\n[]\n"  # pandas alone was a third of the imports' time


@pytest.mark.slow
def test_the_champion_answers_and_a_promotion_and_a_rollback_are_followed(root: Path) -> None:
    params = set_limits(root)
    with serving(root) as served:
        assert served.seconds < 10  # 3 s where nothing else runs
        assert served.predict("t0")["version"] == "1"
        register_scored(root, RIGHT["3"])
        promote(root, params)
        assert served.wait_for("version", "2") < 5
        rollback(root, params, why="a test")
        assert served.wait_for("version", "1") < 5
        about = served.client.get("/v1/model").json()
        assert (about["verdict"]["action"], about["verdict"]["reason"]) == ("rollback", "a test")

        # A bundle that was changed is refused, and the champion of before goes on.
        models = (root / "mlruns" / "gleaner").glob("*/artifacts/model/artifacts/bundle/*.onnx")
        before = {path: path.read_bytes() for path in models}
        for path in before:
            path.write_bytes(path.read_bytes() + b" ")
        enter_champion(root, "2")
        served.wait_for("problem", "version 2 is not served")
        assert served.predict("t0")["version"] == "1"
        for path, content in before.items():
            path.write_bytes(content)
        served.wait_for("version", "2")
        served.wait_for("problem", "")

        # The registry goes and comes back.
        (root / "mlflow.db").rename(root / "away.db")
        began = time.monotonic()
        while served.client.get("/readyz").json()["registry"]["reachable"]:
            assert time.monotonic() - began < 10
        assert served.predict("t0")["version"] == "2"
        assert "gleaner_registry_reachable 0.0" in served.client.get("/metrics").text
        (root / "away.db").rename(root / "mlflow.db")
        while not served.client.get("/readyz").json()["registry"]["reachable"]:
            assert time.monotonic() - began < 20
    assert "Traceback" not in served.log.read_text()


def enter_champion(root: Path, number: str) -> None:
    """Name a version champion in the promotion log, although `gleaner rollback` would refuse a changed bundle."""
    client = registry.connect(root)
    version = lookup.get_version(client, MODEL, number).identity
    draft = promotion_log.draft_entry("rollback", version, promotion_log.read(client, MODEL), "a test", "")
    promotion_log.append(client, MODEL, draft)


@pytest.mark.slow
def test_under_load_promotions_a_rollback_and_a_killed_worker_lose_nothing(root: Path) -> None:
    params = set_limits(root)
    set_serve(root, limits={"requests_per_second": 100_000, "burst": 100_000})
    load = Load(RIGHT)
    with serving(root) as served, under_load(served, load):
        for number in ("2", "3"):
            register_scored(root, RIGHT[number])
            promote(root, params)
            served.wait_for("version", number)
            time.sleep(0.5)
        served.kill_worker()
        time.sleep(0.5)
        served.wait_for("version", "3")
        rollback(root, params, why="a test")
        served.wait_for("version", "2")
        time.sleep(0.5)
    assert load.wrong == [] and set(load.answers) == set(RIGHT)
    assert load.confirmed and load.lost(root) == set()
    assert list((root / "inbox" / "feedback").glob(".*")) == []


@pytest.mark.slow
def test_no_text_is_left_anywhere_but_in_the_inbox(root: Path) -> None:
    word = "vireoserve"
    text = f"{word} t0"
    with serving(root) as served:
        ask = served.client.post
        for path in ("/v1/predict", "/v1/explain"):
            assert ask(path, json={"texts": [text]}).status_code == 200
        assert ask("/invocations", json={"instances": [text]}).status_code == 200
        for body in ({"texts": text}, {text: 1}, {"texts": [text], "top_k": text}, {"texts": [text] * 300}):
            response = ask("/v1/predict", json=body)
            assert 400 <= response.status_code < 500 and word not in response.text
        (labelled,) = ask("/v1/predict", json={"texts": [text]}).json()["predictions"]
        assert ask("/v1/feedback", json={"id": labelled["id"], "label": "refund"}).status_code == 200
        ask(f"/{word}?{word}", content=text.encode())
        ask("/v1/predict", content=f'{{"texts": ["{word}'.encode())
        assert ask("/v1/feedback", json={"text": text, "label": "refund"}).status_code == 200
        assert ask("/v1/feedback", json={"text": text, "label": word}).status_code == 422
        assert word not in served.client.get("/metrics").text.lower() + served.client.get("/readyz").text
    files = [path for path in root.rglob("*") if path.is_file()]  # those of data/traffic, too
    assert {path.name.split("-")[0] for path in (root / "data" / "traffic").rglob("*.parquet")} == {
        "answers",
        "feedback",
    }
    found = canary.find_words([word], files)[word]
    assert len(found) == 2 and all(path.startswith(f"{root}/inbox/feedback/service-") for path in found)


@pytest.mark.slow
def test_what_is_wrong_with_a_start_is_one_line(root: Path) -> None:
    for options, message in (
        (["--no-auth", "--host", "0.0.0.0"], "--no-auth: expected a service on loopback"),
        (["--version", "9"], "expected one of its versions 1"),
        (["--bundle", "nowhere"], "expected a sealed model bundle"),
    ):
        done = run_gleaner(root, "serve", "--port", "0", *options)
        assert done.returncode == 2 and message in done.stderr, done.stderr
        assert "Traceback" not in done.stderr
    key = run_gleaner(root, "keys", "create", "shop", "--scope", "predict").stdout.split()[-1]
    assert key.startswith("gleaner_")
    assert "shop\tpredict" in run_gleaner(root, "keys", "list").stdout
    assert run_gleaner(root, "keys", "revoke", "shop").returncode == 0
    assert registry.connect(root).get_model_version(MODEL, "1")
