"""`gleaner run` on a project of scripts that stand in for the stages: order, failures, records, cancelling, network."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from word_bundle import build

from flows.server import answers, free_port
from pipeline.params import read_yaml, to_yaml

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
MEASURED = {
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


def copy(stage: str, *files: str) -> dict[str, Any]:
    """A stage that copies its inputs to its folder in data."""
    outs = [f"data/{stage}/{Path(file).name}" for file in files]
    return {"cmd": f"mkdir -p data/{stage} && cp -r {' '.join(files)} data/{stage}/", "deps": list(files), "outs": outs}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A git and DVC project whose stages take no time, but for two that could run one after the other."""
    root = tmp_path_factory.mktemp("flow")
    build(root / "given" / "bundle", {"money": [5, 0]}, ["refund", "delivery"])
    (root / "given" / "evaluate").mkdir()
    (root / "given" / "fairness").mkdir()
    (root / "given" / "evaluate" / "metrics.json").write_text(json.dumps(MEASURED))
    about = {"attributes": 1, "status": "ok", "customer.status": "ok", "customer.accuracy_gap": 0.02}
    (root / "given" / "fairness" / "metrics.json").write_text(json.dumps(about))
    (root / "given" / "fairness" / "groups.csv").write_text(GROUPS)
    stages = {
        "ingest": copy("ingest", "params.yaml"),
        "synonyms": {"cmd": SLEEP.format("synonyms"), "deps": ["data/ingest/params.yaml"], "outs": ["synonyms"]},
        "back_translate": {"cmd": SLEEP.format("back"), "deps": ["data/ingest/params.yaml"], "outs": ["back"]},
        "export": copy("export", "given/bundle", "synonyms", "back"),
        "evaluate": copy("evaluate", "given/evaluate/metrics.json", "data/export/bundle"),
        "fairness": copy(
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


def environment(root: Path) -> dict[str, str]:
    """Only loopback is up, and nothing of the user's own servers is known."""
    place = root / ".loopback"
    place.mkdir(exist_ok=True)
    (place / "sitecustomize.py").write_text(LOOPBACK_ONLY.format(log=str(root / ".loopback" / "refused")))
    unwanted = ("PREFECT", "MLFLOW")
    known = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    return known | {"PYTHONPATH": str(place), "COLUMNS": "120"}


def gleaner(root: Path) -> subprocess.CompletedProcess[str]:
    """Run the flow as a user does."""
    return subprocess.run(
        [f"{BIN}/gleaner", "run"],
        cwd=root,
        env=environment(root),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,  # the exit code is what most tests look at
    )


def outcomes(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """What the printed table says of each stage."""
    return dict(re.findall(r"│ (\w+)\s+│ (ran|cached|restored|failed|not reached) ", done.stdout))


def stored(root: Path, question: str) -> list[tuple[Any, ...]]:
    """What Prefect's database holds after its server was stopped."""
    with closing(sqlite3.connect(root / ".prefect" / "prefect.db")) as database:
        return database.execute(question).fetchall()


def last_states(root: Path) -> dict[str, str]:
    """Name and state of each task of the last flow run in Prefect's database."""
    last = "(SELECT id FROM flow_run ORDER BY start_time DESC LIMIT 1)"
    return dict(stored(root, f"SELECT name, state_name FROM task_run WHERE flow_run_id = {last}"))


def mlflow_runs(root: Path) -> list[Any]:
    """The project's runs, newest first."""
    client = MlflowClient(f"sqlite:///{root / 'mlflow.db'}")
    return list(client.search_runs([one.experiment_id for one in client.search_experiments()]))


def versions(root: Path) -> int:
    """How many model versions are registered."""
    return len(MlflowClient(f"sqlite:///{root / 'mlflow.db'}").search_model_versions())


@pytest.fixture(scope="module")
def first(project: Path) -> subprocess.CompletedProcess[str]:
    """The first run of the project."""
    return gleaner(project)


@pytest.fixture(scope="module")
def records(project: Path, first: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """What Prefect stored of the first run."""
    assert first.returncode == 0, first.stdout + first.stderr
    return last_states(project)


STAGES = ["ingest", "synonyms", "back_translate", "export", "evaluate", "fairness"]
pytestmark = pytest.mark.slow


def test_the_flow_runs_every_stage_of_dvc_yaml_and_registers_the_result(
    project: Path, first: subprocess.CompletedProcess[str], records: dict[str, str]
) -> None:
    assert outcomes(first) == dict.fromkeys(STAGES, "ran")
    assert records == dict.fromkeys(STAGES, "Completed") | {"gate": "Pass", "register": "Completed"}
    assert "Registered: gleaner-demo version 1 (challenger, champion)" in first.stdout
    assert f"Report: {project / 'data/report/report.html'}" in first.stdout
    assert "0.900 (0.800 to 0.950)" in first.stdout and "not measured" in first.stdout and "old" in first.stdout


def test_the_records_of_a_run_are_complete_when_it_ends(project: Path, records: dict[str, str]) -> None:
    assert stored(project, "SELECT state_name FROM flow_run") == [("Completed",)]
    assert {key for (key,) in stored(project, "SELECT key FROM artifact")} == {"stages", "metrics", "groups", "gate"}
    run = mlflow_runs(project)[0]
    assert run.info.status == "FINISHED" and run.data.metrics["evaluate.accuracy"] == 0.9
    assert run.data.tags["gleaner.gate"] == "pass"
    flow_run = stored(project, "SELECT id, name FROM flow_run")[0]
    assert (run.data.tags["gleaner.flow_run"].replace("-", ""), run.info.run_name) == (
        flow_run[0].replace("-", ""),
        flow_run[1],
    )


def test_independent_stages_overlap_in_the_flow(project: Path, records: dict[str, str]) -> None:
    (first, end), (second, finish) = (map(float, (project / name).read_text().split()) for name in ("synonyms", "back"))
    assert max(first, second) < min(end, finish)


def test_nothing_but_loopback_is_asked_for(project: Path, records: dict[str, str]) -> None:
    refused = project / ".loopback" / "refused"
    assert not refused.exists()
    probe = "import socket; socket.create_connection(('192.0.2.1', 80), timeout=1)"
    subprocess.run([sys.executable, "-c", probe], env=environment(project), capture_output=True, check=False)
    assert refused.read_text() == "('192.0.2.1', 80)\n"  # or the line above would prove nothing
    refused.unlink()


def test_the_data_of_a_version_is_in_the_remote(project: Path, records: dict[str, str]) -> None:
    missing = subprocess.run(
        [f"{BIN}/dvc", "status", "--cloud", "--json"], cwd=project, capture_output=True, check=True
    )
    assert json.loads(missing.stdout) == {}


def test_dvc_finds_nothing_to_do_after_a_run(project: Path, records: dict[str, str]) -> None:
    status = subprocess.run([f"{BIN}/dvc", "status", "--json"], cwd=project, capture_output=True, check=True)
    assert json.loads(status.stdout) == {}


def test_a_second_run_finds_all_cached_and_registers_nothing_twice(project: Path, records: dict[str, str]) -> None:
    done = gleaner(project)
    assert done.returncode == 0 and outcomes(done) == dict.fromkeys(STAGES, "cached")
    assert "Already registered: gleaner-demo version 1" in done.stdout and versions(project) == 1
    assert last_states(project) == dict.fromkeys(STAGES, "Cached") | {"gate": "Pass", "register": "Cached"}


def test_a_refusal_of_the_gate_registers_nothing_and_exits_1(project: Path, records: dict[str, str]) -> None:
    before = (project / "params.yaml").read_text()
    strict = read_yaml(project / "params.yaml")
    strict["gate"]["min_accuracy"] = 0.99
    (project / "params.yaml").write_text(to_yaml(strict))
    done = gleaner(project)
    (project / "params.yaml").write_text(before)
    assert done.returncode == 1 and "Gate: fail" in done.stdout and versions(project) == 1
    assert "fail: min_accuracy: accuracy 0.9 (0.800 to 0.950), at least 0.99 wanted" in done.stdout
    assert last_states(project)["gate"] == "Fail" and "register" not in last_states(project)
    assert mlflow_runs(project)[0].data.tags["gleaner.gate"] == "fail"


def test_a_failed_stage_leaves_independent_ones_running_and_a_users_mistake_exits_2(
    project: Path, records: dict[str, str]
) -> None:
    before = (project / "dvc.yaml").read_text()
    graph = read_yaml(project / "dvc.yaml")
    graph["stages"] |= {
        "wrong": {"cmd": "echo 'error: wrong.key: expected 1, found 2' >&2; exit 2", "outs": ["w"]},
        "after": {"cmd": "touch a", "deps": ["w"], "outs": ["a"]},
        "apart": {"cmd": "sleep 3 && touch b", "outs": ["b"]},
    }
    (project / "dvc.yaml").write_text(to_yaml(graph))
    done = gleaner(project)
    (project / "dvc.yaml").write_text(before)
    assert done.returncode == 2 and "Traceback" not in done.stdout + done.stderr
    found = outcomes(done)
    assert (found["wrong"], found["after"], found["apart"]) == ("failed", "not reached", "ran")
    assert "error: wrong.key: expected 1, found 2" in done.stdout
    assert last_states(project)["wrong"] == "Failed" and mlflow_runs(project)[0].info.status == "FAILED"


def test_a_run_that_is_ended_takes_its_stages_and_its_server_with_it(project: Path, records: dict[str, str]) -> None:
    before = (project / "dvc.yaml").read_text()
    graph = read_yaml(project / "dvc.yaml")
    graph["stages"]["long"] = {"cmd": "sleep 300 & echo $$ $! > pids; wait"}
    (project / "dvc.yaml").write_text(to_yaml(graph))
    with subprocess.Popen(
        [f"{BIN}/gleaner", "run"], cwd=project, env=environment(project), stderr=subprocess.PIPE
    ) as run:
        deadline = time.monotonic() + 60
        while not (project / "pids").exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(0.5)
        run.send_signal(signal.SIGTERM)
        said = str(run.stderr and run.stderr.read())
    (project / "dvc.yaml").write_text(before)
    assert run.returncode == 130
    assert not any(Path(f"/proc/{pid}").exists() for pid in (project / "pids").read_text().split())
    (url,) = set(re.findall(r"http://127\.0\.0\.1:\d+", said))
    assert not answers(f"{url}/api")
    assert mlflow_runs(project)[0].info.status == "KILLED"
    assert stored(project, "SELECT state_type FROM flow_run ORDER BY start_time DESC LIMIT 1") == [("CRASHED",)]


def test_faults_in_params_are_told_at_once_and_nothing_starts(tmp_path: Path) -> None:
    wrong = read_yaml(ROOT / "params.yaml")
    wrong["finetune"]["lr"] = "fast"
    wrong["gate"]["typo"] = 1
    (tmp_path / "params.yaml").write_text(to_yaml(wrong))
    done = gleaner(tmp_path)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.count("\n") == 2 and done.stderr.startswith("error: finetune.lr: expected a number")
    assert not (tmp_path / ".prefect").exists() and not (tmp_path / "mlflow.db").exists()


def test_the_ui_serves_both_pages_until_it_is_told_to_stop(project: Path, records: dict[str, str]) -> None:
    with subprocess.Popen(
        [f"{BIN}/gleaner", "ui"], cwd=project, env=environment(project), stdout=subprocess.PIPE
    ) as ui:
        said = "".join(ui.stdout.readline().decode() for _ in range(3)) if ui.stdout else ""
        urls = re.findall(r"http://127\.0\.0\.1:\d+", said)
        assert len(urls) == 2 and answers(f"{urls[0]}/api") and answers(urls[1])
        ui.send_signal(signal.SIGINT)
    assert ui.returncode == 0 and not answers(f"{urls[0]}/api") and not answers(urls[1])


def test_a_free_port_is_the_wanted_one_unless_it_is_taken() -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert free_port(port) != port
    assert free_port(port) == port
