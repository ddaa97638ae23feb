"""Rebuild a stage of a registered version in its worktree and compare it with what was recorded; the bundle, too."""

import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.states import Completed, Failed, State

from pipeline.core.errors import UserError
from pipeline.core.params import read_yaml
from tasks.dvc.lock_file import Lock, outputs, sources
from tasks.dvc.store import Objects, made, objects
from tasks.git.worktree import link_untracked
from tasks.processes.process import Processes
from tasks.registry.lookup import RegisteredVersion
from tasks.registry.store import flatten, is_number
from tasks.stage import last_words, reproduce

BUNDLE = "data/export/bundle"
SERVED = "served bundle"
NAMED = 10  # keys of a metrics file that are told
FORCED = ("--force", "--no-commit")  # run it whatever is known of it; keep nothing of it

How = Literal["match", "differs", "as recorded", "failed"]
ENDS = {"match": "Match", "differs": "Differs", "as recorded": "Recorded", "failed": "Failed"}


@dataclass(frozen=True)
class Rebuilt:
    """How a stage came out; ``lines`` tell where it differs, or why it was not run."""

    stage: str
    how: How
    seconds: float = 0.0
    lines: tuple[str, ...] = ()
    user_error: bool = False

    @property
    def good(self) -> bool:
        """Whether the next stage has what it had when the version was made."""
        return self.how in ("match", "as recorded")


@task(name=SERVED, task_run_name=SERVED, cache_policy=NO_CACHE, persist_result=False)
def check_served(version: RegisteredVersion, root: Path) -> State:
    """Compare the bundle that the registry serves with the one that its dvc.lock recorded, file by file.

    A manifest that was changed along with the file that it lists passes every check on load; not this one.
    """
    start = time.monotonic()
    out = outputs(version.lock())[BUNDLE]
    with objects(root) as kept, version.bundle() as folder:
        lines = tuple(differing(SERVED, out, folder, kept))
    return end(Rebuilt(SERVED, "differs" if lines else "match", time.monotonic() - start, lines))


@task(cache_policy=NO_CACHE, persist_result=False)
def rebuild(name: str, project: Path, root: Path, processes: Processes) -> State:
    """Run the stage anew in the worktree ``project`` and compare; ``root`` is where the user works.

    Where raw data is not what it was, the stage's recorded outputs take its place.
    """
    start = time.monotonic()
    lock = read_yaml(project / "dvc.lock")
    with objects(root) as kept:
        try:
            done = bring(name, project, root, lock, kept, processes)
        except UserError as error:
            done = Rebuilt(name, "failed", lines=(f"error: {error}",), user_error=True)
    return end(replace(done, seconds=time.monotonic() - start))


def end(done: Rebuilt) -> State:
    """The Prefect state of an outcome."""
    state = Completed if done.good else Failed
    return state(name=ENDS[done.how], message="; ".join([done.how, *done.lines]), data=done)


def bring(name: str, project: Path, root: Path, lock: Lock, kept: Objects, processes: Processes) -> Rebuilt:
    """Run it and compare, or take its recorded outputs, or tell which of its code is not what it was."""
    other = changed(name, project)
    raw = sources(lock).keys()
    borrowed = [path for path in other if path in raw and link_untracked(root, project, path)]
    other = changed(name, project) if borrowed else other
    code = tuple(f"{path} is not what it was" for path in other if path not in raw)
    if code:
        return Rebuilt(name, "differs", lines=code)
    if other:
        for out in lock["stages"][name].get("outs", []):
            kept.restore(out, project / out["path"])
        return Rebuilt(name, "as recorded", lines=tuple(f"{path} is not what it was, or not here" for path in other))
    exit_code, said = reproduce(name, project, processes, *FORCED)
    if exit_code:
        words, mistake = last_words(name, said)
        return Rebuilt(name, "failed", lines=tuple(words.splitlines()), user_error=mistake)
    return compare(name, project, lock, kept)


def changed(name: str, project: Path) -> list[str]:
    """Paths of what the stage reads, params.yaml among them, that DVC finds other than recorded."""
    from dvc.repo import Repo

    with Repo(str(project), _wait_for_lock=True) as repo:
        (found,) = repo.status(targets=[f"{project / 'dvc.yaml'}:{name}"]).values() or [[]]
    read = [path for part in found if isinstance(part, dict) for path in part.get("changed deps", {})]
    return [*read, *(["dvc.yaml"] if "changed command" in found else [])]


def compare(name: str, project: Path, before: Lock, kept: Objects) -> Rebuilt:
    """Hold the MD5 of each output, which DVC has just written to the worktree's dvc.lock, against the recorded one."""
    now = outputs({"stages": {name: read_yaml(project / "dvc.lock")["stages"][name]}})
    then = outputs({"stages": {name: before["stages"][name]}})
    lines: list[str] = []
    for path in sorted(then.keys() | now.keys()):
        if then.get(path, {}).get("md5") != now.get(path, {}).get("md5"):
            lines += differing(path, then.get(path), project / path, kept)
    return Rebuilt(name, "differs" if lines else "match", lines=tuple(lines))


def differing(path: str, before: dict[str, Any] | None, place: Path, kept: Objects) -> list[str]:
    """The files of an output that are not what they were; of a metrics file, the numbers."""
    if before is None:
        return [f"{path}: not recorded"]
    then, now = kept.files(before), made(place)
    if then is None:
        return [f"{path}: differs; which of its files, nobody can tell: their list is not in the DVC cache or remote"]
    files = [name for name in sorted(then.keys() | now.keys()) if then.get(name) != now.get(name)]
    if files == [""] and place.name == "metrics.json" and place.exists():
        return [f"{path}: {numbers(kept.content(before['md5']), place.read_bytes())}"]
    return [f"{path}/{name}" if name else path for name in files]


def numbers(before: bytes | None, now: bytes) -> str:
    """The keys of a metrics file that differ, with both values where those are numbers."""
    if before is None:
        return "differs"
    old, new = flatten(json.loads(before)), flatten(json.loads(now))
    keys = [key for key in [*old, *(new.keys() - old.keys())] if old.get(key) != new.get(key)]
    told = [
        f"{key} was {old[key]}, is {new[key]}" if is_number(old.get(key)) and is_number(new.get(key)) else key
        for key in keys[:NAMED]
    ]
    return ", ".join(told + [f"and {len(keys) - NAMED} more"] * (len(keys) > NAMED))
