"""A registered version loads, predicts and serves with MLflow; one whose model file was changed does not."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import mlflow
import pandas as pd
import pytest

import gleaner
from flows.prefect_server import free_port
from pipeline.core.errors import UserError
from pipeline.core.params import Params
from tasks import registry

ROOT = Path(__file__).parents[3]
BIN = Path(sys.executable).parent


def test_a_registered_version_loads_and_predicts(
    project: Path, local: Params, opened: registry.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = registry.register_or_reuse(project, local, opened)
    loaded = mlflow.pyfunc.load_model(f"models:/{version.model}@champion")
    answers = loaded.predict(pd.DataFrame({"text": ["money", "parcel"]}))
    assert answers["label"].tolist() == ["refund", "delivery"] and answers["confidence"].min() > 0.9
    assert answers["version"].tolist() == [version.number] * 2
    with pytest.raises(UserError, match="expected one text a row, found list in row 0"):
        loaded.predict({"text": ["money", "parcel"]})
    model = gleaner.load(f"models:/{version.model}@champion", project=project)
    assert (model.version, model.predict(["money"])[0].label) == ("1", "refund")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", registry.store_uri(project))  # no project is needed then
    assert gleaner.load(f"models:/{version.model}/1").version == "1"
    with pytest.raises(UserError, match="expected one of its versions 1 .*, found 2"):
        gleaner.load(f"models:/{version.model}/2")
    needed = mlflow.pyfunc.get_model_dependencies(f"models:/{version.model}/{version.number}")
    pinned = Path(needed).read_text().split()
    assert pinned == registry.serving_requirements(ROOT / "constraints.txt")


def flip_one_bit(root: Path) -> Path:
    """Change one bit in the middle of the registered ONNX file."""
    (file,) = (root / "mlruns").rglob("model.onnx")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    return file


def test_a_version_with_one_bit_changed_is_not_loaded(project: Path, local: Params, opened: registry.Run) -> None:
    version = registry.register_or_reuse(project, local, opened)
    flip_one_bit(project)
    with pytest.raises(UserError, match=r"model\.onnx: expected the digest in MANIFEST\.json, found another"):
        mlflow.pyfunc.load_model(f"models:/{version.model}/{version.number}")


@pytest.mark.slow
def test_a_version_with_one_bit_changed_is_not_served(project: Path, local: Params, opened: registry.Run) -> None:
    version = registry.register_or_reuse(project, local, opened)
    flip_one_bit(project)
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--env-manager", "local", "--port", str(free_port())]
    done = subprocess.run(
        [*command, "--model-uri", f"models:/{version.model}@champion"],
        cwd="/",
        env={**os.environ, "MLFLOW_TRACKING_URI": registry.store_uri(project), "PATH": f"{BIN}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=120,  # a server that came up would not end
        check=False,
    )
    assert done.returncode and "model.onnx: expected the digest in MANIFEST.json" in done.stderr


@pytest.mark.slow
def test_mlflow_serves_a_registered_version(project: Path, local: Params, opened: registry.Run) -> None:
    version = registry.register_or_reuse(project, local, opened)
    port = str(free_port())
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--env-manager", "local", "--port", port]
    server = subprocess.Popen(
        [*command, "--model-uri", f"models:/{version.model}@champion"],
        cwd="/",  # the version has to carry all that it needs
        env={**os.environ, "MLFLOW_TRACKING_URI": registry.store_uri(project), "PATH": f"{BIN}:{os.environ['PATH']}"},
        start_new_session=True,
    )
    try:
        answer = post_json(f"http://127.0.0.1:{port}/invocations", {"dataframe_records": [{"text": "money"}]})
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()
    assert answer["predictions"][0] | {"confidence": 1} == {"label": "refund", "confidence": 1, "version": "1"}


def post_json(url: str, question: dict[str, Any]) -> Any:
    """Post JSON as soon as the server runs, and return its answer."""
    request = Request(url, json.dumps(question).encode(), {"Content-Type": "application/json"})
    deadline = time.monotonic() + 120
    while True:
        try:
            with urlopen(request, timeout=30) as answer:
                return json.load(answer)
        except URLError:
            assert time.monotonic() < deadline, "the server did not answer"
            time.sleep(0.2)
