"""Runs, versions, aliases and lineage in a real MLflow store; the DVC remote and git are real, too."""

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import mlflow
import pandas as pd
import pytest
from mlflow import MlflowClient
from prefect.exceptions import TerminationSignal

from flows.prefect_server import free_port
from pipeline.core.errors import UserError
from pipeline.core.params import Params, read_yaml, to_yaml
from pipeline.policies.gate import Verdict
from tasks import registry
from tasks.git.lineage import digest, lineage
from tasks.registry import lookup
from tests.support.word_bundle import build

ROOT = Path(__file__).parents[3]
BIN = Path(sys.executable).parent
LOCK = {
    "schema": "2.0",
    "stages": {
        "ingest": {"cmd": "x", "outs": [{"path": "data/ingest/train.parquet", "md5": "1"}]},
        "export": {"cmd": "y", "outs": [{"path": "data/export/bundle", "md5": "2"}]},
    },
}


@pytest.fixture
def project(tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git repository with a finished training: bundle, metrics, lock file, params."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    root = tmp_path / "project"
    build(root / "data" / "export" / "bundle", {"money": [5, 0], "parcel": [0, 5]}, ["refund", "delivery"])
    shutil.copytree(ROOT / "pipeline", root / "pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(store, root)
    for name in ("params.yaml", "constraints.txt"):
        shutil.copy(ROOT / name, root)
    (root / "dvc.lock").write_text(to_yaml(LOCK))
    (root / "dvc.yaml").write_text("stages: {}\n")
    (root / "data" / "evaluate").mkdir()
    measured = {"accuracy": 0.5, "fine": True, "note": "text", "absent": None, "class": {"what's up?": {"f1": 1}}}
    (root / "data" / "evaluate" / "metrics.json").write_text(json.dumps(measured))
    git(root, "init", "-q")
    git(root, "add", "dvc.yaml", "params.yaml", "constraints.txt", "pipeline")
    git(root, "commit", "-q", "-m", "first")
    return root


def git(root: Path, *command: str) -> str:
    """Run git under a name of its own; what it prints."""
    identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    done = subprocess.run(["git", *identity, *command], cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def local(params: Callable[..., Params]) -> Params:
    """Params that push nothing, since the lock file names data that is not there."""
    return params({"registry": {"push": False}})


@pytest.fixture
def opened(project: Path, local: Params) -> Iterator[registry.Run]:
    """An open MLflow run of the project."""
    with registry.run(project, local, "a run", "flow-1") as run:
        yield run


def status(run: registry.Run) -> str:
    return str(run.client.get_run(run.id).info.status)


def test_a_run_holds_every_param_by_its_dotted_key(opened: registry.Run, params: Callable[..., Params]) -> None:
    logged = opened.client.get_run(opened.id).data.params
    assert logged["finetune.lr"] == "2e-05" and logged["ingest.columns.text"] == '["text"]'
    assert logged["ingest.labels.rename"] == "{}" and logged["encoder.source"] == "path"
    assert len(logged) == len(registry.flatten(params().model_dump())) > registry.BATCH


def test_a_run_holds_every_number_of_every_stage_and_nothing_else(project: Path, opened: registry.Run) -> None:
    opened.results(project)
    assert opened.client.get_run(opened.id).data.metrics == {
        "evaluate.accuracy": 0.5,
        "evaluate.class.what_s up_.f1": 1,
    }
    artifacts = {found.path for found in opened.client.list_artifacts(opened.id)}
    assert artifacts == {"params.yaml", "dvc.yaml", "dvc.lock"}


def test_a_curve_is_a_metric_by_step(opened: registry.Run) -> None:
    opened.curve("finetune", [{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.0, "eval_loss": math.pi}])
    history = opened.client.get_metric_history(opened.id, "finetune/loss")
    assert [(point.step, point.value) for point in history] == [(1, 2.0), (2, 1.0)]


@pytest.mark.parametrize(
    ("error", "ended"),
    [(None, "FINISHED"), (ValueError, "FAILED"), (KeyboardInterrupt, "KILLED"), (TerminationSignal, "KILLED")],
)
def test_a_run_ends_as_its_block_does(project: Path, local: Params, error: Any, ended: str) -> None:
    try:
        with registry.run(project, local, "a run", "flow-1") as run:
            assert status(run) == "RUNNING"
            if error:
                raise error(signal.SIGTERM) if error is TerminationSignal else error
    except (ValueError, KeyboardInterrupt, TerminationSignal):
        pass
    assert status(run) == ended


def test_a_run_whose_stage_failed_is_a_failed_one(project: Path, local: Params) -> None:
    with registry.run(project, local, "a run", "flow-1") as run:
        run.failed = True
    assert status(run) == "FAILED"


def test_the_first_version_is_challenger_and_champion_and_the_next_challenger_only(
    project: Path, local: Params, opened: registry.Run
) -> None:
    first = registry.version_of(project, local, opened)
    assert (first.number, first.aliases, first.fresh) == ("1", ("challenger", "champion"), True)
    change_lock(project)
    second = registry.version_of(project, local, opened)
    assert (second.number, second.aliases, second.fresh) == ("2", ("challenger",), True)
    assert registry.aliases(opened.client, second.model, "1") == ("champion",)


def test_the_same_lock_file_is_registered_once(project: Path, local: Params, opened: registry.Run) -> None:
    registry.version_of(project, local, opened)
    turned = {**LOCK, "stages": dict(reversed(LOCK["stages"].items()))}  # type: ignore[attr-defined]
    (project / "dvc.lock").write_text(to_yaml(turned))
    again = registry.version_of(project, local, opened)
    assert (again.number, again.fresh) == ("1", False)
    assert len(opened.client.search_model_versions(f"name = '{again.model}'")) == 1


def test_a_version_tells_what_it_was_made_of(project: Path, local: Params, opened: registry.Run) -> None:
    version = registry.version_of(project, local, opened)
    tags = opened.client.get_model_version(version.model, version.number).tags
    assert tags["gleaner.git_commit"] == git(project, "rev-parse", "HEAD") and tags["gleaner.git_dirty"] == "false"
    assert tags["gleaner.dvc_lock"] == digest(LOCK)
    assert tags["gleaner.data"] == digest({"data/ingest/train.parquet": "1"})
    assert tags["gleaner.params"] == digest(local.model_dump(mode="json"))
    assert tags["gleaner.flow_run"] == "flow-1"


def test_a_changed_file_makes_the_lineage_dirty_and_the_lock_file_does_not(project: Path, local: Params) -> None:
    git(project, "add", "dvc.lock")
    git(project, "commit", "-q", "-m", "lock")
    change_lock(project)
    assert lineage(project, local)["gleaner.git_dirty"] == "false"
    (project / "dvc.yaml").write_text("stages: {} \n")
    assert lineage(project, local)["gleaner.git_dirty"] == "true"


def test_without_git_the_lineage_says_so(project: Path, local: Params, tmp_path: Path) -> None:
    (project / ".git").rename(tmp_path / "elsewhere")
    found = lineage(project, local)
    assert found["gleaner.git_commit"].startswith("none: ") and found["gleaner.git_dirty"] == "unknown"


def test_the_data_is_pushed_and_a_push_that_fails_registers_nothing(
    project: Path, params: Callable[..., Params], opened: registry.Run
) -> None:
    (project / "dvc.lock").unlink()
    made = {"cmd": "mkdir -p data/ingest && echo 1 > data/ingest/train.parquet", "outs": ["data/ingest/train.parquet"]}
    (project / "dvc.yaml").write_text(to_yaml({"stages": {"ingest": made}}))
    for command in (["init", "-q"], ["repro", "-q"]):
        subprocess.run([BIN / "dvc", *command], cwd=project, check=True)
    with pytest.raises(UserError, match=r"registry\.push: .* no remote specified .* nothing is registered"):
        registry.version_of(project, params(), opened)
    assert not opened.client.search_registered_models()
    subprocess.run([BIN / "dvc", "remote", "add", "-q", "-d", "near", project / "remote"], cwd=project, check=True)
    assert registry.version_of(project, params(), opened).fresh
    assert any(path.is_file() for path in (project / "remote").rglob("*"))


def test_a_registered_version_loads_and_predicts(project: Path, local: Params, opened: registry.Run) -> None:
    version = registry.version_of(project, local, opened)
    loaded = mlflow.pyfunc.load_model(f"models:/{version.model}@champion")
    found = loaded.predict(pd.DataFrame({"text": ["money", "parcel"]}))
    assert found["label"].tolist() == ["refund", "delivery"] and found["confidence"].min() > 0.9
    with pytest.raises(UserError, match="expected one text a row, found list in row 0"):
        loaded.predict({"text": ["money", "parcel"]})
    needed = mlflow.pyfunc.get_model_dependencies(f"models:/{version.model}/{version.number}")
    pinned = Path(needed).read_text().split()
    assert pinned == registry.pins(ROOT / "constraints.txt")


def flip(root: Path) -> Path:
    """Change one bit in the middle of the registered ONNX file."""
    (file,) = (root / "mlruns").rglob("model.onnx")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    return file


def test_a_version_with_one_bit_changed_is_not_loaded(project: Path, local: Params, opened: registry.Run) -> None:
    version = registry.version_of(project, local, opened)
    flip(project)
    with pytest.raises(UserError, match=r"model\.onnx: expected the digest in MANIFEST\.json, found another"):
        mlflow.pyfunc.load_model(f"models:/{version.model}/{version.number}")


@pytest.mark.slow
def test_a_version_with_one_bit_changed_is_not_served(project: Path, local: Params, opened: registry.Run) -> None:
    version = registry.version_of(project, local, opened)
    flip(project)
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--env-manager", "local", "--port", str(free_port())]
    done = subprocess.run(
        [*command, "--model-uri", f"models:/{version.model}@champion"],
        cwd="/",
        env={**os.environ, "MLFLOW_TRACKING_URI": registry.store(project), "PATH": f"{BIN}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=120,  # a server that came up would go on for ever
        check=False,
    )
    assert done.returncode and "model.onnx: expected the digest in MANIFEST.json" in done.stderr


def test_a_version_carries_what_its_commit_does_not_tell(project: Path, local: Params, opened: registry.Run) -> None:
    (project / "dvc.yaml").write_text("stages: {} \n")
    opened.results(project)
    opened.verdict(Verdict("pass", ("pass: one", "off: two")))
    version = registry.version_of(project, local, opened)
    found = registry.find(project, local, version.number)
    assert found.dirty and found.commit == git(project, "rev-parse", "HEAD") and b"+stages: {} \n" in found.patch()
    assert found.about()["environment"]["libraries"]["mlflow"] == mlflow.__version__
    assert found.gate() == {"status": "pass", "reasons": ["pass: one", "off: two"]}
    assert found.lock() == LOCK and found.params() == read_yaml(project / "params.yaml")
    assert found.metrics()["evaluate.accuracy"] == 0.5
    assert found.made_of["gleaner.dvc_lock"] == digest(LOCK) and found.lock_or_none() == LOCK
    same = lookup.numbered(opened.client, version.model, version.number)
    assert replace(same, client=found.client) == found and same.aliases == ("challenger", "champion")


def test_a_variable_in_the_params_is_recorded_as_one(
    project: Path, local: Params, opened: registry.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PASSWORD", "hunter2")
    url = "postgresql://me:${PASSWORD}@localhost/texts"
    content = read_yaml(project / "params.yaml")
    content["ingest"] |= {"source": "sql", "url": url}
    (project / "params.yaml").write_text(to_yaml(content))
    opened.results(project)
    version = registry.version_of(project, local, opened)
    found = registry.find(project, local, version.number)
    assert found.params()["ingest"]["url"] == url and url.encode() in found.patch()
    kept = [path for path in project.rglob("*") if path.is_file() and ".git" not in path.parts]
    assert not [path for path in kept if b"hunter2" in path.read_bytes()]


def test_a_piece_that_was_not_recorded_is_named(project: Path, local: Params, opened: registry.Run) -> None:
    """As of a version that an earlier Gleaner registered."""
    version = registry.version_of(project, local, opened)
    client = opened.client
    client.set_model_version_tag(version.model, version.number, "gleaner.git_dirty", "true")
    shutil.rmtree(next((project / "mlruns").rglob("lineage")))
    found = registry.find(project, local, None)
    with pytest.raises(UserError, match=r"gleaner-demo version 1: expected lineage/about\.json among .* found none"):
        found.patch()
    with pytest.raises(UserError, match=r"gleaner-demo version 1: expected dvc\.lock among the artifacts"):
        found.lock()
    assert found.lock_or_none() is None


def test_a_version_is_compared_with_the_champion_and_the_champion_with_the_one_before(
    project: Path, local: Params, opened: registry.Run
) -> None:
    for _ in range(3):
        registry.version_of(project, local, opened)
        change_lock(project)
    versions = {one.number: one for one in registry.all_versions(project, local)}
    against = {number: registry.baseline(project, local, one) for number, one in versions.items()}
    assert {number: one and one.number for number, one in against.items()} == {"1": None, "2": "1", "3": "1"}
    opened.client.set_registered_model_alias(local.registry.model, "champion", "3")
    champion = registry.find(project, local, "champion")
    before = registry.baseline(project, local, champion)
    assert champion.number == "3" and before is not None and before.number == "2"


@pytest.mark.slow
def test_mlflow_serves_a_registered_version(project: Path, local: Params, opened: registry.Run) -> None:
    version = registry.version_of(project, local, opened)
    port = str(free_port())
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--env-manager", "local", "--port", port]
    server = subprocess.Popen(
        [*command, "--model-uri", f"models:/{version.model}@champion"],
        cwd="/",  # nothing of the project is at hand but what the version carries
        env={**os.environ, "MLFLOW_TRACKING_URI": registry.store(project), "PATH": f"{BIN}:{os.environ['PATH']}"},
        start_new_session=True,
    )
    try:
        answer = ask(f"http://127.0.0.1:{port}/invocations", {"dataframe_records": [{"text": "money"}]})
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()
    assert answer["predictions"][0]["label"] == "refund"


def ask(url: str, question: dict[str, Any]) -> Any:
    """Post JSON once the server is there; its answer."""
    request = Request(url, json.dumps(question).encode(), {"Content-Type": "application/json"})
    deadline = time.monotonic() + 120
    while True:
        try:
            with urlopen(request, timeout=30) as answer:
                return json.load(answer)
        except URLError:
            assert time.monotonic() < deadline, "the server did not answer"
            time.sleep(0.2)


def change_lock(project: Path) -> None:
    """Another export than before."""
    lock = read_yaml(project / "dvc.lock")
    lock["stages"]["export"]["outs"][0]["md5"] += "3"
    (project / "dvc.lock").write_text(to_yaml(lock))


def test_the_client_makes_the_store_in_the_project(project: Path) -> None:
    assert isinstance(registry.connect(project), MlflowClient)
    assert (project / "mlflow.db").exists()
