"""`gleaner run` on a project of scripts that stand in for the stages: order, failures, records, cancelling, network."""

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from mlflow import MlflowClient

from flows.prefect_server import free_port
from pipeline.core.params import read_yaml, to_yaml
from tasks.registry.version_tags import COMPLETE, NO, YES
from tests.support.flow_project import (
    BIN,
    ROOT,
    count_versions,
    is_listening,
    last_states,
    make_project,
    mlflow_runs,
    printed_outcomes,
    query_prefect,
    run_gleaner,
    tool_environment,
)

Interrupt = Callable[[int], tuple[int, str]]
STAGES = ["ingest", "synonyms", "back_translate", "export", "evaluate", "fairness"]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project that every test of this file runs in."""
    return make_project(tmp_path_factory.mktemp("flow"))


@pytest.fixture(scope="module")
def first(project: Path) -> subprocess.CompletedProcess[str]:
    """The first run of the project."""
    return run_gleaner(project, "run")


@pytest.fixture(scope="module")
def records(project: Path, first: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """The state of each task of the first run, as Prefect stored it."""
    assert first.returncode == 0, first.stdout + first.stderr
    return last_states(project)


def test_the_flow_runs_every_stage_of_dvc_yaml_and_registers_the_result(
    project: Path, first: subprocess.CompletedProcess[str], records: dict[str, str]
) -> None:
    assert printed_outcomes(first) == dict.fromkeys(STAGES, "ran")
    assert records == dict.fromkeys(STAGES, "Completed") | {"gate": "Pass", "register": "Completed"}
    assert "Registered: gleaner-demo version 1 (challenger, champion)" in first.stdout
    assert f"Report: {project / 'data/report/report.html'}" in first.stdout
    assert "Next: commit dvc.lock" in first.stdout and "| View at" not in first.stderr
    assert "0.900 (0.800 to 0.950)" in first.stdout and "not measured" in first.stdout and "old" in first.stdout


def test_the_records_of_a_run_are_complete_when_it_ends(project: Path, records: dict[str, str]) -> None:
    assert query_prefect(project, "SELECT state_name FROM flow_run") == [("Completed",)]
    assert set(query_prefect(project, "SELECT key FROM artifact")) == {
        ("stages",),
        ("metrics",),
        ("groups",),
        ("gate",),
    }
    run = mlflow_runs(project)[0]
    assert run.info.status == "FINISHED" and run.data.metrics["evaluate.accuracy"] == 0.9
    assert run.data.tags["gleaner.gate"] == "pass"
    flow_run = query_prefect(project, "SELECT id, name FROM flow_run")[0]
    assert (run.data.tags["gleaner.flow_run"].replace("-", ""), run.info.run_name) == (
        flow_run[0].replace("-", ""),
        flow_run[1],
    )


def test_independent_stages_overlap_in_the_flow(project: Path, records: dict[str, str]) -> None:
    (first, end), (second, finish) = (map(float, (project / name).read_text().split()) for name in ("synonyms", "back"))
    assert max(first, second) < min(end, finish)


def test_the_flow_uses_no_network_beyond_loopback(project: Path, records: dict[str, str]) -> None:
    refused = project / ".loopback" / "refused"
    assert not refused.exists()
    probe = "import socket; socket.create_connection(('192.0.2.1', 80), timeout=1)"
    subprocess.run([sys.executable, "-c", probe], env=tool_environment(project), capture_output=True, check=False)
    assert refused.read_text() == "('192.0.2.1', 80)\n"  # without this check the assertion above proves nothing
    refused.unlink()


def test_the_data_of_a_version_is_in_the_remote(project: Path, records: dict[str, str]) -> None:
    missing = subprocess.run(
        [f"{BIN}/dvc", "status", "--cloud", "--json"], cwd=project, capture_output=True, check=True
    )
    assert json.loads(missing.stdout) == {}


def test_every_stage_is_up_to_date_for_dvc_after_a_run(project: Path, records: dict[str, str]) -> None:
    status = subprocess.run([f"{BIN}/dvc", "status", "--json"], cwd=project, capture_output=True, check=True)
    assert json.loads(status.stdout) == {}


def test_a_second_run_finds_all_cached_and_starts_no_flow(project: Path, records: dict[str, str]) -> None:
    runs = len(mlflow_runs(project)), query_prefect(project, "SELECT count(*) FROM flow_run")
    done = run_gleaner(project, "run")
    assert done.stdout.startswith("Nothing to do: all stages are up to date and their version is registered;")
    assert done.returncode == 0 and printed_outcomes(done) == dict.fromkeys(STAGES, "cached")
    assert "Already registered: gleaner-demo version 1" in done.stdout and count_versions(project) == 1
    assert (len(mlflow_runs(project)), query_prefect(project, "SELECT count(*) FROM flow_run")) == runs


def test_a_version_that_is_to_be_registered_again_finds_all_cached(project: Path, records: dict[str, str]) -> None:
    """The same `dvc.lock`, whose version is in doubt: the flow runs, finds each stage cached, and completes it."""
    client = MlflowClient(f"sqlite:///{project / 'mlflow.db'}")
    client.set_model_version_tag("gleaner-demo", "1", COMPLETE, NO)
    done = run_gleaner(project, "run")
    assert "Already registered: gleaner-demo version 1" in done.stdout and count_versions(project) == 1
    assert last_states(project) == dict.fromkeys(STAGES, "Cached") | {"gate": "Pass", "register": "Cached"}
    assert client.get_model_version("gleaner-demo", "1").tags[COMPLETE] == YES


def test_a_refusal_of_the_gate_registers_nothing_and_exits_1(project: Path, records: dict[str, str]) -> None:
    before = (project / "params.yaml").read_text()
    strict = read_yaml(project / "params.yaml")
    strict["gate"]["min_accuracy"] = 0.99
    (project / "params.yaml").write_text(to_yaml(strict))
    done = run_gleaner(project, "run")
    (project / "params.yaml").write_text(before)
    assert done.returncode == 1 and "Gate: fail" in done.stdout and count_versions(project) == 1
    assert "fail: accuracy is 90% (80.0 to 95.0), at least 99% wanted [gate.min_accuracy]" in done.stdout
    assert last_states(project)["gate"] == "Fail" and "register" not in last_states(project)
    refused = mlflow_runs(project)[0]
    assert refused.data.tags["gleaner.gate"] == "fail" and refused.info.status == "FAILED"
    assert refused.data.tags["gleaner.complete"] == "yes" and "at least 99%" in refused.data.tags["mlflow.note.content"]


def test_a_failed_stage_leaves_independent_ones_running_and_a_users_error_exits_2(
    project: Path, records: dict[str, str]
) -> None:
    before = (project / "dvc.yaml").read_text()
    graph = read_yaml(project / "dvc.yaml")
    graph["stages"] |= {
        "wrong": {"cmd": "echo 'error: wrong.key: expected 1, found 2' >&2; exit 2", "outs": ["w"]},
        "after": {"cmd": "touch a", "deps": ["w"], "outs": ["a"]},
        "independent": {"cmd": "sleep 3 && touch b", "outs": ["b"]},
    }
    (project / "dvc.yaml").write_text(to_yaml(graph))
    done = run_gleaner(project, "run")
    (project / "dvc.yaml").write_text(before)
    assert done.returncode == 2 and "Traceback" not in done.stdout + done.stderr
    outcomes = printed_outcomes(done)
    assert (outcomes["wrong"], outcomes["after"], outcomes["independent"]) == ("failed", "not reached", "ran")
    assert "error: wrong.key: expected 1, found 2" in done.stdout
    assert last_states(project)["wrong"] == "Failed" and mlflow_runs(project)[0].info.status == "FAILED"


@pytest.fixture
def interrupt(project: Path) -> Iterator[Interrupt]:
    """``interrupt(signal)`` runs the flow, sends it the signal in a long stage; returns exit code and server."""
    before = (project / "dvc.yaml").read_text()

    def run(number: int) -> tuple[int, str]:
        graph = read_yaml(project / "dvc.yaml")
        graph["stages"]["long"] = {"cmd": "sleep 300 & echo $$ $! > pids; wait"}
        (project / "dvc.yaml").write_text(to_yaml(graph))
        (project / "pids").unlink(missing_ok=True)
        with subprocess.Popen([f"{BIN}/gleaner", "run"], cwd=project, env=tool_environment(project)) as run:
            wait_for(lambda: (project / "pids").exists())
            time.sleep(0.5)
            url = server_of(run.pid)
            run.send_signal(number)
        return run.returncode, url

    yield run
    (project / "dvc.yaml").write_text(before)


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until the condition holds; fail after so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.1)


def server_of(process_id: int) -> str:
    """The address of the Prefect server that a run started."""
    commands = [child.cmdline() for child in psutil.Process(process_id).children(recursive=True)]
    (port,) = {command[-1] for command in commands if "flows.guarded_prefect" in command}
    return f"http://127.0.0.1:{port}"


def is_all_ended(project: Path, url: str) -> bool:
    """Whether the long stage with its children, and the run's Prefect server, have ended."""
    stage_left = any(Path(f"/proc/{pid}").exists() for pid in (project / "pids").read_text().split())
    return not stage_left and not is_listening(url)


