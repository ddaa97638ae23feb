"""Runs one DVC stage as a Prefect task, which ends as Cached, Restored, Completed, or Failed with its last lines."""

import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.states import Cancelled, Completed, Failed, State

from pipeline.core.errors import UserError
from pipeline.core.printable import printable
from pipeline.core.stage import Paths
from tasks.dvc import stage_record
from tasks.dvc.locks import PAUSE, busy_message
from tasks.dvc.outputs import differing_outputs, remove_outputs
from tasks.dvc.repository import FilesInUse, open_repo
from tasks.dvc.repro_output import DVC_HINTS, describe_failure, is_busy, parse_status
from tasks.prefect_states.user_error import as_failed_state
from tasks.processes.curves import Point, follow_curve
from tasks.processes.process import Processes, Stopped
from tasks.stage_outcome import StageOutcome

T = TypeVar("T")


@task(cache_policy=NO_CACHE, persist_result=False)
@as_failed_state
def run_stage(name: str, root: Path, processes: Processes, send: Callable[[str, list[Point]], None]) -> State:
    """Bring one stage up to date. ``send`` gets its name and the points of its training curves as they come.

    Outputs that DVC believed or restored are hashed in full. Damaged ones are removed, and the stage runs again.
    """
    start = time.monotonic()
    try:
        state = reproduce(name, root, processes, send)
        if discard_damaged(name, root, state):
            state = reproduce(name, root, processes, send)
            if discard_damaged(name, root, state):
                raise UserError(
                    f"{name}: expected the outputs that dvc.lock records, found others twice; check the disk"
                )
        return state
    except UserError as error:
        outcome = StageOutcome(name, "failed", time.monotonic() - start, f"error: {error}", user_error=True)
        return Failed(message=outcome.message, data=outcome)


def reproduce(name: str, root: Path, processes: Processes, send: Callable[[str, list[Point]], None]) -> State:
    """Run a stage through DVC unless it is up to date; returns how it ended.

    Raises UserError if an input changed while the stage ran, or if DVC cannot work in the project.
    """
    start = time.monotonic()
    if when_free(lambda: is_up_to_date(name, root), processes):
        seconds = time.monotonic() - start
        return Completed(name="Cached", message="up to date", data=StageOutcome(name, "cached", seconds))
    began, inputs = time.time(), stage_record.current_inputs(name, root)
    if damaged := stage_record.remove_damaged_runs(name, root, inputs):
        get_run_logger().warning(
            "%s: the DVC cache held other content than %s had; removed, and made again", name, ", ".join(damaged)
        )
    curves = Paths(root).scratch(name) / "curves.jsonl"
    try:
        with follow_curve(curves, lambda points: send(name, points)):
            code, lines = when_free(lambda: run_unless_busy(name, root, processes), processes)
    except Stopped:
        code, lines = -1, ["stopped before it began"]
    state = to_state(name, code, lines, time.monotonic() - start, processes.stopped)
    if state_data(state).status == "ran":
        require_same_inputs(name, root, inputs, began)
    return state


def require_same_inputs(name: str, root: Path, before: stage_record.Inputs, began: float) -> None:
    """Raise UserError if an input is recorded as another one than the stage began with; its record is removed."""
    changed = stage_record.changed_inputs(before, stage_record.recorded_inputs(name, root))
    if changed:
        stage_record.forget_stage(name, root, began)
        raise UserError(
            f"{name}: expected inputs that stay as they are while the stage runs, found that {', '.join(changed)} "
            "changed; what it made is not kept, as nobody could tell from which of them: run again"
        )


def discard_damaged(name: str, root: Path, state: State) -> bool:
    """Whether outputs that DVC did not make just now differ from dvc.lock; those are removed and named in the log."""
    if not state.is_completed() or state_data(state).status == "ran":
        return False
    damaged = differing_outputs(name, root)
    if damaged:
        remove_outputs(root, damaged)
        log = get_run_logger()
        log.warning("%s: %s was not what dvc.lock records; removed, and made again", name, ", ".join(damaged))
    return bool(damaged)


def when_free(work: Callable[[], T], processes: Processes) -> T:
    """The result of ``work``, which is tried again while another command works on the files that it needs."""
    said = False
    while True:
        try:
            return work()
        except FilesInUse as error:
            if processes.stopped:
                raise
            if not said:
                get_run_logger().warning("waiting: %s", error)
            said = True
            time.sleep(PAUSE)


def run_unless_busy(name: str, root: Path, processes: Processes) -> tuple[int, list[str]]:
    """The exit code and last lines of `dvc repro`. Raises FilesInUse if another command works on files of the stage."""
    code, lines = run_dvc_repro(name, root, processes)
    if code and is_busy(lines):
        with open_repo(root) as repo:
            raise FilesInUse(busy_message(repo))
    return code, lines


def state_data(state: State) -> Any:
    """The data of the final state of a task or a flow, whether it succeeded or failed."""
    return state.result(raise_on_failure=False)


def is_up_to_date(name: str, root: Path) -> bool:
    """Whether DVC finds the stage up to date.

    It asks in this process, which takes 0.1 s; the command line takes 1 s. Each call opens a Repo, because a Repo
    belongs to one thread. Raises FilesInUse if another command works on files of the stage.
    """
    with open_repo(root) as repo:
        return not repo.status(targets=[f"{root / 'dvc.yaml'}:{name}"])


def run_dvc_repro(name: str, root: Path, processes: Processes, *options: str) -> tuple[int, list[str]]:
    """Run the stage through DVC and log its output line by line. Returns its exit code and its last 200 lines.

    ``options`` go to `dvc repro`. Without --wait-for-lock, one of two stages that end at the same time loses its work.
    """
    log = get_run_logger()
    command = [sys.executable, "-m", "dvc", "--wait-for-lock", "repro", "--single-item", *options, name]
    process = processes.start(command, root)
    lines: deque[str] = deque(maxlen=200)
    for line in map(str.rstrip, process.stdout or ()):
        if line and not DVC_HINTS.match(line):
            lines.append(line)
            log.info(printable(line))
    return processes.wait(process), list(lines)


def to_state(name: str, code: int, lines: list[str], seconds: float, stopped: bool) -> State:
    """The Prefect state for a stage's exit code and output."""
    if code == 0:
        status = parse_status(name, lines)
        label = {"ran": "Completed", "restored": "Restored", "cached": "Cached"}[status]
        return Completed(name=label, message=f"{status} in {seconds:.1f} s", data=StageOutcome(name, status, seconds))
    if stopped:
        return Cancelled(message="stopped", data=StageOutcome(name, "stopped", seconds))
    message, user_error = describe_failure(name, lines)
    return Failed(message=message, data=StageOutcome(name, "failed", seconds, message, user_error))
