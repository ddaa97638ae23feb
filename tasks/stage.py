"""Runs one DVC stage as a Prefect task, which ends as Cached, Restored, Completed, or Failed with its last lines."""

import re
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.states import Cancelled, Completed, Failed, State

from pipeline.core.errors import UserError
from pipeline.core.printable import printable
from pipeline.core.stage import Paths
from tasks.processes.curves import Point, follow_curve
from tasks.processes.process import Processes, Stopped

# DVC prints these hints on git and remotes after every stage. They tell nothing about the stage.
DVC_HINTS = re.compile(
    r"(Generating|Updating) lock file|To (track the changes with git|enable auto staging), run:"
    r"|\s+(git add|dvc config core.autostage)|Use `dvc push`"
)
QUOTED_LINES = 15  # of the output, at the end of a failure's message
MISSING_INPUT = re.compile(r"(?:missing data 'sources?': |dependency '|No such file or directory: ')(.*?)(?:'|$)")

StageStatus = Literal["ran", "cached", "restored", "failed", "stopped", "not reached"]


@dataclass(frozen=True)
class StageOutcome:
    """How a stage ended."""

    stage: str
    status: StageStatus
    seconds: float = 0.0
    message: str = ""  # why it failed
    user_error: bool = False

    @property
    def done(self) -> bool:
        """Whether the stage's outputs exist and are up to date."""
        return self.status in ("ran", "cached", "restored")


def stage_graph(root: Path) -> dict[str, list[str]]:
    """The stages of dvc.yaml with the stages that each needs, in an order in which each comes after those.

    Raises UserError if DVC cannot read the project.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo
    from networkx import lexicographical_topological_sort

    try:
        with Repo(str(root), _wait_for_lock=True) as repo:
            needs = repo.index.graph  # its edges lead from a stage to those that it needs
            position = list(repo.index.stages).index  # decides between stages that do not need each other
            order = filter(is_stage, lexicographical_topological_sort(needs.reverse(), key=position))
            return {stage.name: [need.name for need in needs.successors(stage) if is_stage(need)] for stage in order}
    except DvcException as error:
        raise UserError(f"{root / 'dvc.yaml'}: expected a project that DVC can read, found: {error}") from None


def is_stage(node: Any) -> bool:
    """Whether a node of DVC's graph is a stage of dvc.yaml. A .dvc file is none: it tracks data and runs nothing."""
    return bool(getattr(node, "name", None))


@task(cache_policy=NO_CACHE, persist_result=False)
def run_stage(name: str, root: Path, processes: Processes, send: Callable[[str, list[Point]], None]) -> State:
    """Bring one stage up to date. ``send`` gets its name and the points of its training curves as they come."""
    start = time.monotonic()
    if is_up_to_date(name, root):
        seconds = time.monotonic() - start
        return Completed(name="Cached", message="up to date", data=StageOutcome(name, "cached", seconds))
    curves = Paths(root).scratch(name) / "curves.jsonl"
    try:
        with follow_curve(curves, lambda points: send(name, points)):
            code, lines = run_dvc_repro(name, root, processes)
    except Stopped:
        code, lines = -1, ["stopped before it began"]
    return to_state(name, code, lines, time.monotonic() - start, processes.stopped)


def state_data(state: State) -> Any:
    """The data of the final state of a task or a flow, whether it succeeded or failed."""
    return state.result(raise_on_failure=False)


def is_up_to_date(name: str, root: Path) -> bool:
    """Whether DVC finds the stage up to date.

    It asks in this process, which takes 0.1 s; the command line takes 1 s. Each call opens a Repo, because a Repo
    belongs to one thread.
    """
    from dvc.repo import Repo

    with Repo(str(root), _wait_for_lock=True) as repo:
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


def parse_status(name: str, lines: Iterable[str]) -> StageStatus:
    """The status of a stage that succeeded, from DVC's output."""
    for line in lines:
        if line.startswith(f"Stage '{name}' is cached"):
            return "restored"
        if line.startswith(f"Stage '{name}' didn't change"):
            return "cached"
    return "ran"


def describe_failure(name: str, lines: list[str]) -> tuple[str, bool]:
    """The lines of the output that explain a failure, and whether it is a user's error.

    After a user's error a stage prints "error: ..." and exits with 2. DVC's last line repeats the exit code.
    """
    end = next((i for i, line in enumerate(lines) if line.startswith("ERROR: failed to reproduce")), len(lines))
    stage_output, dvc_message = lines[:end], " ".join(lines[end:])
    if missing := MISSING_INPUT.search(dvc_message):
        return f"error: {name}: expected the input {missing[1]}, found no such file; correct its path or add it", True
    error_start = next((i for i, line in enumerate(stage_output) if line.startswith("error: ")), None)
    if error_start is not None and re.search(r"exited with 2\b", dvc_message):
        return "\n".join(stage_output[error_start:]), True
    return "\n".join(stage_output[-QUOTED_LINES:] or lines[-QUOTED_LINES:]), False
