"""One DVC stage as a task: what it reports, how it fails, and how it is stopped; on a project of tiny scripts."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from prefect.logging import disable_run_logger
from ruamel.yaml import YAML

from pipeline.core.errors import UserError
from tasks import stage
from tasks.dvc.graph import stage_graph
from tasks.processes.curves import Point, Tail, follow_curve
from tasks.processes.process import Processes, Stopped
from tasks.stage_outcome import StageOutcome

BIN = str(Path(sys.executable).parent)
Stages = dict[str, dict[str, Any]]
Make = Callable[[Stages, dict[str, str]], Path]


def script(line: str, **rest: Any) -> dict[str, Any]:
    """A stage that runs one line of Python."""
    return {"cmd": f"python -c '{line}'", **rest}


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Make a DVC project of the given stages and files."""

    def project(stages: Stages, files: dict[str, str]) -> Path:
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        with (tmp_path / "dvc.yaml").open("w") as file:
            YAML().dump({"stages": stages}, file)
        for command in (["git", "init", "-q"], [f"{BIN}/dvc", "init", "-q"]):
            subprocess.run(command, cwd=tmp_path, check=True)
        return tmp_path

    return project


@pytest.fixture(autouse=True)
def no_flow() -> Iterator[None]:
    """Tasks are called as plain functions here; tests/flows/test_train.py runs them in a flow."""
    with disable_run_logger():
        yield


def run(root: Path, name: str, processes: Processes, points: list[Point] | None = None) -> tuple[str, StageOutcome]:
    """Run a stage, and return the name of its state and its outcome."""
    state = stage.run_stage.fn(name, root, processes, lambda _, new: (points if points is not None else []).extend(new))
    return str(state.name), stage.state_data(state)


def test_a_stage_runs_then_is_cached_then_restored_from_the_run_cache(make: Make) -> None:
    line = 'open("b", "w").write(open("a").read())'
    root = make({"copy": script(line, deps=["a"], outs=["b"])}, {"a": "1"})
    with Processes() as processes:
        assert (ended := run(root, "copy", processes))[0] == "Completed" and ended[1].status == "ran"
        assert (ended := run(root, "copy", processes))[0] == "Cached" and ended[1].status == "cached"
        (root / "b").unlink()
        assert (ended := run(root, "copy", processes))[0] == "Restored" and ended[1].status == "restored"
    assert (root / "b").read_text() == "1"


def test_the_python_of_this_environment_runs_the_stage(make: Make) -> None:
    root = make({"which": script('import sys; open("b", "w").write(sys.executable)', outs=["b"])}, {})
    with Processes() as processes:
        run(root, "which", processes)
    assert Path((root / "b").read_text()).parent == Path(BIN)


def test_a_failure_quotes_the_last_lines_of_the_stage(make: Make) -> None:
    root = make({"bad": script("print(1); print(2); raise SystemExit(7)")}, {})
    with Processes() as processes:
        name, outcome = run(root, "bad", processes)
    assert name == "Failed" and outcome.status == "failed" and not outcome.user_error
    assert outcome.message.endswith("1\n2")


def test_a_users_error_is_distinguished_from_a_failure(make: Make) -> None:
    line = 'import sys; print("noise", flush=True); sys.stderr.write("error: a.b: expected 1\\nc.d: 2\\n"); exit(2)'
    root = make({"bad": script(line)}, {})
    with Processes() as processes:
        name, outcome = run(root, "bad", processes)
    assert name == "Failed" and outcome.user_error
    assert outcome.message == "error: a.b: expected 1\nc.d: 2"


def test_a_missing_input_is_a_users_error_and_named(make: Make) -> None:
    root = make({"copy": script("print(1)", deps=["absent.csv"])}, {})
    with Processes() as processes:
        _, outcome = run(root, "copy", processes)
    assert outcome.user_error and outcome.message.startswith("error: copy: expected the input absent.csv")


SLEEPING = 'import time; a = time.time(); time.sleep(1.5); open("{0}", "w").write(f"{{a}} {{time.time()}}")'


def test_independent_stages_overlap_in_time(make: Make) -> None:
    root = make({name: script(SLEEPING.format(name), outs=[name]) for name in ("one", "two")}, {})
    with Processes() as processes, ThreadPoolExecutor() as pool:
        list(pool.map(lambda name: run(root, name, processes), ("one", "two")))
    (first, end), (second, finish) = (map(float, (root / name).read_text().split()) for name in ("one", "two"))
    assert max(first, second) < min(end, finish)