def test_sigterm_ends_the_stages_and_the_server_of_a_run(
    project: Path, records: dict[str, str], interrupt: Interrupt
) -> None:
    code, url = interrupt(signal.SIGTERM)
    assert code == 130 and is_all_ended(project, url)
    assert mlflow_runs(project)[0].info.status == "KILLED"
    assert query_prefect(project, "SELECT state_type FROM flow_run ORDER BY start_time DESC LIMIT 1") == [("CRASHED",)]


def test_a_killed_run_leaves_no_process_behind(project: Path, records: dict[str, str], interrupt: Interrupt) -> None:
    code, url = interrupt(signal.SIGKILL)
    assert code == -signal.SIGKILL
    wait_for(lambda: is_all_ended(project, url), seconds=20)


def test_all_faults_in_params_are_printed_before_anything_starts(tmp_path: Path) -> None:
    wrong = read_yaml(ROOT / "params.yaml")
    wrong["finetune"]["lr"] = "fast"
    wrong["gate"]["typo"] = 1
    (tmp_path / "params.yaml").write_text(to_yaml(wrong))
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    done = run_gleaner(tmp_path, "run")
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.count("\n") == 2 and done.stderr.startswith("error: finetune.lr: expected a number")
    assert not (tmp_path / ".prefect").exists() and not (tmp_path / "mlflow.db").exists()


def test_a_free_port_is_the_wanted_one_unless_it_is_taken() -> None:
    with socket.socket() as other_server:
        other_server.bind(("127.0.0.1", 0))
        other_server.listen()
        port = other_server.getsockname()[1]
        assert free_port(port) != port
    assert free_port(port) == port
