"""Run one DVC stage as a Prefect task: Cached, Restored or Completed, or a failure that quotes its last lines."""

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
from pipeline.core.stage import Paths
from tasks.processes.curves import Point, live
from tasks.processes.process import Processes, Stopped

# What DVC says of git and remotes after every stage: true, but not news.
HINTS = re.compile(
    r"(Generating|Updating) lock file|To (track the changes with git|enable auto staging), run:"
    r"|\s+(git add|dvc config core.autostage)|Use `dvc push`"
)
LAST = 15  # lines of its output that a failure quotes
MISSING = re.compile(r"(?:missing data 'sources?': |dependency '|No such file or directory: ')(.*?)(?:'|$)")

How = Literal["ran", "cached", "restored", "failed", "stopped", "not reached"]


@dataclass(frozen=True)
class Outcome:
    """How a stage ended, and what it said last when it failed."""

    stage: str
    how: How
    seconds: float = 0.0
    said: str = ""
    user_error: bool = False

    @property
    def done(self) -> bool:
        """Whether the stage's outputs are there and up to date."""
        return self.how in ("ran", "cached", "restored")


def graph(root: Path) -> dict[str, list[str]]:
    """The stages of dvc.yaml, each with the stages that it needs; a stage comes after all of those.

    Raises UserError when DVC cannot read the project.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo
    from networkx import lexicographical_topological_sort

    try:
        with Repo(str(root), _wait_for_lock=True) as repo:
            needs = repo.index.graph  # its edges lead from a stage to those that it needs
            place = list(repo.index.stages).index  # otherwise in the order of the file
            order = filter(named, lexicographical_topological_sort(needs.reverse(), key=place))
            return {stage.name: [need.name for need in needs.successors(stage) if named(need)] for stage in order}
    except DvcException as error:
        raise UserError(f"{root / 'dvc.yaml'}: expected a project that DVC can read, found: {error}") from None


def named(stage: Any) -> bool:
    """A stage of dvc.yaml; not a .dvc file, which tracks data and has nothing to run."""
    return bool(getattr(stage, "name", None))


@task(cache_policy=NO_CACHE, persist_result=False)
def run_stage(name: str, root: Path, processes: Processes, send: Callable[[str, list[Point]], None]) -> State:
    """Bring one stage up to date; ``send`` takes its name and the points of its training curves as they come."""
    start = time.monotonic()
    if up_to_date(name, root):
        seconds = time.monotonic() - start
        return Completed(name="Cached", message="up to date", data=Outcome(name, "cached", seconds))
    curves = Paths(root).scratch(name) / "curves.jsonl"
    try:
        with live(curves, lambda points: send(name, points)):
            code, lines = reproduce(name, root, processes)
    except Stopped:
        code, lines = -1, ["stopped before it began"]
    return end_state(name, code, lines, time.monotonic() - start, processes.stopped)


def value(state: State) -> Any:
    """What a task or a flow handed over with its final state, whether it ended well or not."""
    return state.result(raise_on_failure=False)


def up_to_date(name: str, root: Path) -> bool:
    """Ask DVC, in this process: 0.1 s where its command line takes 1 s. A Repo belongs to one thread."""
    from dvc.repo import Repo

    with Repo(str(root), _wait_for_lock=True) as repo:
        return not repo.status(targets=[f"{root / 'dvc.yaml'}:{name}"])


def reproduce(name: str, root: Path, processes: Processes, *options: str) -> tuple[int, list[str]]:
    """Run the stage through DVC, its output going to the log line by line; its exit code and output, cut to the end.

    ``options`` go to `dvc repro`. Without --wait-for-lock two stages that end together lose the work of one.
    """
    log = get_run_logger()
    command = [sys.executable, "-m", "dvc", "--wait-for-lock", "repro", "--single-item", *options, name]
    process = processes.start(command, root)
    lines: deque[str] = deque(maxlen=200)
    for line in map(str.rstrip, process.stdout or ()):
        if line and not HINTS.match(line):
            lines.append(line)
            log.info(line)
    return processes.wait(process), list(lines)


def end_state(name: str, code: int, lines: list[str], seconds: float, stopped: bool) -> State:
    """The Prefect state that a stage's exit code and output amount to."""
    if code == 0:
        how = how_done(name, lines)
        label = {"ran": "Completed", "restored": "Restored", "cached": "Cached"}[how]
        return Completed(name=label, message=f"{how} in {seconds:.1f} s", data=Outcome(name, how, seconds))
    if stopped:
        return Cancelled(message="stopped", data=Outcome(name, "stopped", seconds))
    said, user_error = last_words(name, lines)
    return Failed(message=said, data=Outcome(name, "failed", seconds, said, user_error))


def how_done(name: str, lines: Iterable[str]) -> How:
    """What DVC's own lines tell about a stage that ended well."""
    for line in lines:
        if line.startswith(f"Stage '{name}' is cached"):
            return "restored"
        if line.startswith(f"Stage '{name}' didn't change"):
            return "cached"
    return "ran"


def last_words(name: str, lines: list[str]) -> tuple[str, bool]:
    """The lines that tell why a stage failed, and whether they are a user's mistake.

    A stage ends on a user's mistake with "error: ..." and exit code 2; DVC's own last line repeats that code.
    """
    verdict = next((i for i, line in enumerate(lines) if line.startswith("ERROR: failed to reproduce")), len(lines))
    told, verdicts = lines[:verdict], " ".join(lines[verdict:])
    if missing := MISSING.search(verdicts):
        return f"error: {name}: expected the input {missing[1]}, found no such file; correct its path or add it", True
    mistake = next((i for i, line in enumerate(told) if line.startswith("error: ")), None)
    if mistake is not None and re.search(r"exited with 2\b", verdicts):
        return "\n".join(told[mistake:]), True
    return "\n".join(told[-LAST:] or lines[-LAST:]), False