@pytest.mark.slow
def test_parallel_stages_never_lose_their_work_to_a_lock(make: Make) -> None:
    names = ["one", "two", "three"]
    copies = {name: script(f'open("{name}", "w").write(open("a").read())', deps=["a"], outs=[name]) for name in names}
    root = make(copies, {"a": ""})
    with Processes() as processes, ThreadPoolExecutor() as pool:
        for i in range(10):
            (root / "a").write_text(str(i))
            ended = list(pool.map(lambda name: run(root, name, processes), names))
            assert [name for name, _ in ended] == ["Completed"] * 3
            assert all(stage.is_up_to_date(name, root) for name in names)


def test_leaving_the_block_ends_a_running_stage_and_its_children(make: Make) -> None:
    root = make({"long": {"cmd": "sleep 60 & echo $$ $! > pids; wait"}}, {})
    ended: list[tuple[str, StageOutcome]] = []
    with Processes() as processes:
        thread = threading.Thread(target=lambda: ended.append(run(root, "long", processes)))
        thread.start()
        wait_for(lambda: (root / "pids").exists() and len((root / "pids").read_text().split()) == 2)
    thread.join(timeout=10)
    assert ended[0][0] == "Cancelled" and ended[0][1].status == "stopped"
    assert not any(running(int(pid)) for pid in (root / "pids").read_text().split())


def test_nothing_starts_once_the_block_has_ended(make: Make) -> None:
    root = make({"late": script("open('x', 'w')")}, {})
    with Processes() as processes:
        pass
    with pytest.raises(Stopped):
        processes.start(["true"], root)
    assert run(root, "late", processes)[1].status == "stopped"


def test_curves_arrive_while_the_stage_runs(make: Make) -> None:
    line = (
        'import json, time; f = open("data/scratch/learn/curves.jsonl", "w"); '
        '[(print(json.dumps({"step": i, "loss": 1 / (i + 1)}), file=f, flush=True), time.sleep(1)) for i in range(5)]'
    )
    root = make({"learn": script(line)}, {"data/scratch/learn/curves.jsonl": '{"step": 9, "loss": 9}\n'})
    points: list[Point] = []
    with Processes() as processes:
        thread = threading.Thread(target=lambda: run(root, "learn", processes, points))
        thread.start()
        wait_for(lambda: len(points) > 0)
        assert thread.is_alive()
        thread.join()
    assert [point["step"] for point in points] == [0, 1, 2, 3, 4]


def test_a_tail_waits_for_whole_lines_and_keeps_what_could_not_be_sent(tmp_path: Path) -> None:
    path = tmp_path / "curves.jsonl"
    points: list[Point] = []
    tail = Tail(path)
    path.write_text('{"step": 1}\n{"st')
    with pytest.raises(ConnectionError):
        tail.read(refuse)
    tail.read(points.extend)
    with path.open("a") as file:
        file.write('ep": 2}\n')
    tail.read(points.extend)
    assert points == [{"step": 1}, {"step": 2}]


def test_a_resumed_curve_is_read_from_its_beginning_and_an_untouched_one_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "curves.jsonl"
    points: list[Point] = []
    path.write_text('{"step": 1}\n')
    with follow_curve(path, points.extend):
        pass
    assert points == []
    with follow_curve(path, points.extend), path.open("a") as file:
        file.write('{"step": 2}\n')
    assert points == [{"step": 1}, {"step": 2}]


def test_the_graph_lists_a_stage_after_those_that_it_needs(make: Make) -> None:
    stages = {
        "last": script("1", deps=["x", "y"]),
        "second": script("1", deps=["x"], outs=["y"]),
        "first": script("1", deps=["raw"], outs=["x"]),
    }
    root = make(stages, {"raw": "1"})
    subprocess.run([f"{BIN}/dvc", "add", "-q", "raw"], cwd=root, check=True)
    assert stage_graph(root) == {"first": [], "second": ["first"], "last": ["first", "second"]}


def test_a_graph_that_dvc_refuses_is_a_users_error(make: Make) -> None:
    root = make({"one": script("1", deps=["x"], outs=["y"]), "two": script("1", deps=["y"], outs=["x"])}, {})
    with pytest.raises(UserError, match="expected a project that DVC can read"):
        stage_graph(root)


def refuse(points: list[Point]) -> None:
    """Refuse as a store that cannot be reached."""
    raise ConnectionError(json.dumps(points))


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Return once the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


def running(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
