"""A project of scripts that stand in for the stages: run `gleaner` in it, and read what the run left in each store."""

import json
import os
import re
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from flows.server_address import ServerAddress, announce
from pipeline.core.params import to_yaml
from tests.support.word_bundle import build

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
METRICS = {
    "accuracy": 0.9,
    "accuracy_low": 0.8,
    "accuracy_high": 0.95,
    "macro_f1": 0.9,
    "macro_f1_low": 0.8,
    "macro_f1_high": 0.95,
    "test_rows": 400,
    "gain_over_probe": 0.1,
    "calibration_error": 0.05,
    "baseline": {"tfidf": {"accuracy": 0.6, "macro_f1": 0.5}, "probe": {"accuracy": None, "macro_f1": None}},
}
GROUPS = "attribute,group,class,rows,status,accuracy\ncustomer,new,,200,ok,0.91\ncustomer,old,,200,ok,0.89\n"
SLEEP = 'python -c \'import time; a = time.time(); time.sleep(2); open("{0}", "w").write(f"{{a}} {{time.time()}}")\''
LOOPBACK_ONLY = """
import socket
connect = socket.socket.connect
def refuse(self, address):
    if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "::1", "localhost"):
        open({log!r}, "a").write(f"{{address}}\\n")
        raise OSError(f"only loopback is up: {{address}}")
    return connect(self, address)
socket.socket.connect = refuse
"""


def copying_stage(stage: str, *files: str) -> dict[str, Any]:
    """A stage that copies its inputs to its folder in data."""
    outs = [f"data/{stage}/{Path(file).name}" for file in files]
    return {"cmd": f"mkdir -p data/{stage} && cp -r {' '.join(files)} data/{stage}/", "deps": list(files), "outs": outs}


def make_project(root: Path) -> Path:
    """Make a git and DVC project whose stages take no time, except for two independent ones that take two seconds."""
    build(root / "given" / "bundle", {"money": [5, 0]}, ["refund", "delivery"])
    (root / "given" / "evaluate").mkdir()
    (root / "given" / "fairness").mkdir()
    (root / "given" / "evaluate" / "metrics.json").write_text(json.dumps(METRICS))
    fairness = {"attributes": 1, "status": "ok", "customer.status": "ok", "customer.accuracy_gap": 0.02}
    (root / "given" / "fairness" / "metrics.json").write_text(json.dumps(fairness))
    (root / "given" / "fairness" / "groups.csv").write_text(GROUPS)
    counterfactual = root / "data" / "counterfactual"  # no test row holds an identity term
    counterfactual.mkdir(parents=True)
    (counterfactual / "metrics.json").write_text(json.dumps({"axes": [], "status": "no terms"}))
    stages = {
        "ingest": copying_stage("ingest", "params.yaml"),
        "synonyms": {"cmd": SLEEP.format("synonyms"), "deps": ["data/ingest/params.yaml"], "outs": ["synonyms"]},
        "back_translate": {"cmd": SLEEP.format("back"), "deps": ["data/ingest/params.yaml"], "outs": ["back"]},
        "export": copying_stage("export", "given/bundle", "synonyms", "back"),
        "evaluate": copying_stage("evaluate", "given/evaluate/metrics.json", "data/export/bundle"),
        "fairness": copying_stage(
            "fairness", "given/fairness/metrics.json", "given/fairness/groups.csv", "data/evaluate/bundle"
        ),
    }
    (root / "dvc.yaml").write_text(to_yaml({"stages": stages}))
    (root / "pipeline").symlink_to(ROOT / "pipeline")
    for name in ("params.yaml", "constraints.txt"):
        (root / name).write_text((ROOT / name).read_text())
    (root / ".gitignore").write_text("/data\n/mlruns\n/mlflow.db*\n/.prefect\n/store\n")
    for command in (
        ["git", "init", "-q"],
        [f"{BIN}/dvc", "init", "-q"],
        [f"{BIN}/dvc", "remote", "add", "-q", "-d", "near", "store"],
    ):
        subprocess.run(command, cwd=root, check=True)
    return root


def tool_environment(root: Path) -> dict[str, str]:
    """Environment variables for a tool: only loopback is up, no server of the user is known, the code is this one."""
    folder = root / ".loopback"
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(LOOPBACK_ONLY.format(log=str(root / ".loopback" / "refused")))
    unwanted = ("PREFECT", "MLFLOW")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    return kept | {"PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)]), "COLUMNS": "120"}


def announce_server(root: Path, url: str) -> None:
    """Let commands in the project find the server of the fixture `prefect_server`, as if `gleaner ui` served it."""
    announce(root / ".prefect", ServerAddress(url, os.environ["PREFECT_API_AUTH_STRING"]))


def run_gleaner(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run `gleaner` with these words as a user does."""
    return subprocess.run(
        [f"{BIN}/gleaner", *words],
        cwd=root,
        env=tool_environment(root),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,  # most tests check the exit code
    )


def is_listening(url: str) -> bool:
    """Whether a server takes connections at an address on loopback."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(url.rpartition(":")[2]))) == 0


def printed_outcomes(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """The outcome of each stage in the printed table: stage -> outcome."""
    return dict(re.findall(r"│ (\w+)\s+│ (ran|cached|restored|failed|not reached) ", done.stdout))


def query_prefect(root: Path, statement: str) -> list[tuple[Any, ...]]:
    """The rows that an SQL query returns from Prefect's database, after its server was stopped."""
    with closing(sqlite3.connect(root / ".prefect" / "prefect.db")) as database:
        return database.execute(statement).fetchall()


def last_states(root: Path) -> dict[str, str]:
    """The state of each task of the last flow run in Prefect's database: task -> state."""
    last = "(SELECT id FROM flow_run ORDER BY start_time DESC LIMIT 1)"
    return dict(query_prefect(root, f"SELECT name, state_name FROM task_run WHERE flow_run_id = {last}"))


def mlflow_runs(root: Path) -> list[Any]:
    """The project's runs, newest first."""
    client = MlflowClient(f"sqlite:///{root / 'mlflow.db'}")
    return list(client.search_runs([experiment.experiment_id for experiment in client.search_experiments()]))


def count_versions(root: Path) -> int:
    """How many model versions are registered."""
    client = MlflowClient(f"sqlite:///{root / 'mlflow.db'}")
    return len(client.search_model_versions("name = 'gleaner-demo'"))  # the promotion log has other versions
